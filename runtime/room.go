package runtime

import (
	"context"
	"errors"
	goruntime "runtime"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// An RPC may have to wait for what others hold: room in the account, and turns. Each wait ends when the RPC ends.

// reserveResponse reserves memory for a response of size octets, as soon as there is room; if it may not wait, at once. It returns
// how much it has reserved, which the caller has to release. If the RPC has ended meanwhile, it reports false and has reserved
// nothing.
func (r *rpc) reserveResponse(size int, wait bool) (reserved int64, ok bool) {
	account := r.session.account
	if size <= unreservedResponseSize && account.MayBegin() {
		return 0, true
	}
	reserved = int64(buffer.Size(size))
	switch {
	case account.Try(budget.ForResponses, reserved):
	case wait:
		return reserved, r.waitInLine(budget.ForResponses, reserved)
	default:
		account.Add(budget.Responses, reserved)
		r.session.watchForStall()
	}
	return reserved, true
}

// waitInLine waits for room, and then counts n octets. If the RPC has ended meanwhile, it reports false and has counted
// nothing.
func (r *rpc) waitInLine(line budget.Line, n int64) bool {
	account := r.session.account
	granted := make(chan struct{})
	claim := &budget.Claim{Line: line, Size: n, Granted: func() { close(granted) }}
	if account.Ask(claim) {
		account.Take(claim)
		return true
	}
	r.session.watchForStall()
	r.session.h2.Flush() // the output may be what occupies the room
	watch := r.watchWorker()
	for {
		var late <-chan time.Time
		if interval := watch.interval(); interval > 0 {
			late = time.After(interval)
		}
		select {
		case <-granted:
			account.Take(claim)
			return true
		case <-late:
			watch.check()
		case <-r.Done():
			account.Drop(claim)
			return false
		}
	}
}

// mayWait reports whether the handler's goroutine may wait for room: it must not be the reader, nor occupy one of a bounded
// number of workers.
func (r *rpc) mayWait() bool {
	m := r.handled()
	return m != nil && r.session.boundOf(m) == nil && !m.inline.Load()
}

// workerWatch ends an RPC whose handler occupies one of a bounded number of workers, and waits with a response that the
// client does not take, while other RPCs wait for a worker. A client could keep all workers from others otherwise, by reading
// nothing for as long as it likes.
type workerWatch struct {
	r       *rpc
	bound   *work.Bound // nil: there may be any number of workers
	waiting int         // octets of responses at the last check
}

// watchWorker returns a watch that does nothing unless the handler occupies a worker. Behind interceptors, a handler
// that has ended occupies none, although its response may still wait.
func (r *rpc) watchWorker() workerWatch {
	if !r.state.hasSlot() {
		return workerWatch{r: r}
	}
	m := r.handled()
	return workerWatch{r, r.session.boundOf(m), r.stream.Waiting()}
}

// interval is how long the handler may wait before a check; 0: for ever.
func (w *workerWatch) interval() time.Duration {
	if w.bound == nil {
		return 0
	}
	return w.r.session.shared.transport.WriteTimeout
}

// check ends the RPC if the client has taken nothing since the last check and other RPCs wait. It reports whether it
// did.
func (w *workerWatch) check() (ended bool) {
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
		room, inTime := r.stream.WaitRoom(watch.interval())
		if inTime {
			return room
		}
		if watch.check() {
			return false
		}
	}
}

// inflating limits how many inflations run at a time. More at once would take as long, and a thousand small messages that
// inflate to the limit would occupy as much memory as a thousand large ones.
var inflating = work.NewSemaphore(goruntime.GOMAXPROCS(0))

// deflating is the same for responses. A deflater takes 800 KiB, and a hundred that run at once are no faster than one
// after another.
var deflating = work.NewSemaphore(goruntime.GOMAXPROCS(0))

// smallInflated is the size to which any request may inflate. A larger one is inflated again, and each connection has one
// such request at a time, until it has been decoded: a few octets of a client can become the largest thing that it makes us
// hold.
const smallInflated = 256 << 10

