package runtime

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// The worker's part of an RPC: it runs the handler, encodes what that returns, and ends the RPC.

// Flusher implements work.Task.
func (r *rpc) Flusher() work.Flusher { return r.session.h2 }

// Run implements work.Task: it runs the handler, unless there is no room for it yet or the RPC has ended. Whatever the handler
// does, the RPC is released and ends: otherwise it would count as active for ever.
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

// awaits reports whether the RPC has to wait for room before it begins; it is then dispatched once more.
func (r *rpc) awaits() bool {
	account := r.session.account
	if account.MayBegin() && account.Waiting(budget.ForBeginning) == 0 {
		return false
	}
	r.mu.Lock()
	if r.state.isOver() || r.ending.beginning != nil && account.MayBegin() { // it has waited
		r.mu.Unlock()
		return false
	}
	r.ending.beginning = &budget.Claim{Line: budget.ForBeginning, Granted: r.redispatch}
	granted := account.Ask(r.ending.beginning)
	r.mu.Unlock()
	if !granted {
		r.session.stalls()
	}
	return !granted
}

// redispatch hands the RPC to the workers once more.
func (r *rpc) redispatch() {
	r.session.queueOf(r.method).Push(r)
}

// begin reports whether the RPC can go on: to its interceptors or, if there are none, to its handler. It may have ended while it
// waited for a worker, and then no answer can be sent.
func (r *rpc) begin() bool {
	if r.session.shared.chain != nil {
		return !r.state.isEnding()
	}
	return r.state.enter(r.session.queueOf(r.method).Bounded())
}

// answer runs the handler, within the interceptors if there are any. It returns the response of a method with one, encoded:
// only then is it sure that the RPC can end with OK.
func (r *rpc) answer(w *work.Worker) (encoded, error) {
	if next := r.session.shared.chain; next != nil {
		return r.intercepted(w, next)
	}
	message, err := r.observed.handle(r, r.method, r)
	if err != nil || r.method.cardinality.ResponseStreaming() {
		return encoded{}, err
	}
	return r.encode(r, w, r.method.responses, message)
}

// intercepted runs the interceptors, and returns what answer does.
func (r *rpc) intercepted(w *work.Worker, chain ServerNext) (encoded, error) {
	path := r.def.path
	r.call = &ServerCall{rpc: r, sent: path, path: path, method: r.method, missing: r.missing(), worker: w, logger: r.session.shared.logger}
	return r.call.run(r, chain)
}

// recovered ends the RPC of a handler that did not return. reason is nil if it called runtime.Goexit.
func (r *rpc) recovered(reason any) {
	text := panicText(reason)
	defer r.end(&last{outcome: outcome{Code: codes.Unknown, Message: "Exception calling application: " + text}})
	r.session.shared.logger.Error("Exception calling application", "method", logtext.Cut(r.def.path), "panic", logtext.Cut(text),
		"stack", string(debug.Stack()))
}

// encode encodes the only response of a method, into the worker's buffer if that is large enough. Its error carries the
// status that the RPC should end with.
func (r *rpc) encode(ctx context.Context, w *work.Worker, c *codec, response any) (encoded, error) {
	if response == nil {
		return encoded{}, r.unserializable(noResponse)
	}
	e, err := r.encodeResponse(ctx, w.TakeBuffer(), c, response, w.MayBlock())
	if err != nil {
		r.drop(w, e)
		return encoded{}, err
	}
	r.observed.willAnswer(response, e)
	return e, nil
}

// encodeResponse encodes a response, in b if it has the room, once the account has room for it. Its error carries the status that
// the RPC should end with; what is returned with it is the caller's all the same. wait says whether it may wait for room.
func (r *rpc) encodeResponse(ctx context.Context, b []byte, c *codec, response any, wait bool) (_ encoded, err error) {
	if r.call != nil {
		if err := observe(ctx, r.call.onResponse, response); err != nil {
			return encoded{data: b}, err
		}
	}
	size, err := c.sizeOf(response)
	if err != nil {
		return encoded{data: b}, r.unserializable(err)
	}
	size += wire.PrefixLen
	encoding := r.reply.encoding.next()
	paid, ok := r.reserveResponse(encoding.Memory(size)+r.reply.initialMemory(), wait)
	if !ok {
		return encoded{data: b}, r.endError()
	}
	returned := false
	defer func() {
		if !returned { // the RPC has ended, or the code of the message has ended the goroutine, or the log
			r.session.giveBack(paid)
		}
	}()
	b, err = r.encodeMessage(b, c, response, size, encoding)
	returned = true
	return encoded{b, paid, plainSize(b, size)}, err
}

