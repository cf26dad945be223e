package runtime

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// What a client makes the server hold is counted in one account for each connection (package budget): RPCs with their
// metadata, requests under way and queued, and what waits of responses. Options.MaxConnectionBytes is its limit.
//
// An RPC's part of the requests' side is its tab.

const (
	// usualWeight is the metadata up to which an RPC's is part of what counts for each (budget.Weight).
	usualWeight = 2 << 10

	// queuedWeight is what a request in a queue counts for beside its octets.
	queuedWeight = 64

	// freeRequest is the capacity up to which the only request of an RPC is part of that too.
	freeRequest = 512

	// freeResponse is the size up to which a response is encoded without asking, unless there is little room.
	freeResponse = 4 << 10

	// patientFor is how long a request waits in line for which no handler has begun, before it may come although there is no
	// room.
	patientFor = time.Second
)

// largeRequest is the place in line of a large request: one that doesn't fit into the flow-control window of a stream, so
// that the server has to ask for its rest. Each has its own, so that a grant that comes late opens the window for no other.
type largeRequest struct {
	// Immutable.
	r     *rpc
	size  int       // octets
	asked time.Time // when it got in line

	claim   budget.Claim
	missing atomic.Int64 // octets that have not come; stored by the reader
}

// isLarge reports whether a request of n octets has to be asked for.
func isLarge(n int) bool { return wire.PrefixLen+n > streamWindow }

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
	if v := r.in.large; v != nil {
		v.missing.Store(int64(r.in.Missing()))
		return
	}
	if r.came.one() && !r.requestStreaming {
		if r.session.shared.chain == nil { // there is no need to wait for its end
			r.failFromReader(notOneRequest(r.def.path))
			return
		}
		r.queueRequests()
	}
	v := &largeRequest{r: r, size: size, asked: time.Now()}
	v.claim = budget.Claim{Line: budget.ForRequests, Size: int64(buffer.Size(size)) - int64(r.in.paid), Granted: v.granted, Urgent: v.urgent}
	v.missing.Store(int64(r.in.Missing()))
	r.in.large = v
	r.large.Store(v)
	account := r.session.account
	granted := account.Ask(&v.claim)
	switch {
	case r.state.isEnding(): // whoever ended it may have looked too early
		account.Drop(&v.claim)
	case granted:
		if v.expect() {
			r.session.h2.FlushAfterBatch()
		}
	default:
		r.session.stalls()
		time.AfterFunc(patientFor, v.urge)
	}
}

// urge has the account look at the request once more.
func (v *largeRequest) urge() {
	defer v.r.session.shared.contain("a timer for a request")
	v.r.session.account.Urge()
}

// expect opens the stream's window for the rest of the request.
func (v *largeRequest) expect() (flush bool) {
	missing := int(v.missing.Load())
	return missing > 0 && v.r.stream.Expect(wire.PrefixLen+v.size-missing, missing)
}

// granted is called when there is room for the request.
func (v *largeRequest) granted() {
	if v.r.state.isEnding() {
		v.r.session.account.Drop(&v.claim)
	} else if v.expect() {
		v.r.session.h2.Flush()
	}
}

