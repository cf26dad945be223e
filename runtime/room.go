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

// What an RPC waits for that others have: room in the account, and turns. Each wait ends with the RPC.

// reserveResponse counts the memory for a response of so many octets, once there is room for it; if it may not wait, at once. It
// returns how much that is, which the caller gives back. It reports false, and has counted nothing, if the RPC has ended meanwhile.
func (r *rpc) reserveResponse(size int, wait bool) (paid int64, ok bool) {
	account := r.session.account
	if size <= freeResponse && account.MayBegin() {
		return 0, true
	}
	paid = int64(buffer.Size(size))
	switch {
	case account.Try(budget.ForResponses, paid):
	case wait:
		return paid, r.waitInLine(budget.ForResponses, paid)
	default:
		account.Add(budget.Responses, paid)
		r.session.stalls()
	}
	return paid, true
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
		if interval := watch.interval(); interval > 0 {
			late = time.After(interval)
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

// mayWait reports whether what the handler's goroutine does may wait for room: it is not the reader, and does not occupy one
// of a bounded number of workers.
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

// interval is how long the handler may wait before the watch looks; 0 is for ever.
func (w *workerWatch) interval() time.Duration {
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
		room, inTime := r.stream.WaitRoom(watch.interval())
		if inTime {
			return room
		}
		if watch.look() {
			return false
		}
	}
}

// inflating has a place for each inflation at a time. More at once would take as long, and a thousand small messages that
// inflate to the limit would occupy as much memory as a thousand large ones.
var inflating = work.NewPlaces(goruntime.GOMAXPROCS(0))

// deflating is the same for responses. A deflater takes 800 KiB, and a hundred that take turns by being interrupted are no
// faster than one after the other.
var deflating = work.NewPlaces(goruntime.GOMAXPROCS(0))

// smallInflated is what every request may inflate to. What is larger is inflated again, and there is one such of a connection
// at a time until it has been decoded: what a client's few octets become is the largest thing that it can make us hold.
const smallInflated = 256 << 10

// inflate inflates a request when it is its connection's turn, and there is room for what the handler will make of it: while
// it has waited, others may have filled the account. If the RPC is over before, it is of no use any more. done ends the turn,
// once the request has been decoded; it is not nil if err is.
func (r *rpc) inflate(data []byte, limit int) (inflated []byte, done func(), err error) {
	if !r.turnToInflate() {
		return nil, nil, errOver
	}
	small := limit < 0 || limit > smallInflated
	first := limit
	if small {
		first = smallInflated
	}
	inflated, err = r.def.compression.Inflate(data, first)
	if e, ok := err.(*wire.Error); !small || !ok || e.Kind != wire.TooLarge {
		return inflated, inflating.Give, err
	}
	inflating.Give()
	if large := r.session.inflatingLarge; !large.Take(r, &r.session.largeInflations) {
		return nil, nil, errOver
	} else if !r.turnToInflate() {
		large.Give()
		return nil, nil, errOver
	}
	inflated, err = r.def.compression.Inflate(data, limit)
	return inflated, func() { inflating.Give(); r.session.inflatingLarge.Give() }, err
}

// turnToInflate waits for the connection's turn, and for room. It reports false if the RPC is over before.
func (r *rpc) turnToInflate() bool {
	for inflating.Take(r, &r.session.inflations) {
		if r.session.account.MayBegin() || !r.mayWait() {
			return true
		}
		inflating.Give()
		if !r.waitInLine(budget.ForBeginning, 0) {
			return false
		}
	}
	return false
}

// errOver says that an RPC is over.
var errOver = errors.New("the RPC is over")

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
		if r.def.codec != nil && v.open.Load() && v.expect() { // its octets are not those of the content
			r.session.h2.FlushAfterBatch()
		}
		return
	}
	if r.in.state.one() && !r.queued {
		if r.session.shared.chain == nil { // there is no need to wait for its end
			r.failFromReader(notOneRequest(r.def.path))
			return
		}
		r.queueRequests()
	}
	v := newLargeRequest(r, r.session, &r.stream, size, r.in.Missing(), int64(buffer.Size(size))-int64(r.in.paid))
	r.in.last.Store(v)
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
	if v := r.in.place(); v != nil && !r.session.account.InLine(&v.claim) {
		return window
	}
	return min(window, max(streamWindow, len(r.in.Data())/4))
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
	case (starves && r.method != nil && !r.method.cardinality.RequestStreaming() || !r.queued) && waited:
		return budget.Due
	}
	return budget.CanWait
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
