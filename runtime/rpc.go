package runtime

import (
	"math"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// rpc is one RPC, from the field block of its request to the end of its handler. It is also the handler's context
// (rpccontext.go).
//
// It ends in two ways, in either order. It is over once its status has been sent, or can no longer be sent. It is
// released once no handler runs for it, or ever will.
type rpc struct {
	stream http2.Stream
	work.Link

	// Immutable after HandleHead.
	session *connState
	def     *callDefinition

	state          rpcState
	queuesRequests bool          // requests are queued as they come; written before the RPC begins, and by the reader with mu held
	broken         bool          // the lookup of the method has failed. Immutable after HandleHead.
	memory         requestMemory // what the connection's account counts for its requests

	// Owned by the reader, and then by the worker.
	method  *method // nil: not known; interceptors may set it, with mu held
	request message
	call    *ServerCall // nil without interceptors

	observed *rpcObservers // nil: there are none. Immutable after HandleHead.

	in incoming // owned by the reader

	mu locks.Mutex[locks.RPC]
	// Guarded by mu, except atomics. Once the worker has the RPC, it alone writes the deadline, and so reads it without mu.
	deadline clock.Instant // zero: none
	requests requestQueue
	reply    reply
	ending   ending
}

// reply is the state of an RPC's answer. rpc.mu guards the headers and the trailers. The rest is atomic: a handler may change
// how the next response is compressed while another of its goroutines sends one.
type reply struct {
	encoding    responseEncoding
	sending     atomic.Bool // a response has been sent since the last request was taken
	headersSent bool
	initial     atomic.Pointer[Metadata] // to be sent with the headers; nil: none. Stored with mu held.
	trailing    Metadata
}

// HandleHead implements http2.StreamHandler. The head has been read already, for the callDefinition. If the dictionary
// has the method, no lookup is left to do.
func (r *rpc) HandleHead(_ *fields.Section, endStream bool) {
	began := time.Time{}
	if r.def.hasTimeout || r.session.observers != nil {
		began = time.Now() // the time that generic handlers take counts
	}
	switch {
	case r.def.refusal != nil:
		r.refuse(r.def.refusal)
	case r.def.method != nil:
		r.method = r.def.method
		r.start(began, endStream)
	default:
		r.session.shared.askGeneric(r.def, func(m *method, missing *refusal) {
			r.method, r.broken = m, missing == lookupFailed
			r.start(began, endStream)
		})
	}
}

// start makes an RPC of the request, or refuses it. With interceptors, all requests become RPCs in the same way and reach
// the interceptors at the same moment, whether the method exists or not. Clients that the interceptors refuse must not be
// able to tell the difference.
func (r *rpc) start(began time.Time, endStream bool) {
	s := r.session.shared
	switch {
	case r.method == nil && s.chain == nil:
		r.observe(began)
		r.refuse(r.missing())
		return
	case !r.admit():
		r.refuse(limitExceeded)
		return
	}
	r.observe(began)
	r.queuesRequests = r.method == nil || r.method.cardinality.RequestStreaming()
	r.session.account.Begin(budget.Handlers)
	r.session.addHead(r.def)
	r.state.begin() // before the deadline is set: from then on, the alarm of another RPC may end this one
	if r.def.hasTimeout {
		r.mu.Lock()
		r.deadline = clock.Of(began).Add(r.def.timeout)
		r.mu.Unlock()
		if r.def.timeout <= 0 {
			r.failFromReader(outcomeDeadline)
			return
		}
		r.session.deadlines.watch(r.deadline)
	}
	if r.queuesRequests || s.chain != nil {
		r.dispatch()
	}
	if endStream {
		r.HandleData(nil, true)
	}
}

// admit counts the RPC, and reports false if there are too many. It counts before it compares: of two RPCs that come at once on
// two connections, only one can get the last place.
func (r *rpc) admit() bool {
	s := r.session.shared
	limit := int64(s.options.MaxConcurrentRPCs)
	if s.active.Add(1) > limit && limit > 0 {
		s.active.Add(-1)
		return false
	}
	return true
}

// missing returns why there is no method.
func (r *rpc) missing() *refusal {
	if r.broken {
		return lookupFailed
	}
	return methodNotFound
}

// observe tells the observers, if there are any, that the RPC begins.
func (r *rpc) observe(began time.Time) {
	if c := r.session.observers; c != nil && r.def.direct == nil {
		r.observed = &rpcObservers{info: r.describe()}
		r.observed.info.Begun = began
		if r.def.hasTimeout {
			r.observed.info.Deadline = began.Add(r.def.timeout)
		}
		c.begin(r.session.values, r.observed)
	}
}

// describe returns what the header of the request says.
func (r *rpc) describe() RPCInfo {
	info := RPCInfo{
		ID: RPCID{Number: uint64(r.stream.ID())}, State: RPCReceiving,
		Method: r.def.path, Registered: r.def.method != nil && r.def.direct == nil,
		Authority: r.def.authority, InvocationMetadata: r.def.metadata, request: r.def.request,
	}
	if m := r.method; m != nil {
		info.Cardinality = m.Cardinality()
	}
	return info
}

// tellRefused tells the observers of a refusal. If they know the RPC already, they are told of its end instead.
func (r *rpc) tellRefused(why *refusal) {
	if r.observed != nil {
		r.observed.end(why.outcome, nil, false, 0)
		return
	}
	r.session.observers.refused(r.def.details(), why.outcome, why.reason())
}

// refuse answers a request that does not become an RPC. It does so at once, also in HTTP's terms: a client may keep its
// request open until it is answered. The rest of the request is declined (RFC 9113, Section 8.1) or, if the client speaks
// HTTP, discarded.
func (r *rpc) refuse(why *refusal) {
	r.in.state.ignore()
	r.state.refuse()
	r.session.shared.rejected.add(why.outcome.Code)
	var head, data []byte
	switch {
	case r.def.codec != nil:
		r.stream.ReadToEnd()
		r.mu.Lock()
		r.endTranslatedLocked(&finalResult{outcome: why.outcome})
		r.mu.Unlock()
	case why.httpStatus == 0:
		head = wire.TrailersOnly(why.outcome, Metadata(nil), math.MaxInt)
		if r.def.badEncoding {
			head = fields.AppendField(head, "grpc-accept-encoding", wire.AcceptEncoding)
		}
	default:
		head, data = why.inHTTP()
		r.stream.ReadToEnd() // a client that does not speak gRPC may expect to send its whole request
	}
	r.stream.Message(head, data, nil, 0)
	buffer.Put(head)
	r.session.h2.FlushAfterBatch()
	r.tellRefused(why)
}

// HandleData implements http2.StreamHandler: it cuts the content into messages.
func (r *rpc) HandleData(data []byte, endStream bool) {
	if !r.in.state.ignored() && r.state.isEnding() {
		r.stopReading() // the handler has ended the RPC
	}
	if r.def.codec != nil && !r.in.state.ignored() {
		r.translate(data, endStream)
	} else {
		data = r.cut(data, !endStream)
	}
	if endStream && !r.in.state.ignored() {
		r.endRequests()
	}
	if r.in.state.ignored() && !endStream && !r.state.hasBegun() && r.stream.Consumed(len(data)) {
		r.session.h2.FlushAfterBatch() // a refused request is read to its end
	}
}

// cut cuts messages out of the content. If a message is incomplete and more may come, it asks for the rest. It returns
// the octets that nobody wants.
func (r *rpc) cut(data []byte, more bool) (unwanted []byte) {
	for len(data) > 0 && !r.in.state.ignored() {
		var done bool
		var err error
		data, done, err = r.in.Feed(data, r.session.shared.options.MaxReceiveMessageBytes, r.def.compression, r.unasked)
		r.payForRequest()
		switch {
		case err != nil:
			r.failFromReader(outcomeOf(err))
		case done:
			r.deliver(r.requestArrived())
		case more && r.in.Missing() > 0:
			r.expectRest()
		}
	}
	return data
}

// translate has the codec turn the content into gRPC messages, and cuts these. When the handler takes a message, its octets
// return to the flow-control window. If the content is longer than its messages, translate returns the difference here. If it
// is shorter, translate counts the difference as received first, so that no more octets return than have come.
func (r *rpc) translate(content []byte, endStream bool) {
	surplus := len(content)
	err := r.def.codec.DecodeContent(content, endStream, func(messages ...[]byte) {
		for i, piece := range messages {
			if surplus -= len(piece); surplus < 0 {
				r.stream.Consumed(surplus)
				surplus = 0
			}
			r.cut(piece, i == len(messages)-1 && !endStream)
		}
	})
	if r.stream.Consumed(surplus) {
		r.session.h2.FlushAfterBatch()
	}
	if err != nil {
		r.failFromReader(outcomeOf(err))
	}
}

// HandleTrailers implements http2.StreamHandler: a client's trailers mean only that the request is complete.
func (r *rpc) HandleTrailers(*fields.Section) { r.HandleData(nil, true) }

// deliver takes a message that is complete.
func (r *rpc) deliver(m message) {
	r.in.state.message()
	intercepted := r.session.shared.chain != nil
	if r.in.state.tooMany() && intercepted {
		r.queueRequests()
	}
	switch {
	case r.queuesRequests:
		r.enqueue(m)
	case r.in.state.tooMany(): // at once: the client may send messages for ever
		r.failFromReader(wrongRequestCount(r.def.path))
	default:
		r.request = m
		if !intercepted && r.stream.Consumed(wire.PrefixLen+len(m.data)) {
			r.session.h2.FlushAfterBatch()
		}
	}
}

// enqueue gives the handler a message, unless the RPC is over. The handler may be waiting for it.
func (r *rpc) enqueue(m message) {
	r.mu.Lock()
	if r.state.hasEnded() {
		r.mu.Unlock()
		r.memory.releaseRequest(m)
		return
	}
	r.requests.add(m, &r.memory)
	arrived := r.requests.arrived
	r.mu.Unlock()
	if arrived != nil {
		arrived.Broadcast() // without mu, which the handler is going to lock
	}
}

// queueRequests starts to queue requests, including those that have come already.
func (r *rpc) queueRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queuesRequests {
		return
	}
	r.queuesRequests, r.requests.allReceived = true, r.in.state.finished()
	if r.request.data != nil && !r.state.hasEnded() {
		r.requests.waiting = append(r.requests.waiting, r.request)
	}
	r.request = message{}
}

