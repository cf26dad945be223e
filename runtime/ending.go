package runtime

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// ending is how an RPC has ended, and what has to be done then. The first two fields stay, for a handler that outlives its RPC.
// end takes the others out, so that each is done once.
type ending struct {
	outcome   outcome       // once it is over
	cause     error         // what the context's Err returns, once it is over
	done      chan struct{} // nil: not asked for yet
	after     *afterwards   // nil: nothing is to be called
	admission *budget.Claim // its claim for room to begin; nil: it has not had to wait
}

// finalResult is what an RPC ends with. Which fields are set depends on what ends it: its handler, its reader, its client, or
// something else, such as a deadline.
type finalResult struct {
	outcome  outcome // its status
	cause    error   // what the context's Err returns from then on; nil: context.Canceled
	response encoded // its only response. Nothing is reserved for it any more once it is the transport's.
	discard  bool    // drop the earlier responses that wait
	gone     bool    // the stream is gone, so nothing can be sent
}

// respond ends the RPC: with an error, with its only response, which is in a buffer of the worker's, or after the responses
// of a stream. Afterwards the caller releases what l.response still reserves.
func (r *rpc) respond(w *work.Worker, l *finalResult, err error) {
	if err != nil {
		r.endWith(outcomeOf(err), w.MayBlock())
		return
	}
	if data := l.response.data; !r.end(l) && data != nil {
		w.PutBuffer(data)
	}
}

// failed ends the RPC of a handler that did not return, and had perhaps reserved octets for its response. reason is nil if it
// called runtime.Goexit.
func (r *rpc) failed(l *finalResult, reason any) {
	r.session.giveBack(l.response.reserved)
	r.release()
	text := panicText(reason)
	defer r.end(&finalResult{outcome: outcome{Code: codes.Unknown, Message: "Exception calling application: " + text}})
	r.session.shared.logger.Error("Exception calling application", "method", logtext.Cut(r.def.path), "panic", logtext.Cut(text),
		"stack", string(debug.Stack()))
}

// fail ends the RPC with the status that an error means, and returns the status as an error. The handler may go on for as
// long as it likes, so it flushes.
func (r *rpc) fail(err error) error {
	o := outcomeOf(err)
	r.endWith(o, true)
	r.session.h2.Flush()
	return o.Err()
}

// endWith ends the RPC with a status that may be large: by its text, its details, and the trailing metadata. wait says whether
// it may wait for room.
func (r *rpc) endWith(o outcome, wait bool) {
	r.mu.Lock()
	memory := 2*wire.TrailersSize(o, r.reply.trailing) + r.reply.initialMemory()
	r.mu.Unlock()
	if memory > 2*unreservedResponseSize {
		reserved, ok := r.reserveResponse(memory, wait) // the field blocks, and what the out-buffer has of them
		if !ok {
			return
		}
		defer r.session.giveBack(reserved)
	}
	r.end(&finalResult{outcome: o})
}

// abort ends an RPC whatever its handler is doing; it may be in the middle of sending a message.
func (r *rpc) abort(o outcome, cause error) {
	if r.state.hasBegun() {
		r.end(&finalResult{outcome: o, cause: cause, discard: true})
	}
}

// end ends the RPC, unless it is over. Every way to end an RPC leads here. What follows from the end is done without mu,
// since it may call the application or need other locks. It reports whether the response has become the transport's.
func (r *rpc) end(l *finalResult) (handedOver bool) {
	r.mu.Lock()
	if r.state.hasEnded() {
		r.mu.Unlock()
		return false
	}
	if !l.gone {
		var fits bool
		if handedOver, fits = r.sendLastLocked(l); !fits {
			l.outcome, l.cause, l.response.data = outcomeOversize, nil, nil
			defer r.tooLarge() // without mu, and last
		}
	}
	releases := r.markEndedLocked(l)
	after, m, admission := r.ending.after, r.method, r.ending.admission
	r.ending.after, r.ending.admission = nil, nil
	r.mu.Unlock()
	if !releases && !r.isReleased() {
		r.session.unreleased.add(r)
	}
	after.call(r.session.shared, r.def.path)
	r.count(m, l.outcome.Code)
	if releases {
		r.release()
	}
	if admission != nil && r.session.account.Drop(admission) {
		r.redispatch() // so that Run finds out that the RPC is over
	}
	r.observed.end(l.outcome, r.reply.trailing, r.reply.headersSent, len(l.response.data)) // nobody sets these any more
	return handedOver
}