// urgent says whether the request may come although there is no room. A handler that waits for it may be what the handlers
// wait for whose requests fill the account, or may occupy the worker that these need. A request without which no handler
// begins has its turn after a while: it keeps no worker from others, and will not stay for long once it has one.
func (v *largeRequest) urgent() budget.Urgency {
	r := v.r
	r.mu.Lock()
	defer r.mu.Unlock()
	starves := r.starving && !r.state.isOver() && r.taken == len(r.queue)
	switch {
	case starves && r.state.hasEntered():
		return budget.Pressing
	case (starves && r.method != nil && !r.method.requestStreaming || !r.requestStreaming) && time.Since(v.asked) >= patientFor:
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
	if r.in.large == nil {
		return
	}
	if n := r.session.account.Take(&r.in.large.claim); n > 0 {
		r.tab.keep(n)
		r.in.paid += uint32(n)
	}
}

// requestArrived makes a request of the one under way.
func (r *rpc) requestArrived() message {
	if r.in.large != nil {
		r.in.large.missing.Store(0)
		r.session.account.Leave(&r.in.large.claim)
		r.takeClaim()
	}
	m := message{paid: r.in.paid, large: r.in.large}
	m.data, m.compressed = r.in.Take()
	r.in.paid, r.in.large = 0, nil
	return m
}

// took is called when the handler has taken a request, or will not.
func (r *rpc) took(m message) {
	r.tab.giveBack(int64(m.paid))
	if m.large != nil {
		r.session.account.UseUp(&m.large.claim)
	}
}

// awaits reports whether the RPC has to wait for room before it begins; it is then dispatched once more.
func (r *rpc) awaits() bool {
	account := r.session.account
	if account.MayBegin() && (r.waited || account.Waiting(budget.ForBeginning) == 0) {
		return false
	}
	claim := &budget.Claim{Line: budget.ForBeginning, Granted: r.redispatch}
	r.waited = true
	r.mu.Lock()
	if r.state.isOver() {
		r.mu.Unlock()
		return false
	}
	r.beginning = claim
	granted := account.Ask(claim)
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

// reserve counts n octets of a response that is about to be made, once there is room for them; if it may not wait, at once.
// It reports false, and has counted nothing, if the RPC has ended meanwhile. The caller gives them back.
func (r *rpc) reserve(n int64, wait bool) bool {
	account := r.session.account
	if account.Try(budget.ForResponses, n) {
		return true
	}
	if !wait {
		account.Add(budget.Responses, n)
		r.session.stalls()
		return true
	}
	return r.waitInLine(budget.ForResponses, n)
}

// waitInLine waits for room, and counts n octets then. It reports false, and has counted nothing, if the RPC has ended
// meanwhile.
func (r *rpc) waitInLine(line budget.Line, n int64) bool {
	account := r.session.account
	granted := make(chan struct{})
	claim := &budget.Claim{Line: line, Size: n, Granted: func() { close(granted) }}
	if account.Ask(claim) {
		account.Take(claim)
		return true
	}
	r.session.stalls()
	r.session.h2.Flush() // what it lets go may be what there is no room for
	watch := r.watchWorker()
	for {
		var late <-chan time.Time
		if patience := watch.patience(); patience > 0 {
			late = time.After(patience)
		}
		select {
		case <-granted:
			account.Take(claim)
			return true
		case <-late:
			watch.look()
		case <-r.Done():
			account.Drop(claim)
			return false
		}
	}
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

var outcomeNotTaken = outcome{Code: codes.ResourceExhausted, Message: "the responses were not taken, while other RPCs waited for a worker"}

// workerWatch ends an RPC whose handler occupies one of a bounded number of workers, and waits with a response that the
// client does not take, while other RPCs wait for a worker.
type workerWatch struct {
	r       *rpc
	bound   *work.Bound // nil: there may be any number of workers
	waiting int         // octets of responses, when it looked last
}

// watchWorker watches nothing unless the handler occupies a worker. Behind interceptors it does not once it has ended,
// although its response may still wait.
func (r *rpc) watchWorker() workerWatch {
	if !r.state.hasPlace() {
		return workerWatch{r: r}
	}
	m := r.handled()
	return workerWatch{r, r.session.boundOf(m), r.stream.Waiting()}
}

// patience is how long the handler may wait before the watch looks; 0 is for ever.
func (w *workerWatch) patience() time.Duration {
	if w.bound == nil {
		return 0
	}
	return w.r.session.shared.transport.WriteTimeout
}

// look ends the RPC if nothing has been taken since it looked last, and reports whether it did.
func (w *workerWatch) look() (ended bool) {
	waiting := w.r.stream.Waiting()
	if w.bound.Waiting() == 0 || waiting != w.waiting {
		w.waiting = waiting
		return false
	}
	w.r.abort(outcomeNotTaken, context.Canceled)
	w.r.session.h2.Flush()
	return true
}

// waitRoom waits while too much of the RPC's responses waits for the client. It reports false if the RPC has ended.
func (r *rpc) waitRoom() bool {
	watch := r.watchWorker()
	for {
		room, inTime := r.stream.WaitRoom(watch.patience())
		if inTime {
			return room
		}
		if watch.look() {
			return false
		}
	}
}