// endRequests is called when the client has half-closed.
func (r *rpc) endRequests() {
	r.in.state.finish()
	switch {
	case r.in.Partial():
		r.failFromReader(outcome{Code: codes.Internal, Message: "the request ended in the middle of a message"})
	case r.queuesRequests:
		r.mu.Lock()
		r.requests.endRequests()
		r.mu.Unlock()
	case r.session.shared.chain != nil: // see endBatch
	case !r.in.state.one():
		r.failFromReader(wrongRequestCount(r.def.path))
	default:
		r.dispatch()
	}
}

// dispatch hands the RPC to where its handler runs. The worker owns the reader's fields once EndBatch, or a push to
// another queue, has handed it the RPC.
func (r *rpc) dispatch() {
	if r.state.dispatch(r.isBare()) {
		r.observed.dispatched()
		r.session.dispatch(r, r.method)
	}
}

// isBare reports whether an RPC that is about to be dispatched holds nothing beyond the flat charge for each RPC, and
// never will, since its request is complete.
func (r *rpc) isBare() bool {
	return r.in.state.finished() && r.memory.isEmpty() && r.in.claim.Load() == nil && r.def.metadataSize <= baselineMetadataSize
}

// endBatch implements dispatched: it is called at the end of the batch in which the RPC began, before the interceptors run. If the
// request is incomplete by then, or there are several, requests are queued until a handler asks for them: interceptors must be
// able to refuse the RPC before the client learns of a wrong number of requests. Most RPCs have one complete request, and need no
// queue.
func (r *rpc) endBatch() {
	if !r.in.state.one() || !r.in.state.finished() {
		r.queueRequests()
	}
}

