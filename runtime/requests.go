package runtime

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// incoming is the request under way, as the reader cuts it out of content. The reader owns it, but for last.
type incoming struct {
	wire.Cutter
	state requestState
	asked bool                         // the place last is for its rest
	paid  uint32                       // octets that the tab has for it
	last  atomic.Pointer[largeRequest] // the last place in line; nil: there has been none. Stored by the reader.
}

// place is the place in line for the rest of the request under way; nil: that has not been asked for.
func (in *incoming) place() *largeRequest {
	if in.asked {
		return in.last.Load()
	}
	return nil
}

// HandleTrailers implements http2.StreamHandler: a client's trailers say nothing but that there is no more.
func (r *rpc) HandleTrailers(*fields.Section) { r.HandleData(nil, true) }

// HandleData implements http2.StreamHandler: it cuts the content into messages.
func (r *rpc) HandleData(data []byte, endStream bool) {
	if !r.in.state.ignored() && r.state.isEnding() {
		r.stopReading() // its handler has ended it
	}
	for len(data) > 0 && !r.in.state.ignored() {
		var done bool
		var err error
		data, done, err = r.in.Feed(data, r.session.shared.limits.received, r.def.compression, r.stream.Window)
		r.payForRequest()
		switch {
		case err != nil:
			r.failFromReader(outcomeOf(err))
		case done:
			r.deliver(r.requestArrived())
		case !endStream && r.in.Missing() > 0:
			r.expectRest()
		}
	}
	if endStream && !r.in.state.ignored() {
		r.endRequests()
	}
	if r.in.state.ignored() && !endStream && !r.state.hasBegun() && r.stream.Consumed(len(data)) {
		r.session.h2.FlushAfterBatch() // what was refused is read to its end
	}
}

// deliver takes a message that is complete.
func (r *rpc) deliver(m message) {
	r.in.state.message()
	intercepted := r.session.shared.chain != nil
	if r.in.state.several() && intercepted {
		r.queueRequests()
	}
	switch {
	case r.queued:
		r.enqueue(m)
	case r.in.state.several(): // at once: the client may go on for ever
		r.failFromReader(notOneRequest(r.def.path))
	default:
		r.request = m
		if !intercepted && r.stream.Consumed(wire.PrefixLen+len(m.data)) {
			r.session.h2.FlushAfterBatch()
		}
	}
}

// enqueue gives the handler a message, unless the RPC is over.
func (r *rpc) enqueue(m message) {
	r.mu.Lock()
	if r.state.isOver() {
		r.mu.Unlock()
		r.tab.took(m)
		return
	}
	r.requests.add(m, &r.tab)
	arrived := r.requests.arrived
	r.mu.Unlock()
	if arrived != nil {
		arrived.Broadcast() // without mu, which the handler is going to lock
	}
}

// queueRequests has requests queued from now on, those included that have come.
func (r *rpc) queueRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queued {
		return
	}
	r.queued, r.requests.complete = true, r.in.state.finished()
	if r.request.data != nil && !r.state.isOver() {
		r.requests.waiting = append(r.requests.waiting, r.request)
	}
	r.request = message{}
}

// endBatch implements dispatched: it is called with the end of the batch in which an RPC began that goes to interceptors now. If its method has one
// request, and that has not come as a whole or is not the only one, this is for the interceptors to learn before it is for
// the client: what comes is queued until a handler asks for it. The usual request is complete, and needs no queue.
func (r *rpc) endBatch() {
	if !r.in.state.one() || !r.in.state.finished() {
		r.queueRequests()
	}
}

// endRequests is called when the client has half-closed.
func (r *rpc) endRequests() {
	r.in.state.finish()
	switch {
	case r.in.Partial():
		r.failFromReader(outcome{Code: codes.Internal, Message: "the request ended in the middle of a message"})
	case r.queued:
		r.mu.Lock()
		r.requests.finish()
		r.mu.Unlock()
	case r.session.shared.chain != nil: // see endBatch
	case !r.in.state.one():
		r.failFromReader(notOneRequest(r.def.path))
	default:
		r.dispatch()
	}
}

// failFromReader ends the RPC because of something wrong with the request.
func (r *rpc) failFromReader(o outcome) {
	r.stopReading()
	r.session.h2.FlushAfterBatch()
	r.end(last{outcome: o})
}

// stopReading drops the request under way, once the RPC is over: its handler may go on for long, or not have begun.
func (r *rpc) stopReading() {
	r.in.state.ignore()
	r.in.Drop()
	r.tab.giveBack(int64(r.in.paid))
	r.in.last.Load().drop()
	r.in.Cutter, r.in.paid, r.in.asked = wire.Cutter{}, 0, false
}