// sendLastLocked writes what the RPC ends with, and reports whether the response has become the transport's. If the client
// does not permit trailers of that size, it resets the stream instead, and fits is false: with some clients it would cost all
// RPCs of the connection to send them.
func (r *rpc) sendLastLocked(l *finalResult) (handedOver, fits bool) {
	if r.def.codec != nil {
		return r.endTranslatedLocked(l), true
	}
	limit := r.stream.MaxFieldSection()
	only := l.response.data == nil && !r.reply.headersSent && r.reply.initial.Load() == nil
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
	case l.response.data == nil && r.reply.headersSent:
		r.stream.End(block, l.discard)
	default:
		if handedOver, _ = r.stream.Message(r.headersLocked(nil), l.response.data, block, l.response.reserved); handedOver {
			l.response.reserved = 0
		}
	}
	buffer.Put(block)
	return handedOver, true
}

// endTranslatedLocked is sendLastLocked in another protocol. Its status may be part of the content, and so cannot follow a part
// of a message, which is what discard would leave.
func (r *rpc) endTranslatedLocked(l *finalResult) (handedOver bool) {
	head := r.headersLocked(nil)
	end := r.def.codec.EncodeEnd(l.outcome, l.response.data, wire.Lines(r.reply.trailing))
	switch {
	case end.Broken || l.discard && r.stream.Waiting() > 0:
		r.stream.Reset(http2.ErrCodeInternal)
		return false
	case end.Head != nil:
		head = end.Head
	}
	if handedOver, _ = r.stream.Message(head, end.Content, end.Trailers, l.response.reserved); handedOver {
		l.response.reserved = 0
	}
	return handedOver
}

// headersLocked returns the field block that precedes the first message, with the initial metadata that waits and more, or nil
// if it has been sent.
func (r *rpc) headersLocked(more Metadata) []byte {
	if r.reply.headersSent {
		return nil
	}
	r.reply.headersSent = true
	waiting, encoding := r.reply.takeInitial(), r.reply.encoding.current()
	r.observed.noteInitial(waiting, more)
	if codec := r.def.codec; codec != nil {
		return codec.EncodeHead(encoding.String(), wire.Lines(slices.Concat(waiting, more)))
	}
	if len(waiting)+len(more) == 0 {
		return wire.ResponseHeaders(encoding)
	}
	return wire.AppendMetadata(wire.AppendMetadata(wire.AppendResponseHeaders(nil, encoding), waiting), more)
}

// takeInitial takes the initial metadata that waits.
func (p *reply) takeInitial() Metadata {
	if p.initial.Load() == nil {
		return nil // as nearly always, and this costs no write to memory that others may see
	}
	return *p.initial.Swap(nil)
}

// initialMemory is what the initial metadata that waits is going to take: its field block, and what the out-buffer has of that.
func (p *reply) initialMemory() int {
	if md := p.initial.Load(); md != nil {
		return 2 * wire.MetadataSize(*md)
	}
	return 0
}

// markEndedLocked makes the RPC over, and tells those that wait. What the reader has of the request under way stays until it looks,
// or until the RPC is finished; but what was reserved for the rest of it is not needed, whatever still comes.
func (r *rpc) markEndedLocked(l *finalResult) (releases bool) {
	r.ending.outcome, r.ending.cause = l.outcome, l.cause
	if l.cause == nil {
		r.ending.cause = context.Canceled
	}
	releases = r.state.end()
	r.requests.drop(&r.memory)
	r.in.claim.Load().drop()
	if r.ending.done != nil {
		close(r.ending.done)
	}
	r.requests.signal()
	return releases
}

