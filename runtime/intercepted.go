package runtime

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// The RPC as its interceptors see it, through their ServerCall. It implements intercepted.

// endedWith implements intercepted.
func (r *rpc) endedWith(err error) (end error, ended bool) {
	if !r.state.isEnding() {
		return nil, false
	}
	r.mu.Lock()
	st, _ := status.FromError(r.endErrorLocked())
	cause := r.ending.cause
	r.mu.Unlock() // which code of the error's may need
	if had, ok := status.FromError(err); ok && had.Code() == st.Code() && had.Message() == st.Message() {
		return err, true // it says so already
	}
	if err == nil {
		err = cause
	}
	return &carrier.Error{Status: st, Cause: err}, true
}

// intercepted runs the interceptors, and does what answer does.
func (r *rpc) intercepted(w *work.Worker, chain ServerNext, e *encoded) (err error) {
	path := r.def.path
	r.call = &ServerCall{rpc: r, sent: path, path: path, method: r.method, missing: r.missing(), worker: w, logger: r.session.shared.logger}
	*e, err = r.call.run(r, chain)
	return err
}

// lookUp implements intercepted. It looks into the dictionary of the moment: a service may have come since the RPC began.
func (r *rpc) lookUp(path string) *method { return r.session.shared.table.Load().methods[path] }

// setMethod implements intercepted. The end of the RPC, which another goroutine may bring, reads the method with mu held.
func (r *rpc) setMethod(m *method) {
	if r.method != m { // only the worker writes it
		r.mu.Lock()
		r.method = m
		r.mu.Unlock()
	}
}

// offerRequest implements intercepted. It is for an RPC that was begun as one with a single request, and puts that where the
// handler is going to ask for it: as the first of several, or as the only one. It is never in both places: its memory may be given
// back once it is taken.
func (r *rpc) offerRequest(streaming bool) {
	if r.queuesRequests {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch offered := r.requests.allReceived; {
	case streaming && !offered && !r.state.hasEnded():
		r.requests.waiting, r.requests.allReceived = []message{r.request}, true
		r.request = message{}
	case !streaming && offered && !r.state.hasEnded():
		r.request = r.requests.waiting[0]
		r.requests.waiting, r.requests.allReceived = nil, false
	}
}

// shortenDeadline implements intercepted.
func (r *rpc) shortenDeadline(to time.Time) {
	deadline := clock.Now().Add(time.Until(to))
	r.mu.Lock()
	earlier := !r.state.hasEnded() && (r.deadline.IsZero() || deadline.Before(r.deadline))
	if earlier {
		r.deadline = deadline
	}
	r.mu.Unlock()
	if earlier {
		r.session.deadlines.watch(deadline)
	}
}

// handle implements intercepted: it runs the handler once there is something to do, and room among those that run. It waits
// for the request first: one that never comes must not take a place from others.
func (r *rpc) handle(ctx context.Context, m *method, path string) (response any, ran bool, err error) {
	bound := r.session.boundOf(m)
	if bound == nil && !r.state.enter(false) {
		return nil, false, r.endError()
	}
	if r.queuesRequests && !m.cardinality.RequestStreaming() {
		if r.request, err = r.onlyMessage(path); err != nil {
			return nil, false, err
		}
	}
	if bound != nil {
		if !bound.Take(r) {
			return nil, false, r.endError()
		}
		defer r.leave(bound)
		if !r.state.enter(true) {
			return nil, false, r.endError()
		}
	}
	response, err = r.runHandler(ctx, m)
	return response, true, err
}

// leave gives up the place of a handler that has ended. The state says so first, so that the watch over workers does not end
// the RPC for a place that it no longer has.
func (r *rpc) leave(bound *work.Bound) {
	r.state.leave()
	bound.Give()
}

// onlyMessage waits for the request of a method that has one, if it has not come with the batch in which the RPC began, or
// if the method was not known, or was another, before an interceptor set it.
func (r *rpc) onlyMessage(path string) (message, error) {
	m, err := r.awaitMessage()
	if err == nil {
		if _, end := r.awaitMessage(); end == io.EOF {
			return m, nil
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = wrongRequestCount(path).Err()
	}
	return message{}, err
}