// inflate inflates a request when it is its connection's turn, and the account has room; others may have filled the account
// while it waited. It returns errEnded if the RPC ends first. Unless done is nil, call it once the request has been
// decoded, also after an error: it ends the turn.
func (r *rpc) inflate(data []byte, limit int) (inflated []byte, done func(), err error) {
	if !r.turnToInflate() {
		return nil, nil, errEnded
	}
	small := limit < 0 || limit > smallInflated
	first := limit
	if small {
		first = smallInflated
	}
	inflated, err = r.def.compression.Inflate(data, first)
	if e, ok := err.(*wire.Error); !small || !ok || e.Kind != wire.TooLarge {
		return inflated, inflating.Release, err
	}
	inflating.Release()
	if large := r.session.inflatingLarge; !large.Acquire(r, &r.session.largeInflations) {
		return nil, nil, errEnded
	} else if !r.turnToInflate() {
		large.Release()
		return nil, nil, errEnded
	}
	inflated, err = r.def.compression.Inflate(data, limit)
	return inflated, func() { inflating.Release(); r.session.inflatingLarge.Release() }, err
}

// turnToInflate waits for the connection's turn, and for room. It reports false if the RPC is over before.
func (r *rpc) turnToInflate() bool {
	for inflating.Acquire(r, &r.session.inflations) {
		if r.session.account.MayBegin() || !r.mayWait() {
			return true
		}
		inflating.Release()
		if !r.waitInLine(budget.ForBeginning, 0) {
			return false
		}
	}
	return false
}

// errEnded says that an RPC is over.
var errEnded = errors.New("the RPC is over")

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
	if v := r.in.currentClaim(); v != nil {
		v.missing.Store(int64(r.in.Missing()))
		if r.def.codec != nil && v.open.Load() && v.expect() { // the message's octets are not those of the content
			r.session.h2.FlushAfterBatch()
		}
		return
	}
	if r.in.state.one() && !r.queuesRequests {
		if r.session.shared.chain == nil { // the second request need not be complete for that
			r.failFromReader(wrongRequestCount(r.def.path))
			return
		}
		r.queueRequests()
	}
	v := newRequestClaim(r, r.session, &r.stream, size, r.in.Missing(), int64(buffer.Size(size))-int64(r.in.reserved))
	r.in.claim.Store(v)
	r.in.asked = true
	v.ask()
}

// unasked is how much more of the request under way can come before it is asked for again. There may be memory for so much before
// it has come. A window that has grown is no reason to have it for a large request that waits for room: but for a quarter of what
// there is, no more than every stream may send.
func (r *rpc) unasked() int {
	window := r.stream.Window()
	if window <= streamWindow {
		return window
	}
	if v := r.in.currentClaim(); v != nil && !r.session.account.InLine(&v.claim) {
		return window
	}
	return min(window, max(streamWindow, len(r.in.Data())/4))
}

// isEnding implements awaiting.
func (r *rpc) isEnding() bool { return r.state.isEnding() }

// urgency implements awaiting. If a handler waits for the request, the claim is pressing: handlers whose requests fill the
// account may depend on that handler, or need its worker. If no handler can begin without the request, the claim is due after
// a while: it occupies no worker yet, and will not hold one for long.
func (r *rpc) urgency(waited bool) budget.Urgency {
	r.mu.Lock()
	defer r.mu.Unlock()
	handlerWaits := r.requests.handlerWaits && !r.state.hasEnded() && r.requests.isEmpty()
	switch {
	case handlerWaits && r.state.hasEntered():
		return budget.Pressing
	case (handlerWaits && r.method != nil && !r.method.cardinality.RequestStreaming() || !r.queuesRequests) && waited:
		return budget.Due
	}
	return budget.CanWait
}

// waitsForAdmission reports whether the RPC has to wait for room before it begins. When there is room, it is dispatched again.
func (r *rpc) waitsForAdmission() bool {
	account := r.session.account
	if account.MayBegin() && account.Waiting(budget.ForBeginning) == 0 {
		return false
	}
	r.mu.Lock()
	if r.state.hasEnded() || r.ending.admission != nil && account.MayBegin() { // it has waited
		r.mu.Unlock()
		return false
	}
	r.ending.admission = &budget.Claim{Line: budget.ForBeginning, Granted: r.redispatch}
	granted := account.Ask(r.ending.admission)
	r.mu.Unlock()
	if !granted {
		r.session.watchForStall()
	}
	return !granted
}

// redispatch hands the RPC to the workers again.
func (r *rpc) redispatch() {
	r.session.queueOf(r.method).Push(r)
}
