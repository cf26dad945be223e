package runtime

import (
	"context"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// rpc is one RPC, from the field block of its request to the end of its handler. It is also the handler's context
// (context.go).
//
// Its life has two ends, which may come in either order: it is over once its status has been sent or can no longer be
// sent, and it is released once no handler runs for it any more.
type rpc struct {
	stream http2.Stream
	work.Link

	// Immutable after HandleHead.
	session *session
	def     *callDefinition

	state  rpcState
	queued bool // requests are queued as they come; written by the reader, with mu held, until the RPC goes to a worker
	tab    tab  // what it has of the connection's account

	// Owned by the reader, and then by the worker.
	method  *method  // nil: not known, and left to the interceptors; they change it with mu held
	missing *refusal // why there is no method
	request message
	call    *Call // nil without interceptors

	in incoming // owned by the reader

	mu sync.Mutex
	// Guarded by mu, but for what is atomic. The worker, which alone writes the deadline once it has the RPC, reads it without.
	deadline time.Time // zero: none
	requests requestQueue
	reply    reply
	ending   ending
}

// reply is what there is of an RPC's answer.
type reply struct {
	encoding    responseEncoding
	sending     atomic.Bool // a response has been sent since the last request was taken
	headersSent bool
	trailing    Metadata
}

// ending is how an RPC has ended, and what is to be done then.
type ending struct {
	outcome   outcome       // once it is over
	cause     error         // what the context's Err returns, once it is over
	done      chan struct{} // nil: not asked for yet
	after     *afterwards   // nil: nothing is to be called
	beginning *budget.Claim // by which it waits for room to begin, or has waited; nil: it has not had to
}

// afterwards returns what is to be called once the RPC is over, to be added to.
func (e *ending) afterwards() *afterwards {
	if e.after == nil {
		e.after = &afterwards{}
	}
	return e.after
}

// HandleHead implements http2.StreamHandler.
func (r *rpc) HandleHead(_ *fields.Section, endStream bool) {
	began := time.Time{}
	if r.def.hasTimeout {
		began = time.Now() // what the generic handlers take counts
	}
	if r.def.refusal != nil {
		r.refuse(r.def.refusal)
		return
	}
	r.session.shared.find(r.def, func(m *method, missing *refusal) {
		r.method, r.missing = m, missing
		r.start(began, endStream)
	})
}

// start makes an RPC of the request, or refuses it. With interceptors, all requests become RPCs in the same way and go to
// them at the same moment, whether there is a method or not: to clients that they refuse, both are to look the same.
func (r *rpc) start(began time.Time, endStream bool) {
	s := r.session.shared
	switch {
	case r.missing != nil && s.chain == nil:
		r.refuse(r.missing)
		return
	case !s.admit():
		r.refuse(limitExceeded)
		return
	}
	r.queued = r.method == nil || r.method.requestStreaming
	r.session.account.Begin(budget.Handlers)
	r.session.addHead(r.def)
	r.state.begin() // before there is a deadline, at which the alarm of another RPC would end this one
	if r.def.hasTimeout {
		r.mu.Lock()
		r.deadline = began.Add(r.def.timeout)
		r.mu.Unlock()
		if r.def.timeout <= 0 {
			r.failFromReader(outcomeDeadline)
			return
		}
		r.session.deadlines.watch(r.deadline)
	}
	if r.queued || s.chain != nil {
		r.dispatch()
	}
	if endStream {
		r.endRequests()
	}
}

// refuse answers a request that does not become an RPC. It does so at once, also in HTTP's terms: a client may keep its
// request open until it is answered. What still comes of the request is declined (RFC 9113, Section 8.1) or, of a client that
// speaks HTTP, thrown away.
func (r *rpc) refuse(why *refusal) {
	r.in.state.ignore()
	r.state.refuse()
	r.session.shared.rejected.add(why.outcome.Code)
	var head, data []byte
	if why.httpStatus == 0 {
		head = wire.TrailersOnly(why.outcome, Metadata(nil), math.MaxInt)
		if r.def.badEncoding {
			head = fields.AppendField(head, "grpc-accept-encoding", wire.AcceptEncoding)
		}
	} else {
		head, data = why.inHTTP()
		r.stream.ReadToEnd() // a client that speaks no gRPC may know no other end of its request than its own
	}
	r.stream.Message(head, data, nil, 0)
	buffer.Put(head)
	r.session.h2.FlushAfterBatch()
}

// HandleClose implements http2.StreamHandler.
func (r *rpc) HandleClose(err error) {
	r.end(last{outcome: outcomeCancelled, gone: true})
	r.stopReading()
}

// dispatch hands the RPC to where its handler runs.
func (r *rpc) dispatch() {
	if r.state.dispatch() {
		r.session.dispatch(r, r.method)
	}
}

// Flusher implements work.Task.
func (r *rpc) Flusher() work.Flusher { return r.session.h2 }

// Run implements work.Task: it runs the handler.
func (r *rpc) Run(w *work.Worker) {
	if r.awaits() {
		return
	}
	if !r.begin() {
		r.release() // its deadline passed, or the client gave up, before its turn came
		return
	}
	if r.def.hasTimeout && !time.Now().Before(r.deadline) { // and the alarm has not come round to it
		r.release()
		r.abort(outcomeDeadline, context.DeadlineExceeded)
		return
	}
	var response encoded
	defer func() { r.session.giveBack(response.paid) }()
	safely(func() {
		var err error
		response, err = r.answer(w)
		r.release() // before the client can know that there is room for another RPC
		r.complete(w, &response, err)
	}, func(reason any) {
		r.release()
		r.recovered(reason)
	})
}

// answer runs the handler, within the interceptors if there are any. It returns the response of a method with one, encoded.
func (r *rpc) answer(w *work.Worker) (encoded, error) {
	if next := r.session.shared.chain; next != nil {
		return r.intercepted(w, next)
	}
	message, err := r.method.behavior(r, r)
	if err != nil || r.method.responseStreaming {
		return encoded{}, err
	}
	return r.encode(r, w, r.method.responses, message)
}

// recovered ends the RPC of a handler that did not return. reason is nil if it called runtime.Goexit.
func (r *rpc) recovered(reason any) {
	text := panicText(reason)
	defer r.end(last{outcome: outcome{Code: codes.Unknown, Message: "Exception calling application: " + text}})
	r.session.shared.logger.Error("Exception calling application", "method", logtext.Cut(r.def.path), "panic", logtext.Cut(text),
		"stack", string(debug.Stack()))
}

// release is called when no handler runs any more or will.
func (r *rpc) release() {
	first, finishes := r.state.release()
	if finishes {
		r.finish()
	}
	if first {
		r.session.shared.active.Add(-1)
		r.session.account.End(budget.Handlers)
	}
}

// HandleRemoved implements http2.StreamHandler.
func (r *rpc) HandleRemoved() {
	if r.state.remove() {
		r.finish()
	}
}

// finish gives back what the RPC still holds. Only what its reader does may come later.
func (r *rpc) finish() {
	r.tab.close()
	r.session.dropHead(r.def)
	r.in.last.Load().drop()
}

// begin reports whether the RPC can go on: to its interceptors or, if there are none, to its handler.
func (r *rpc) begin() bool {
	if r.session.shared.chain != nil {
		return !r.state.isEnding()
	}
	return r.state.enter(r.session.queueOf(r.method).Bounded())
}

// last is what an RPC ends with.
type last struct {
	outcome  outcome // its status
	cause    error   // what the context's Err returns from then on; nil: context.Canceled
	response []byte  // its only response, encoded; nil: there is none
	paid     int64   // octets that are reserved for the response
	discard  bool    // what waits of earlier responses is not sent
	gone     bool    // its stream is, so nothing can be sent
}

// abort ends an RPC whose handler may be anywhere, in the middle of sending a message included.
func (r *rpc) abort(o outcome, cause error) {
	if r.state.hasBegun() {
		r.end(last{outcome: o, cause: cause, discard: true})
	}
}

// end ends the RPC, unless it is over. All ends come here. What it makes due is done without mu: it may call the application,
// or need other locks. It reports whether the response has become the transport's.
func (r *rpc) end(l last) (handedOver bool) {
	r.mu.Lock()
	if r.state.isOver() {
		r.mu.Unlock()
		return false
	}
	if !l.gone {
		var fits bool
		if handedOver, fits = r.sendLastLocked(&l); !fits {
			l.outcome, l.cause = outcomeOversize, nil
			defer r.tooLarge() // last, since the log may end the goroutine
		}
	}
	releases := r.overLocked(&l)
	after, m, beginning := r.ending.after, r.method, r.ending.beginning
	r.ending.after, r.ending.beginning = nil, nil
	r.mu.Unlock()
	after.call(r.session.shared, r.def.path)
	r.count(m, l.outcome.Code)
	if releases {
		r.release()
	}
	if beginning != nil && r.session.account.Drop(beginning) {
		r.redispatch() // it has waited long enough to find out that it is over
	}
	return handedOver
}

// overLocked makes the RPC over, and tells those that wait. What the reader has of the request under way stays until it looks,
// or until the RPC is finished; but what was reserved for the rest of it is not needed, whatever still comes.
func (r *rpc) overLocked(l *last) (releases bool) {
	r.ending.outcome, r.ending.cause = l.outcome, l.cause
	if l.cause == nil {
		r.ending.cause = context.Canceled
	}
	releases = r.state.end()
	r.requests.drop(&r.tab)
	r.in.last.Load().drop()
	if r.ending.done != nil {
		close(r.ending.done)
	}
	r.requests.signal()
	return releases
}

// count counts the RPC under its method.
func (r *rpc) count(m *method, code codes.Code) {
	if m != nil {
		m.counters.add(code)
		return
	}
	r.session.shared.rejected.add(code)
}

// intercepted runs the interceptors, and returns what answer does.
func (r *rpc) intercepted(w *work.Worker, chain Next) (encoded, error) {
	path := r.def.path
	r.call = &Call{rpc: r, sent: path, path: path, method: r.method, missing: r.missing, worker: w, logger: r.session.shared.logger}
	return r.call.run(r, chain)
}

// lookUp implements intercepted.
func (r *rpc) lookUp(path string) *method { return r.session.shared.table.Load().methods[path] }

// setMethod implements intercepted.
func (r *rpc) setMethod(m *method) {
	if r.method != m { // only the worker writes it
		r.mu.Lock()
		r.method = m
		r.mu.Unlock()
	}
}

// shortenDeadline implements intercepted.
func (r *rpc) shortenDeadline(deadline time.Time) {
	r.mu.Lock()
	earlier := !r.state.isOver() && (r.deadline.IsZero() || deadline.Before(r.deadline))
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
	if r.queued && !m.requestStreaming {
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
	response, err = m.behavior(ctx, r)
	return response, true, err
}

// leave gives up the place of a handler that has ended.
func (r *rpc) leave(bound *work.Bound) {
	r.state.leave()
	bound.Give()
}