// HandleRemoved implements http2.StreamHandler. Any goroutine may call it, with the connection's lock held: so it takes no lock
// of the RPC's, and what it gives back needs only the account.
func (r *rpc) HandleRemoved() {
	if r.state.remove() {
		r.freeResources()
	}
}

// freeResources gives back what the RPC still holds. Only what its reader does may come later.
func (r *rpc) freeResources() {
	r.memory.close()
	r.session.dropHead(r.def)
	r.in.claim.Load().drop()
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
	r.session.shared.logOnOtherGoroutine(func() { // what ends this RPC may be about to end others
		logger.Log(context.Background(), level,
			"The trailers are larger than the client permits (SETTINGS_MAX_HEADER_LIST_SIZE); the stream was reset",
			"method", logtext.Cut(r.def.path), "metadata", size, "limit", limit)
	})
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
	case !r.state.hasEnded():
		return outcomeCancelled.Err()
	case r.ending.outcome.Code == codes.OK:
		return outcomeEnded.Err()
	}
	return r.ending.outcome.Err()
}

// Done implements context.Context. Most handlers never ask for the channel, so it is made for the first that does.
func (r *rpc) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending.done == nil {
		r.ending.done = make(chan struct{})
		if r.state.hasEnded() {
			close(r.ending.done)
		}
	}
	return r.ending.done
}

// Err implements context.Context. It says why the RPC is over: context.Canceled after its status was sent too, so that what a
// handler has left behind ends.
func (r *rpc) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending.cause
}

// AfterFunc is what package context looks for in a foreign context, to save a goroutine for each context made from it.
// f runs on a goroutine of its own once the RPC is over.
func (r *rpc) AfterFunc(f func()) (stop func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.hasEnded() {
		r.session.shared.callAfter(f)
		return func() bool { return false }
	}
	a := r.ending.afterwards()
	if a.funcs == nil {
		a.funcs = map[*func()]struct{}{}
	}
	entry := &f
	a.funcs[entry] = struct{}{}
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.state.hasEnded() {
			return false // f has been called, or is about to be
		}
		_, pending := a.funcs[entry]
		delete(a.funcs, entry)
		return pending
	}
}

// afterwards holds the callbacks of an RPC, called once it is over. It is made for the first callback, since most RPCs have
// none. The callbacks run on other goroutines: the one that ends an RPC may be its reader, or hold a lock.
type afterwards struct {
	funcs     map[*func()]struct{}
	callbacks []func()
}

// afterwards returns the callbacks of the RPC, for adding one.
func (e *ending) afterwards() *afterwards {
	if e.after == nil {
		e.after = &afterwards{}
	}
	return e.after
}

// call calls all callbacks, on other goroutines. a may be nil.
func (a *afterwards) call(s *serverState, path string) {
	if a == nil {
		return
	}
	for f := range a.funcs {
		s.callAfter(*f)
	}
	if a.callbacks != nil {
		s.callBack(a.callbacks, path)
	}
}

// callAfter calls a function that AfterFunc was given.
func (s *serverState) callAfter(f func()) { s.spawn("a function to be called after an RPC", f) }

// callBack calls the functions that AddCallback was given, in that order. If one panics or ends its goroutine, the
// others are called all the same.
func (s *serverState) callBack(callbacks []func(), path string) {
	s.spawn("the callbacks of an RPC", func() {
		for i, f := range callbacks {
			safely(f, func(reason any) {
				if reason == nil { // this goroutine does not go on
					defer s.callBack(callbacks[i+1:], path)
				}
				text, stack := logtext.Cut(panicText(reason)), string(debug.Stack())
				s.logOnOtherGoroutine(func() { // or it could end this goroutine
					s.logger.Error("Exception calling callback!", "method", logtext.Cut(path), "panic", text, "stack", stack)
				})
			})
		}
	})
}
