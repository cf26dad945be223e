package runtime

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// The RPC as its handler sees it, and its interceptors: how they take requests and send responses. It implements exchange and
// intercepted.

// decodeRequest decodes the request of a method that has one.
func (r *rpc) decodeRequest(ctx context.Context, c *codec, into any) error {
	m := r.request
	r.request = message{}
	err := r.decode(ctx, c, m, into)
	r.tab.took(m)
	return err
}

// fields implements exchange.
func (r *rpc) fields() Metadata { return fieldsOf(r.def.request) }

// nextMessage waits for the next request of a stream, and takes it.
func (r *rpc) nextMessage() (message, error) {
	m, err := r.awaitMessage()
	if err == nil {
		r.tab.took(m)
	}
	return m, err
}

// awaitMessage waits for the next request. The handler has not taken it yet.
func (r *rpc) awaitMessage() (message, error) {
	r.mu.Lock()
	for !r.state.isOver() && r.requests.isEmpty() && !r.requests.complete {
		r.waitRequestLocked()
	}
	if r.state.isOver() {
		defer r.mu.Unlock()
		return message{}, r.endErrorLocked()
	}
	if r.requests.isEmpty() {
		r.mu.Unlock()
		return message{}, io.EOF
	}
	r.reply.sending.Store(false)
	m := r.requests.take(&r.tab)
	credit := r.requests.credit(wire.PrefixLen + len(m.data))
	r.mu.Unlock()
	if credit > 0 && r.stream.Consumed(credit) {
		r.session.h2.Flush()
	}
	return m, nil
}

// waitRequestLocked waits until something has happened that a handler may wait for which wants a request.
func (r *rpc) waitRequestLocked() {
	r.requests.starving = true
	if r.in.last.Load() != nil {
		r.session.account.Urge() // the request may be waiting for room
	}
	r.requests.wait(&r.mu)
	r.requests.starving = false
}

// decodeNext decodes a request of a stream, and ends the RPC if it cannot: what comes behind a request that is broken has lost
// its meaning, and the handler may never return its error.
func (r *rpc) decodeNext(ctx context.Context, c *codec, m message, into any) error {
	if err := r.decode(ctx, c, m, into); err != nil {
		return r.fail(err)
	}
	return nil
}

// decode decodes a request. Its error carries the status that the RPC should end with.
func (r *rpc) decode(ctx context.Context, c *codec, m message, into any) error {
	limit := r.maxRequest()
	if err := wire.CheckReceived(int64(len(m.data)), limit); err != nil {
		buffer.Put(m.data)
		return outcomeOf(err).Err()
	}
	var err error
	if m.compressed {
		err = r.decodeCompressed(c, m.data, limit, into)
	} else {
		err = r.decodeOctets(c, m.data, len(m.data), into)
	}
	if err == nil && r.call != nil {
		return observe(ctx, r.call.onRequest, into)
	}
	return err
}

// maxRequest is the most octets that the handler takes for a request, inflated or not; negative is no limit. The reader does not
// ask for it: what a method permits must not show before its interceptors have permitted the RPC.
func (r *rpc) maxRequest() int {
	limit := r.session.shared.limits.received
	if m := r.handled(); m != nil && m.maxRequest > 0 && (limit < 0 || m.maxRequest < limit) {
		return m.maxRequest
	}
	return limit
}