// expectRest asks the client for the rest of the request under way, as soon as there is room for it. The reader calls it
// whenever a part has come.
func (r *rpc) expectRest() {
	size := len(r.in.Data()) + r.in.Missing()
	if !isLarge(size) {
		if r.stream.Expect(0, r.in.Missing()) {
			r.session.h2.FlushAfterBatch()
		}
		return
	}
	if v := r.in.place(); v != nil {
		v.missing.Store(int64(r.in.Missing()))
		return
	}
	if r.in.state.one() && !r.queued {
		if r.session.shared.chain == nil { // there is no need to wait for its end
			r.failFromReader(notOneRequest(r.def.path))
			return
		}
		r.queueRequests()
	}
	v := &largeRequest{of: r, session: r.session, stream: &r.stream, size: size, asked: time.Now()}
	v.missing.Store(int64(r.in.Missing()))
	r.in.last.Store(v)
	r.in.asked = true
	v.ask(int64(buffer.Size(size)) - int64(r.in.paid))
}

// isEnding implements awaiting.
func (r *rpc) isEnding() bool { return r.state.isEnding() }

// urgency implements awaiting. A handler that waits for the request may be what the handlers wait for whose requests fill the
// account, or may occupy the worker that these need. A request without which no handler begins has its turn after a while: it
// keeps no worker from others, and will not stay for long once it has one.
func (r *rpc) urgency(waited bool) budget.Urgency {
	r.mu.Lock()
	defer r.mu.Unlock()
	starves := r.requests.starving && !r.state.isOver() && r.requests.isEmpty()
	switch {
	case starves && r.state.hasEntered():
		return budget.Pressing
	case (starves && r.method != nil && !r.method.requestStreaming || !r.queued) && waited:
		return budget.Due
	}
	return budget.CanWait
}

// payForRequest counts the memory of the request under way, as far as it has grown. The reader calls it.
func (r *rpc) payForRequest() {
	size := int64(cap(r.in.Data()))
	if size <= freeRequest || size <= int64(r.in.paid) {
		return
	}
	r.takeClaim()
	if more := size - int64(r.in.paid); more > 0 {
		r.tab.charge(more)
		r.in.paid = uint32(size)
	}
}

// takeClaim makes what the claim was granted part of what has been paid for the request under way.
func (r *rpc) takeClaim() {
	v := r.in.place()
	if v == nil {
		return
	}
	if n := r.session.account.Take(&v.claim); n > 0 {
		r.tab.add(n)
		r.in.paid += uint32(n)
	}
}

// requestArrived makes a request of the one under way.
func (r *rpc) requestArrived() message {
	var claim *budget.Claim
	if v := r.in.place(); v != nil {
		v.missing.Store(0)
		claim = &v.claim
		r.session.account.Leave(claim)
		r.takeClaim()
	}
	m := message{paid: r.in.paid, claim: claim}
	m.data, m.compressed = r.in.Take()
	r.in.paid, r.in.asked = 0, false
	return m
}

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

// offerRequest implements intercepted. It puts the request, of an RPC that was begun as one with a single request, where the handler is going to ask
// for it: as the first of several, or as the only one. It is never in both places: its memory may be given back once it is taken.
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

// decodeRequest decodes the request of a method that has one.
func (r *rpc) decodeRequest(ctx context.Context, c *codec, into any) error {
	m := r.request
	r.request = message{}
	err := r.decode(ctx, c, m, into)
	if !r.queued { // otherwise onlyMessage has told
		r.tab.took(m)
	}
	return err
}

// decodeNext decodes a request of a stream, and ends the RPC if it cannot.
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
		err = r.decodeOctets(c, m.data, into)
	}
	if err == nil && r.call != nil {
		return observe(ctx, r.call.onRequest, into)
	}
	return err
}

// maxRequest is the most octets that the handler takes for a request; negative is no limit. The reader does not ask for it:
// what a method permits must not show before its interceptors have permitted the RPC.
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
	return r.decodeOctets(c, data, into)
}

// decodeOctets decodes a request that is not compressed any more.
func (r *rpc) decodeOctets(c *codec, data []byte, into any) error {
	kept, err := c.decodeInto(data, into)
	if !kept {
		buffer.Put(data)
	}
	if err != nil {
		r.undecodable(err)
		return outcomeUndecodable.Err()
	}
	return nil
}

// undecodable logs why a request cannot be decoded. grpc-python does so as an error. But a client could fill
// the log with it; only a panic is the message's own.
func (r *rpc) undecodable(err error) {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := err.(*codecPanic); ok {
		logger.Error("Exception deserializing message!", "method", path, "error", logtext.Of(err), "stack", string(p.stack))
		return
	}
	logger.Debug("Exception deserializing message!", "method", path, "error", logtext.Of(err))
}