// reserveResponse reserves the memory for a response of so many octets. It returns how much that is.
func (r *rpc) reserveResponse(size int, wait bool) (paid int64, ok bool) {
	account := r.session.account
	if size <= freeResponse && account.MayBegin() {
		return 0, true
	}
	paid = int64(buffer.Size(size))
	return paid, r.reserve(paid, wait)
}

// encodeMessage encodes a response of size octets with its prefix, in b if it has the room. One that is to be compressed waits for
// its turn only once it is encoded: code of the message's that blocks keeps no other response from being compressed.
func (r *rpc) encodeMessage(b []byte, c *codec, response any, size int, encoding wire.Encoding) ([]byte, error) {
	if size > cap(b) {
		b = buffer.Get(size)
	}
	b, err := c.encode(wire.AppendPrefix(b, false, 0), response)
	if err != nil {
		return b, r.unserializable(err)
	}
	if encoding != wire.Identity {
		if !deflating.Take(r, &r.session.deflations) {
			return b, r.endError()
		}
		b = wire.Compress(b, encoding)
		deflating.Give()
	}
	if err := wire.CheckSent(len(b)-wire.PrefixLen, r.session.shared.limits.sent); err != nil {
		return b, outcomeOf(err).Err()
	}
	wire.SetLength(b)
	return b, nil
}

// plainSize returns the octets of an encoded response before it was compressed, without its prefix. It had announced size
// octets, with the prefix.
func plainSize(b []byte, size int) int {
	if len(b) >= wire.PrefixLen && b[0] == 0 {
		return len(b) - wire.PrefixLen
	}
	return size - wire.PrefixLen
}

const noResponse = "the handler returned neither a response nor an error"

// unserializable says that a response cannot be sent.
func (r *rpc) unserializable(why any) error {
	logger, path := r.session.shared.logger, logtext.Cut(r.def.path)
	if p, ok := why.(*codecPanic); ok {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why), "stack", string(p.stack))
	} else {
		logger.Error("Exception serializing message!", "method", path, "error", logtext.Of(why))
	}
	return outcomeUnserializable.Err()
}

// drop gives the worker its buffer back, and the account what was reserved for the response in it. An interceptor that answers
// in the place of a handler replaces a response so.
func (r *rpc) drop(w *work.Worker, response encoded) {
	w.PutBuffer(response.data)
	r.session.giveBack(response.paid)
}

// release is called when no handler runs any more or will.
func (r *rpc) release() {
	first, finishes := r.state.release()
	if finishes {
		r.finish()
	}
	if first {
		if r.state.isOver() {
			r.session.lingering.remove(r)
		}
		r.session.shared.active.Add(-1)
		r.session.account.End(budget.Handlers)
	}
}

// isReleased implements releasable.
func (r *rpc) isReleased() bool { return r.state.isReleased() }

// complete ends the RPC: with an error, with its only response, which is in a buffer of the worker's, or after the responses
// of a stream. What is reserved for the response after that is the caller's to give back.
func (r *rpc) complete(w *work.Worker, response *encoded, err error) {
	if err != nil {
		r.endWith(outcomeOf(err), w.MayBlock())
		return
	}
	l := &last{response: response.data, paid: response.paid}
	defer func() { response.paid = l.paid }() // also if what end calls ends this goroutine
	if !r.end(l) && response.data != nil {
		w.PutBuffer(response.data)
	}
}

// endWith ends the RPC with a status that may be large: by its text, its details, and the trailing metadata. wait says whether
// it may wait for room.
func (r *rpc) endWith(o outcome, wait bool) {
	r.mu.Lock()
	memory := 2*wire.TrailersSize(o, r.reply.trailing) + r.reply.initialMemory()
	r.mu.Unlock()
	if memory > 2*freeResponse {
		paid, ok := r.reserveResponse(memory, wait) // the field blocks, and what the out-buffer has of them
		if !ok {
			return
		}
		defer r.session.giveBack(paid)
	}
	r.end(&last{outcome: o})
}

// last is what an RPC ends with. Which fields are set depends on what ends it: its handler, its reader, its client, or something
// from outside, as a deadline.
type last struct {
	outcome  outcome // its status
	cause    error   // what the context's Err returns from then on; nil: context.Canceled
	response []byte  // its only response, encoded; nil: there is none
	paid     int64   // octets that are reserved for the response; 0 once that is the transport's
	discard  bool    // what waits of earlier responses is not sent
	gone     bool    // its stream is, so nothing can be sent
}

// abort ends an RPC whose handler may be anywhere, in the middle of sending a message included.
func (r *rpc) abort(o outcome, cause error) {
	if r.state.hasBegun() {
		r.end(&last{outcome: o, cause: cause, discard: true})
	}
}

