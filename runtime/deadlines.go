package runtime

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

// deadlines ends the RPCs of a connection at their deadlines. There is one timer, set to the earliest: most RPCs end long
// before theirs, and cost no more than a comparison. So all RPCs have to be looked at now and then, but not at each deadline
// that passes: each look remembers the deadlines that it has seen.
type deadlines struct {
	conn *connection

	looking sync.Mutex // held by the timer, before mu

	mu sync.Mutex
	// Guarded by mu.
	timer *time.Timer
	at    time.Time  // when it goes off; zero: it is not set
	seen  []deadline // by the last look, and not passed, the latest first
	next  time.Time  // the earliest of those that have come since; zero: none
	ended bool       // the timer is not set any more: it would keep the connection until it goes off
}

// deadline is that of a stream. The stream may have ended.
type deadline struct {
	at     time.Time
	stream uint32
}

// watch sees to it that an RPC ends at its deadline.
func (d *deadlines) watch(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.IsZero() || at.Before(d.next) {
		d.next = at
		d.setLocked(at)
	}
}

func (d *deadlines) setLocked(at time.Time) {
	switch {
	case d.ended || !d.at.IsZero() && !at.Before(d.at):
	case d.timer == nil:
		d.at, d.timer = at, time.AfterFunc(time.Until(at), d.alarm)
	default:
		d.at = at
		d.timer.Reset(time.Until(at))
	}
}

// alarm ends the RPCs whose deadline has passed.
func (d *deadlines) alarm() {
	defer d.conn.shared.contain("the deadlines of a connection")
	now := time.Now()
	expired := false
	for _, id := range d.passed(now) {
		expired = d.expire(id, now) || expired
	}
	if expired {
		d.conn.h2.Flush()
	}
}

// passed returns the streams whose deadline has passed, those that have ended included, and sets the timer to the next.
func (d *deadlines) passed(now time.Time) (streams []uint32) {
	d.looking.Lock()
	defer d.looking.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = time.Time{}
	if !d.next.IsZero() && !now.Before(d.next) {
		d.lookLocked()
	}
	for n := len(d.seen) - 1; n >= 0 && !now.Before(d.seen[n].at); n-- {
		streams = append(streams, d.seen[n].stream)
		d.seen = d.seen[:n]
	}
	if n := len(d.seen); n > 0 {
		d.setLocked(d.seen[n-1].at)
	} else {
		d.seen = nil
	}
	if !d.next.IsZero() {
		d.setLocked(d.next)
	}
	return streams
}

// lookLocked looks at all RPCs. It gives up the lock meanwhile.
func (d *deadlines) lookLocked() {
	d.next = time.Time{} // what comes from now on may be missed
	d.mu.Unlock()
	seen := d.conn.deadlinesOfRPCs()
	slices.SortFunc(seen, func(a, b deadline) int { return b.at.Compare(a.at) })
	d.mu.Lock()
	d.seen = seen
}

// expire ends an RPC, unless it has ended.
func (d *deadlines) expire(stream uint32, now time.Time) bool {
	r := d.conn.rpcOf(stream)
	if r == nil {
		return false
	}
	if at, ok := r.Deadline(); !ok || now.Before(at) {
		return false
	}
	r.abort(outcomeDeadline, context.DeadlineExceeded)
	r.stream.Reset(http2.ErrCodeCancel) // if its status was sent before, and waits for a client that does not read
	return true
}

// end is called when the connection has ended.
func (d *deadlines) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.timer != nil {
		d.timer.Stop()
	}
}
