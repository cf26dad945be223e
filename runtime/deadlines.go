package runtime

import (
	"cmp"
	"slices"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// deadlines ends the RPCs of a connection at their deadlines. There is one timer, set to the earliest: most RPCs end long
// before theirs, and cost no more than a comparison. So a scan of all RPCs is needed now and then, but not at each deadline:
// it remembers the deadlines that it has seen.
type deadlines struct {
	owner expiring // immutable

	looking locks.Mutex[locks.Long] // held by the timer, before mu

	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	timer *time.Timer
	at    clock.Instant // when it goes off; zero: it is not set
	seen  []deadline    // by the last scan, and not passed, the latest first
	next  clock.Instant // the earliest of those that have come since; zero: none
	ended bool          // the timer is not set any more: it would keep the connection until it goes off
}

// expiring is a connection, as its deadlines see it.
type expiring interface {
	// deadlinesOfRPCs returns the deadlines of all RPCs.
	deadlinesOfRPCs() []deadline

	// expire ends the RPCs of streams whose deadline has passed. The streams may have ended, and deadlines have changed.
	expire(streams []uint32, now clock.Instant)

	// survive calls what runs on a timer.
	survive(doing string, f func())
}

// deadline is that of a stream. The stream may have ended.
type deadline struct {
	at     clock.Instant
	stream uint32
}

// watch adds a deadline: the RPC will end when it passes.
func (d *deadlines) watch(at clock.Instant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.IsZero() || at.Before(d.next) {
		d.next = at
		d.setLocked(at)
	}
}

// setLocked sets the timer, unless it goes off earlier anyway: then the scan that it causes finds this deadline too.
func (d *deadlines) setLocked(at clock.Instant) {
	switch {
	case d.ended || !d.at.IsZero() && !at.Before(d.at):
	case d.timer == nil:
		d.at, d.timer = at, time.AfterFunc(at.Sub(clock.Now()), d.alarm)
	default:
		d.at = at
		d.timer.Reset(at.Sub(clock.Now()))
	}
}

// alarm ends the RPCs whose deadline has passed. It may run late, or twice: it ends only RPCs whose deadline has
// passed.
func (d *deadlines) alarm() {
	d.owner.survive("the deadlines of a connection", func() {
		now := clock.Now()
		d.owner.expire(d.passed(now), now)
	})
}

// passed returns the streams whose deadline has passed, including streams that have ended, and sets the timer to the
// next deadline.
func (d *deadlines) passed(now clock.Instant) (streams []uint32) {
	d.looking.Lock()
	defer d.looking.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = 0
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

// lookLocked scans all RPCs. It gives up the lock meanwhile.
func (d *deadlines) lookLocked() {
	d.next = 0 // the scan may miss what comes from now on
	d.mu.Unlock()
	seen := d.owner.deadlinesOfRPCs()
	slices.SortFunc(seen, func(a, b deadline) int { return cmp.Compare(b.at, a.at) })
	d.mu.Lock()
	d.seen = seen
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