// failFromReader ends the RPC because of something wrong with the request.
func (r *rpc) failFromReader(o outcome) {
	r.stopReading()
	r.session.h2.FlushAfterBatch()
	r.end(&finalResult{outcome: o})
}

// HandleClose implements http2.StreamHandler: the client has given up, or the connection is gone. Nothing can be sent any more.
func (r *rpc) HandleClose(err error) {
	r.end(&finalResult{outcome: outcomeCancelled, gone: true})
	r.stopReading()
}

// stopReading drops the request under way once the RPC is over, since the handler may run for long, or not have begun.
func (r *rpc) stopReading() {
	r.in.state.ignore()
	r.in.Drop()
	r.memory.giveBack(int64(r.in.reserved))
	r.in.claim.Load().drop()
	r.in.Cutter, r.in.reserved, r.in.asked = wire.Cutter{}, 0, false
}

// payForRequest charges for the memory by which the request under way has grown. The reader calls it.
func (r *rpc) payForRequest() {
	size := int64(cap(r.in.Data()))
	if size <= uncountedRequestSize || size <= int64(r.in.reserved) {
		return
	}
	r.takeClaim()
	if more := size - int64(r.in.reserved); more > 0 {
		r.memory.charge(more)
		r.in.reserved = uint32(size)
	}
}

// takeClaim adds what the claim was granted to what is reserved for the request under way.
func (r *rpc) takeClaim() {
	v := r.in.currentClaim()
	if v == nil {
		return
	}
	if n := r.session.account.Take(&v.claim); n > 0 {
		r.memory.add(n)
		r.in.reserved += uint32(n)
	}
}

// requestArrived returns the request under way, now that it is complete.
func (r *rpc) requestArrived() message {
	var claim *budget.Claim
	if v := r.in.currentClaim(); v != nil {
		v.missing.Store(0)
		claim = &v.claim
		r.session.account.Leave(claim)
		r.takeClaim()
	}
	m := message{reserved: r.in.reserved, claim: claim}
	m.data, m.compressed = r.in.Take()
	r.in.reserved, r.in.asked = 0, false
	return m
}