// handled returns the method whose handler runs, or is about to; nil if there is none. An interceptor may have set another
// than the client's.
func (r *rpc) handled() *method {
	if r.call != nil {
		return r.call.method
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.method
}

// decodeCompressed decodes a compressed request.
func (r *rpc) decodeCompressed(c *codec, compressed []byte, limit int, into any) error {
	data, done, err := r.inflate(compressed, limit)
	buffer.Put(compressed)
	if done != nil {
		defer done()
	}
	switch {
	case err == errOver:
		return r.endError()
	case err != nil:
		return outcomeOf(err).Err()
	}
	return r.decodeOctets(c, data, len(compressed), into)
}

// decodeOctets decodes a request that is not compressed any more. On the wire it had wireSize octets. Unless the message holds on
// to the octets, as a raw one does, their memory serves the next request.
func (r *rpc) decodeOctets(c *codec, data []byte, wireSize int, into any) error {
	size := len(data)
	kept, err := c.decodeInto(data, into)
	if !kept {
		buffer.Put(data)
	}
	r.observed.got(into, size, wireSize, err)
	if err != nil {
		r.undecodable(err)
		return outcomeUndecodable.Err()
	}
	return nil
}

// undecodable logs why a request cannot be decoded, on the goroutine of its handler. grpc-python does so as an error. But a
// client could fill the log with it; only a panic is the message's own.
func (r *rpc) undecodable(err error) {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := err.(*codecPanic); ok {
		logger.Error("Exception deserializing message!", "method", path, "error", logtext.Of(err), "stack", string(p.stack))
		return
	}
	logger.Debug("Exception deserializing message!", "method", path, "error", logtext.Of(err))
}

// send sends one response of a stream.
func (r *rpc) send(ctx context.Context, c *codec, response any) error {
	if response == nil {
		return r.fail(r.unserializable("Send was called with nil"))
	}
	e, err := r.encodeResponse(ctx, nil, c, response, true)
	handedOver := false
	defer func() {
		if !handedOver {
			buffer.Put(e.data)
			r.session.giveBack(e.paid)
		}
	}()
	if err != nil {
		return r.fail(err)
	}
	if handedOver, err = r.sendEncoded(e); err != nil {
		return err
	}
	r.observed.put(response, e)
	if r.stream.Full() && !r.waitRoom() {
		return r.endError()
	}
	return nil
}

// sendEncoded sends a response of a stream. It reports whether that is the transport's now, with what was reserved for it.
func (r *rpc) sendEncoded(e encoded) (handedOver bool, err error) {
	r.mu.Lock()
	if r.state.isOver() {
		defer r.mu.Unlock()
		return false, r.endErrorLocked()
	}
	// The first response after a request may be waited for, and leaves at once if no other is there to share a write with.
	// Those that follow are likely to be followed by more.
	urgent := !r.reply.sending.Swap(true) && r.session.h2.Alone()
	if head := r.headersLocked(nil); head != nil {
		r.stream.Head(head)
	}
	handedOver, err = r.stream.Data(e.data, e.paid, !urgent)
	r.mu.Unlock()
	if err != nil {
		return handedOver, r.endError()
	}
	if urgent {
		r.session.h2.Flush()
	}
	return handedOver, nil
}

// fail ends the RPC with the status that an error means, and returns the status as an error. The handler may go on for as
// long as it likes, so it flushes.
func (r *rpc) fail(err error) error {
	o := outcomeOf(err)
	r.endWith(o, true)
	r.session.h2.Flush()
	return o.Err()
}

func (r *rpc) endError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endErrorLocked()
}

// endErrorLocked is what the RPC's streams answer once it is over. An RPC that is not over although its stream is has
// lost its client, and will be told so.
func (r *rpc) endErrorLocked() error {
	switch {
	case !r.state.isOver():
		return outcomeCancelled.Err()
	case r.ending.outcome.Code == codes.OK:
		return outcomeEnded.Err()
	}
	return r.ending.outcome.Err()
}

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
	if r.queued {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch offered := r.requests.complete; {
	case streaming && !offered && !r.state.isOver():
		r.requests.waiting, r.requests.complete = []message{r.request}, true
		r.request = message{}
	case !streaming && offered && !r.state.isOver():
		r.request = r.requests.waiting[0]
		r.requests.waiting, r.requests.complete = nil, false
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
	if r.queued && !m.cardinality.RequestStreaming() {
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
	response, err = r.observed.handle(ctx, m, r)
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
		err = notOneRequest(path).Err()
	}
	return message{}, err
}