// end ends the RPC, unless it is over. All ends come here. What it makes due is done without mu: it may call the application,
// or need other locks. It reports whether the response has become the transport's.
func (r *rpc) end(l *last) (handedOver bool) {
	r.mu.Lock()
	if r.state.isOver() {
		r.mu.Unlock()
		return false
	}
	if !l.gone {
		var fits bool
		if handedOver, fits = r.sendLastLocked(l); !fits {
			l.outcome, l.cause, l.response = outcomeOversize, nil, nil
			defer r.tooLarge() // without mu, and last
		}
	}
	releases := r.overLocked(l)
	after, m, beginning := r.ending.after, r.method, r.ending.beginning
	r.ending.after, r.ending.beginning = nil, nil
	r.mu.Unlock()
	if !releases && !r.isReleased() {
		r.session.lingering.add(r)
	}
	after.call(r.session.shared, r.def.path)
	r.count(m, l.outcome.Code)
	if releases {
		r.release()
	}
	if beginning != nil && r.session.account.Drop(beginning) {
		r.redispatch() // it has waited long enough to find out that it is over
	}
	r.observed.end(l.outcome, r.reply.trailing, r.reply.headersSent, len(l.response)) // nobody sets these any more
	return handedOver
}

// sendLastLocked writes what the RPC ends with, and reports whether the response has become the transport's. If the client
// does not permit trailers of that size, it resets the stream instead, and fits is false: with some clients it would cost all
// RPCs of the connection to send them.
func (r *rpc) sendLastLocked(l *last) (handedOver, fits bool) {
	limit := r.stream.MaxFieldSection()
	only := l.response == nil && !r.reply.headersSent && r.reply.initial.Load() == nil
	var block []byte
	if only {
		block = wire.TrailersOnly(l.outcome, r.reply.trailing, limit)
	} else {
		block = wire.Trailers(l.outcome, r.reply.trailing, limit)
	}
	switch { // an error means that the stream is over, which HandleClose tells
	case block == nil:
		r.stream.Reset(http2.ErrCodeInternal)
		return false, false
	case only:
		r.stream.Message(block, nil, nil, 0)
	case l.response == nil && r.reply.headersSent:
		r.stream.End(block, l.discard)
	default:
		if handedOver, _ = r.stream.Message(r.headersLocked(nil), l.response, block, l.paid); handedOver {
			l.paid = 0
		}
	}
	buffer.Put(block)
	return handedOver, true
}

// headersLocked returns the field block that precedes the first message, with the initial metadata that waits and more, or nil
// if it has been sent.
func (r *rpc) headersLocked(more Metadata) []byte {
	if r.reply.headersSent {
		return nil
	}
	r.reply.headersSent = true
	waiting, encoding := r.reply.takeInitial(), r.reply.encoding.current()
	r.observed.willSend(waiting, more)
	if len(waiting)+len(more) == 0 {
		return wire.ResponseHeaders(encoding)
	}
	return wire.AppendMetadata(wire.AppendMetadata(wire.AppendResponseHeaders(nil, encoding), waiting), more)
}

// takeInitial takes the initial metadata that waits.
func (p *reply) takeInitial() Metadata {
	if md := p.initial.Swap(nil); md != nil {
		return *md
	}
	return nil
}

// initialMemory is what the initial metadata that waits is going to take: its field block, and what the out-buffer has of that.
func (p *reply) initialMemory() int {
	if md := p.initial.Load(); md != nil {
		return 2 * wire.MetadataSize(*md)
	}
	return 0
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

// count counts the RPC under its method. Every RPC is counted once, since it ends once.
func (r *rpc) count(m *method, code codes.Code) {
	if m != nil {
		m.counters.add(code)
		return
	}
	r.session.shared.rejected.add(code)
}

// usualFieldSection is what gRPC's clients permit at least unless they are told otherwise, in octets as RFC 9113, Section
// 6.5.2 counts them.
const usualFieldSection = 8 << 10

// tooLarge logs that trailers were larger than the client permits. Metadata that no client need take is the application's
// mistake; if it is less, the limit is what is odd, and a client could fill the log with it.
func (r *rpc) tooLarge() {
	size, limit := wire.MetadataSize(r.reply.trailing), r.stream.MaxFieldSection() // the RPC is over: nobody sets them any more
	level := slog.LevelDebug
	if size > usualFieldSection {
		level = slog.LevelError
	}
	logger := r.session.shared.logger
	r.session.shared.aside(func() { // what ends this RPC may be about to end others
		logger.Log(context.Background(), level,
			"The trailers are larger than the client permits (SETTINGS_MAX_HEADER_LIST_SIZE); the stream was reset",
			"method", logtext.Cut(r.def.path), "metadata", size, "limit", limit)
	})
}
