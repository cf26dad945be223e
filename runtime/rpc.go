package runtime

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
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

	state rpcState
	tab   tab // what it has of the connection's account

	// Owned by the reader, and then by the worker.
	method  *method  // nil: not known, and left to the interceptors; they change it with mu held
	missing *refusal // why there is no method
	request message
	call    *Call // nil without interceptors
	waited  bool  // it has waited for room to begin

	// Owned by the reader until the RPC goes to a worker, and then immutable; written with mu held.
	requestStreaming bool // requests are queued as they come

	// Owned by the reader.
	came requestState
	in   incoming

	compression atomic.Uint32                // of responses, and compressionFixed
	plainNext   atomic.Bool                  // the next response is not compressed
	sending     atomic.Bool                  // a response has been sent since the last request was taken
	unpacked    uint32                       // octets that have been taken of the pack that is first in queue. Guarded by mu.
	large       atomic.Pointer[largeRequest] // nil: no large request has come; stored by the reader

	mu sync.Mutex
	// Guarded by mu.
	deadline    time.Time // zero: none
	ending      outcome   // how it ended, once it is over
	cause       error     // what the context's Err returns, once it is over
	done        chan struct{}
	afterwards  *afterwards   // what is to be called once it is over; nil: nothing
	beginning   *budget.Claim // waits for room; nil: it has not had to
	trailing    Metadata
	queue       []message // requests; those from taken on wait for the handler
	taken       int
	consumed    int // octets taken and not given back to the flow-control window
	arrived     *sync.Cond
	headersSent bool
	noMore      bool // the last request is in queue, or was
	starving    bool // its handler waits for a request
}

// afterwards is what is called once an RPC is over.
type afterwards struct {
	funcs     map[*func()]struct{}
	callbacks []func()
}

// HandleHead implements http2.StreamHandler.
func (r *rpc) HandleHead(_ *fields.Section, endStream bool) {
	came := time.Time{}
	if r.def.hasTimeout {
		came = time.Now() // what the generic handlers take counts
	}
	if r.def.refusal != nil {
		r.refuse(r.def.refusal)
		return
	}
	r.session.shared.find(r.def, func(m *method, missing *refusal) {
		r.method, r.missing = m, missing
		r.start(came, endStream)
	})
}

