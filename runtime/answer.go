package runtime

import (
	"context"
	"io"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// The worker's part of an RPC: it runs the handler, decodes requests for it, and encodes what it answers. It implements work.Task
// and exchange.

// Flusher implements work.Task.
func (r *rpc) Flusher() work.Flusher { return r.session.h2 }

// Run implements work.Task: it runs the handler, unless there is no room for it yet or the RPC has ended. Whatever the handler
// does, the RPC is released and ends: otherwise it would count as active for ever.
func (r *rpc) Run(w *work.Worker) {
	if r.waitsForAdmission() {
		return
	}
	if !r.mayRun() {
		r.release() // its deadline passed, or the client gave up, before its turn came
		return
	}
	if r.def.hasTimeout && !clock.Now().Before(r.deadline) { // and the alarm has not come round to it
		r.release()
		r.abort(outcomeDeadline, context.DeadlineExceeded)
		return
	}
	var l finalResult
	returned := false
	defer survive(&returned, func(reason any) { r.failed(&l, reason) })
	err := r.answer(w, &l.response)
	r.release() // before the client can know that there is room for another RPC
	r.respond(w, &l, err)
	r.session.giveBack(l.response.reserved)
	returned = true
}

// mayRun reports whether the RPC can go on: to its interceptors or, if there are none, to its handler. If it has ended while it
// waited for a worker, no answer can be sent.
func (r *rpc) mayRun() bool {
	if r.session.shared.chain != nil && r.def.direct == nil {
		return !r.state.isEnding()
	}
	return r.state.enter(r.session.queueOf(r.method).Bounded())
}

// answer runs the handler, within the interceptors if there are any. If the method has one response, answer encodes it
// in e: only then is it certain that the RPC can end with OK. However answer ends, the caller owns what is in e.
func (r *rpc) answer(w *work.Worker, e *encoded) error {
	if next := r.session.shared.chain; next != nil && r.def.direct == nil {
		return r.intercepted(w, next, e)
	}
	message, err := r.runHandler(r, r.method)
	if err != nil || r.method.cardinality.ResponseStreaming() {
		return err
	}
	return r.encode(r, w, r.method.responses, message, e)
}

// runHandler runs the handler of a method, with its request if it has one.
func (r *rpc) runHandler(ctx context.Context, m *method) (response any, err error) {
	if o := r.observed; o != nil {
		o.emitKind(RPCHandlerEntered)
		defer o.emitKind(RPCHandlerLeft)
	}
	var request any
	if m.newRequest != nil {
		request = m.newRequest()
		if err := r.decodeRequest(ctx, m.requests, request); err != nil {
			return nil, err
		}
	}
	return m.behavior(ctx, r, request)
}

// release is called when no handler runs any more or will.
func (r *rpc) release() {
	first, finishes := r.state.release()
	if finishes {
		r.freeResources()
	}
	if first {
		if r.state.hasEnded() {
			r.session.unreleased.remove(r)
		}
		r.session.shared.active.Add(-1)
		r.session.account.End(budget.Handlers)
	}
}

// isReleased implements releasable.
func (r *rpc) isReleased() bool { return r.state.isReleased() }

// decodeRequest implements exchange: it decodes the request of a method that has one.
func (r *rpc) decodeRequest(ctx context.Context, c *codec, into any) error {
	m := r.request
	r.request = message{}
	err := r.decode(ctx, c, &m, into)
	r.memory.releaseRequest(m)
	return err
}

// receive implements exchange: it waits for the next request of a stream, takes it, and decodes it. If it cannot decode the
// request, the RPC ends: later requests mean nothing without it, and the handler may never return its error.
func (r *rpc) receive(ctx context.Context, c *codec, into any) error {
	m, err := r.awaitMessage()
	if err != nil {
		return err
	}
	r.memory.releaseRequest(m)
	if err := r.decode(ctx, c, &m, into); err != nil {
		return r.fail(err)
	}
	return nil
}

// awaitMessage waits for the next request, and takes it out of the queue.
func (r *rpc) awaitMessage() (message, error) {
	r.mu.Lock()
	for !r.state.hasEnded() && r.requests.isEmpty() && !r.requests.allReceived {
		r.waitRequestLocked()
	}
	if r.state.hasEnded() {
		defer r.mu.Unlock()
		return message{}, r.endErrorLocked()
	}
	if r.requests.isEmpty() {
		r.mu.Unlock()
		return message{}, io.EOF
	}
	r.reply.sending.Store(false)
	m := r.requests.take(&r.memory)
	credit := r.requests.credit(wire.PrefixLen + len(m.data))
	r.mu.Unlock()
	if credit > 0 && r.stream.Consumed(credit) {
		r.session.h2.Flush()
	}
	return m, nil
}

// waitRequestLocked waits until a request arrives, the last one has arrived, or the RPC ends.
func (r *rpc) waitRequestLocked() {
	r.requests.handlerWaits = true
	if r.in.claim.Load() != nil {
		r.session.account.Urge() // the request may be waiting for room
	}
	r.requests.wait(&r.mu)
	r.requests.handlerWaits = false
}

// decode decodes a request. Its error carries the status that the RPC should end with.
func (r *rpc) decode(ctx context.Context, c *codec, m *message, into any) error {
	limit := r.maxRequest()
	if err := wire.CheckReceived(int64(len(m.data)), limit); err != nil {
		buffer.Put(m.data)
		return outcomeOf(err).Err()
	}
	var err error
	if size := len(m.data); m.compressed {
		err = r.decodeCompressed(c, m.data, limit, into)
	} else {
		err = r.decoded(into, size, size, c.decodeInto(m.data, into))
	}
	if err == nil && r.call != nil {
		return observe(ctx, r.call.onRequest, into)
	}
	return err
}

// maxRequest is the most octets that the handler takes for a request, inflated or not; negative is no limit. The reader does not
// use it: before interceptors have admitted the RPC, nothing may reveal what its method permits.
func (r *rpc) maxRequest() int {
	limit := r.session.shared.options.MaxReceiveMessageBytes
	if m := r.handled(); m != nil && m.maxRequest > 0 && (limit < 0 || m.maxRequest < limit) {
		return m.maxRequest
	}
	return limit
}

// handled returns the method whose handler runs, or is about to; nil if there is none. An interceptor may have replaced
// the method that the client asked for.
func (r *rpc) handled() *method {
	if r.call != nil {
		return r.call.method
	}
	return r.method // immutable without interceptors
}

// decodeCompressed decodes a compressed request.
func (r *rpc) decodeCompressed(c *codec, compressed []byte, limit int, into any) error {
	data, done, err := r.inflate(compressed, limit)
	buffer.Put(compressed)
	if done != nil {
		defer done()
	}
	switch {
	case err == errEnded:
		return r.endError()
	case err != nil:
		return outcomeOf(err).Err()
	}
	size := len(data)
	return r.decoded(into, size, len(compressed), c.decodeInto(data, into))
}

// decoded is called when a request of size octets has been decoded, or could not be, and returns the error that the RPC should end
// with. Its size on the wire was wireSize octets.
func (r *rpc) decoded(into any, size, wireSize int, err error) error {
	r.observed.messageReceived(into, size, wireSize, err)
	if err != nil {
		r.logDecodeError(err)
		return outcomeUndecodable.Err()
	}
	return nil
}

// logDecodeError logs why a request cannot be decoded, on the goroutine of its handler. grpc-python does so as an error. But
// clients could fill the log with such requests. Only a panic is the fault of the message's code.
func (r *rpc) logDecodeError(err error) {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := err.(*codecPanic); ok {
		logger.Error("Exception deserializing message!", "method", path, "error", logtext.Of(err), "stack", string(p.stack))
		return
	}
	logger.Debug("Exception deserializing message!", "method", path, "error", logtext.Of(err))
}

// fields implements exchange.
func (r *rpc) fields() Metadata { return fieldsOf(r.def.request) }

// send implements exchange: it sends one response of a stream.
func (r *rpc) send(ctx context.Context, c *codec, response any) error {
	if response == nil {
		return r.fail(r.logEncodeError("Send was called with nil"))
	}
	var e encoded
	handedOver := false
	defer func() {
		if !handedOver {
			buffer.Put(e.data)
			r.session.giveBack(e.reserved)
		}
	}()
	err := r.encodeResponse(ctx, &e, c, response, true)
	if err != nil {
		return r.fail(err)
	}
	if handedOver, err = r.sendEncoded(&e); err != nil {
		return err
	}
	r.observed.messageSent(response, &e)
	if r.stream.Full() && !r.waitRoom() {
		return r.endError()
	}
	return nil
}

// sendEncoded sends a response of a stream. It reports whether the transport has taken the response over, with its
// reservation.
func (r *rpc) sendEncoded(e *encoded) (handedOver bool, err error) {
	r.mu.Lock()
	if r.state.hasEnded() {
		defer r.mu.Unlock()
		return false, r.endErrorLocked()
	}
	// The client may be waiting for the first response after a request. It leaves at once if no other RPC can share the
	// write. Later responses are likely to be followed by more.
	urgent := !r.reply.sending.Swap(true) && r.session.h2.SingleStream()
	head, content := r.headersLocked(nil), e.data
	if r.def.codec != nil {
		content = r.def.codec.EncodeMessage(content)
	}
	handedOver, err = r.stream.Data(head, content, e.reserved, !urgent)
	r.mu.Unlock()
	if err != nil {
		return handedOver, r.endError()
	}
	if urgent {
		r.session.h2.Flush()
	}
	return handedOver, nil
}

// encode encodes the only response of a method in e, into the worker's buffer if that is large enough. If it fails, e is
// empty, and the error carries the status for the end of the RPC.
func (r *rpc) encode(ctx context.Context, w *work.Worker, c *codec, response any, e *encoded) error {
	if response == nil {
		return r.logEncodeError(noResponse)
	}
	e.data = w.TakeBuffer()
	if err := r.encodeResponse(ctx, e, c, response, w.MayBlock()); err != nil {
		r.drop(w, e)
		return err
	}
	r.observed.noteResponse(response, e.size)
	return nil
}

// encodeResponse encodes a response in e once the account has room for it. It uses the memory of e.data if that suffices. Its
// error carries the status for the end of the RPC. The caller owns what is in e, even after an error, or if the message's code
// ends this goroutine: therefore e is a parameter and not a result. wait says whether it may wait for room.
func (r *rpc) encodeResponse(ctx context.Context, e *encoded, c *codec, response any, wait bool) error {
	if r.call != nil {
		if err := observe(ctx, r.call.onResponse, response); err != nil {
			return err
		}
	}
	size, err := c.sizeOf(response)
	if err != nil {
		return r.logEncodeError(err)
	}
	size += wire.PrefixLen
	encoding := r.reply.encoding.next()
	reserved, ok := r.reserveResponse(encoding.Memory(size)+r.reply.initialMemory(), wait)
	if !ok {
		return r.endError()
	}
	e.reserved = reserved
	e.data, err = r.encodeMessage(e.data, c, response, size, encoding)
	e.size = plainSize(e.data, size)
	return err
}

// encodeMessage encodes a response of size octets with its prefix, in b if that is large enough. It waits for its turn to compress
// only after the encoding: if the message's code blocks, it keeps no other response from being compressed.
func (r *rpc) encodeMessage(b []byte, c *codec, response any, size int, encoding wire.Encoding) ([]byte, error) {
	if size > cap(b) {
		b = buffer.Get(size)
	}
	b, err := c.encode(wire.AppendPrefix(b, false, 0), response)
	if err != nil {
		return b, r.logEncodeError(err)
	}
	if encoding != wire.Identity {
		if !deflating.Acquire(r, &r.session.deflations) {
			return b, r.endError()
		}
		b = wire.Compress(b, encoding)
		deflating.Release()
	}
	if err := wire.CheckSent(len(b)-wire.PrefixLen, r.session.shared.options.MaxSendMessageBytes); err != nil {
		return b, outcomeOf(err).Err()
	}
	wire.SetLength(b)
	return b, nil
}

// plainSize returns the size of an encoded response before compression, without its prefix. size is what its codec
// announced, with the prefix.
func plainSize(b []byte, size int) int {
	if len(b) >= wire.PrefixLen && b[0] == 0 {
		return len(b) - wire.PrefixLen
	}
	return size - wire.PrefixLen
}

const noResponse = "the handler returned neither a response nor an error"

// logEncodeError logs why a response cannot be encoded, and returns the error for that.
func (r *rpc) logEncodeError(why any) error {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := why.(*codecPanic); ok {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why), "stack", string(p.stack))
	} else {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why))
	}
	return outcomeUnserializable.Err()
}

// drop returns the buffer to the worker, and releases the reservation of the response in it. It is called when an interceptor
// replaces the handler's response.
func (r *rpc) drop(w *work.Worker, e *encoded) {
	w.PutBuffer(e.data)
	r.session.giveBack(e.reserved)
	*e = encoded{}
}