// start makes an RPC of the request, or refuses it. With interceptors, all requests become RPCs in the same way and go to
// them at the same moment, whether there is a method or not: to clients that they refuse, both are to look the same.
func (r *rpc) start(came time.Time, endStream bool) {
	s := r.session.shared
	switch {
	case r.missing != nil && s.chain == nil:
		r.refuse(r.missing)
		return
	case !s.admit():
		r.refuse(limitExceeded)
		return
	}
	r.requestStreaming = r.method == nil || r.method.requestStreaming
	r.session.account.Begin(budget.Handlers)
	r.session.addHead(r.def)
	r.state.begin() // before there is a deadline, at which the alarm of another RPC would end this one
	if r.def.hasTimeout {
		r.mu.Lock()
		r.deadline = came.Add(r.def.timeout)
		r.mu.Unlock()
		if r.def.timeout <= 0 {
			r.failFromReader(outcomeDeadline)
			return
		}
		r.session.deadlines.watch(r.deadline)
	}
	if r.requestStreaming || s.chain != nil {
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
	r.came.ignore()
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

// HandleTrailers implements http2.StreamHandler: a client's trailers say nothing but that there is no more.
func (r *rpc) HandleTrailers(*fields.Section) { r.HandleData(nil, true) }

// HandleData implements http2.StreamHandler: it cuts the content into messages.
func (r *rpc) HandleData(data []byte, endStream bool) {
	if !r.came.ignored() && r.state.isEnding() {
		r.stopReading() // its handler has ended it
	}
	for len(data) > 0 && !r.came.ignored() {
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
	if endStream && !r.came.ignored() {
		r.endRequests()
	}
	if r.came.ignored() && !endStream && !r.state.hasBegun() && r.stream.Consumed(len(data)) {
		r.session.h2.FlushAfterBatch() // what was refused is read to its end
	}
}

// deliver takes a message that is complete.
func (r *rpc) deliver(m message) {
	r.came.message()
	intercepted := r.session.shared.chain != nil
	if r.came.several() && intercepted {
		r.queueRequests()
	}
	switch {
	case r.requestStreaming:
		r.mu.Lock()
		r.enqueueLocked(m)
		arrived := r.arrived
		r.mu.Unlock()
		if arrived != nil {
			arrived.Broadcast() // without mu, which who is woken wants
		}
	case r.came.several(): // at once: the client may go on for ever
		r.failFromReader(notOneRequest(r.def.path))
	default:
		r.request = m
		if !intercepted && r.stream.Consumed(wire.PrefixLen+len(m.data)) {
			r.session.h2.FlushAfterBatch()
		}
	}
}

// queueRequests has requests queued from now on, those included that have come.
func (r *rpc) queueRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.requestStreaming {
		return
	}
	r.requestStreaming, r.noMore = true, r.came.finished()
	if r.request.data != nil && !r.state.isOver() {
		r.queue = append(r.queue, r.request)
	}
	r.request = message{}
}

// endBatch implements dispatched: it is called with the end of the batch in which an RPC began that goes to interceptors now. If its method has one
// request, and that has not come as a whole or is not the only one, this is for the interceptors to learn before it is for
// the client: what comes is queued until a handler asks for it. The usual request is complete, and needs no queue.
func (r *rpc) endBatch() {
	if !r.came.one() || !r.came.finished() {
		r.queueRequests()
	}
}

// endRequests is called when the client has half-closed.
func (r *rpc) endRequests() {
	r.came.finish()
	switch {
	case r.in.Partial():
		r.failFromReader(outcome{Code: codes.Internal, Message: "the request ended in the middle of a message"})
	case r.requestStreaming:
		r.mu.Lock()
		r.noMore = true
		r.signalLocked()
		r.mu.Unlock()
	case r.session.shared.chain != nil: // see endBatch
	case !r.came.one():
		r.failFromReader(notOneRequest(r.def.path))
	default:
		r.dispatch()
	}
}

// notOneRequest is grpc-python's answer, but for its spelling of the path, which shows as a Python literal.
func notOneRequest(path string) outcome {
	return outcome{Code: codes.Unimplemented, Message: `"` + excerpt.Of(path) + `" requires exactly one request message.`}
}

// failFromReader ends the RPC because of something wrong with the request.
func (r *rpc) failFromReader(o outcome) {
	r.stopReading()
	r.session.h2.FlushAfterBatch()
	r.end(last{outcome: o})
}

// HandleClose implements http2.StreamHandler.
func (r *rpc) HandleClose(err error) {
	r.end(last{outcome: outcomeCancelled, gone: true})
	r.stopReading()
}

// stopReading drops the request under way, once the RPC is over: its handler may go on for long, or not have begun.
func (r *rpc) stopReading() {
	r.came.ignore()
	r.in.Drop()
	r.tab.giveBack(int64(r.in.paid))
	if v := r.large.Load(); v != nil {
		r.session.account.Drop(&v.claim)
	}
	r.in = incoming{}
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
	first, settles := r.state.release()
	if settles {
		r.settle()
	}
	if first {
		r.session.shared.active.Add(-1)
		r.session.account.End(budget.Handlers)
	}
}

// HandleRemoved implements http2.StreamHandler.
func (r *rpc) HandleRemoved() {
	if r.state.remove() {
		r.settle()
	}
}

// settle gives back what the RPC still holds. Only what its reader does may come later.
func (r *rpc) settle() {
	r.tab.close()
	r.session.dropHead(r.def)
	if v := r.large.Load(); v != nil {
		r.session.account.Drop(&v.claim)
	}
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
func (r *rpc) end(l last) (kept bool) {
	r.mu.Lock()
	if r.state.isOver() {
		r.mu.Unlock()
		return false
	}
	if !l.gone {
		var fits bool
		if kept, fits = r.sendLastLocked(&l); !fits {
			l.outcome, l.cause = outcomeOversize, nil
			defer r.tooLarge() // last, since the log may end the goroutine
		}
	}
	if r.ending, r.cause = l.outcome, l.cause; r.cause == nil {
		r.cause = context.Canceled
	}
	releases := r.state.end()
	r.dropRequestsLocked()
	if r.done != nil {
		close(r.done)
	}
	r.signalLocked()
	afterwards, m, beginning := r.afterwards, r.method, r.beginning
	r.afterwards, r.beginning = nil, nil
	r.mu.Unlock()
	if afterwards != nil {
		r.callAll(afterwards)
	}
	r.count(m, l.outcome.Code)
	if releases {
		r.release()
	}
	if beginning != nil && r.session.account.Drop(beginning) {
		r.redispatch() // it has waited long enough to find out that it is over
	}
	return kept
}

// callAll calls what is to be called now that the RPC is over.
func (r *rpc) callAll(a *afterwards) {
	for f := range a.funcs {
		r.callAfter(*f)
	}
	if a.callbacks != nil {
		r.callBack(a.callbacks)
	}
}

// afterwardsLocked returns what is to be called once the RPC is over, to be added to.
func (r *rpc) afterwardsLocked() *afterwards {
	if r.afterwards == nil {
		r.afterwards = &afterwards{}
	}
	return r.afterwards
}

// count counts the RPC under its method.
func (r *rpc) count(m *method, code codes.Code) {
	if m != nil {
		m.counters.add(code)
		return
	}
	r.session.shared.rejected.add(code)
}

// callBack calls what AddCallback was given, in that order. A callback that panics, or ends its goroutine, is no reason
// to skip the others.
func (r *rpc) callBack(callbacks []func()) {
	s := r.session.shared
	s.spawn("the callbacks of an RPC", func() {
		for i, f := range callbacks {
			safely(f, func(reason any) {
				if reason == nil { // this goroutine does not go on
					defer r.callBack(callbacks[i+1:])
				}
				s.logger.Error("Exception calling callback!", "method", logtext.Cut(r.def.path),
					"panic", logtext.Cut(panicText(reason)), "stack", string(debug.Stack()))
			})
		}
	})
}

// signalLocked wakes a handler that waits for a request.
func (r *rpc) signalLocked() {
	if r.arrived != nil {
		r.arrived.Broadcast() // there should be one; two are a mistake, but must not wait for ever
	}
}

// nextMessage waits for the next request of a stream, and takes it.
func (r *rpc) nextMessage() (message, error) {
	m, err := r.awaitMessage()
	if err == nil {
		r.took(m)
	}
	return m, err
}

// awaitMessage waits for the next request. The handler has not taken it yet.
func (r *rpc) awaitMessage() (message, error) {
	r.mu.Lock()
	for !r.state.isOver() && r.taken == len(r.queue) && !r.noMore {
		r.waitRequestLocked()
	}
	if r.state.isOver() {
		defer r.mu.Unlock()
		return message{}, r.endErrorLocked()
	}
	if r.taken == len(r.queue) {
		r.mu.Unlock()
		return message{}, io.EOF
	}
	r.sending.Store(false)
	m := r.dequeueLocked()
	r.consumed += wire.PrefixLen + len(m.data)
	credit := 0
	if r.consumed >= creditAtOnce {
		credit, r.consumed = r.consumed, 0
	}
	r.mu.Unlock()
	if credit > 0 && r.stream.Consumed(credit) {
		r.session.h2.Flush()
	}
	return m, nil
}

// waitRequestLocked waits until something has happened that a handler may wait for which wants a request.
func (r *rpc) waitRequestLocked() {
	if r.arrived == nil {
		r.arrived = sync.NewCond(&r.mu)
	}
	r.starving = true
	if r.large.Load() != nil {
		r.session.account.Urge() // the request may be waiting for room
	}
	r.arrived.Wait()
	r.starving = false
}

// creditAtOnce is how many octets a handler takes before they are given back to the flow-control window: an eighth of
// it, since the transport tells the client once half is missing.
const creditAtOnce = 8 << 10

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
	if r.method != m { // nobody else writes it
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
	if r.requestStreaming && !m.requestStreaming {
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

// offerRequest implements intercepted. It puts the request, of an RPC that was begun as one with a single request, where the handler is going to ask
// for it: as the first of several, or as the only one. It is never in both places: who takes it may give its memory back.
func (r *rpc) offerRequest(streaming bool) {
	if r.requestStreaming {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch offered := r.noMore; {
	case streaming && !offered && !r.state.isOver():
		r.queue, r.noMore = []message{r.request}, true
		r.request = message{}
	case !streaming && offered && !r.state.isOver():
		r.request = r.queue[0]
		r.queue, r.noMore = nil, false
	}
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
