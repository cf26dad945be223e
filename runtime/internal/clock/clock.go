// Package clock has points in time that take 8 octets, where a [time.Time] takes 24: a connection has ten of them, and there may be
// many thousands of connections that do nothing else than to keep them.
package clock

import (
	"math"
	"time"
)

// Instant is a point in monotonic time, in nanoseconds since a moment a century ago. The zero value is none, and before all others.
type Instant int64

// Never is later than all that can happen.
const Never Instant = math.MaxInt64

// epoch is what instants count from. It is so long ago that they are positive where time is a test's, too, which begins in 2000.
var epoch = time.Now().Add(-100 * 365 * 24 * time.Hour)

// Now returns the current time.
func Now() Instant { return Of(time.Now()) }

// Of returns t, which should have a monotonic reading, as what [time.Now] returns has.
func Of(t time.Time) Instant { return Instant(t.Sub(epoch)) }

// Time returns t as package time has it. It counts from the current time, since in a test's time epoch is of another clock.
func (t Instant) Time() time.Time {
	now := time.Now()
	return now.Add(t.Sub(Of(now)))
}

// Add returns the time at d after t, or Never if that is later.
func (t Instant) Add(d time.Duration) Instant {
	if d > 0 && t > Never-Instant(d) {
		return Never
	}
	return t + Instant(d)
}

// Sub returns how long t is after u.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// IsZero reports whether t is none.
func (t Instant) IsZero() bool { return t == 0 }

// Before reports whether t is before u.
func (t Instant) Before(u Instant) bool { return t < u }

// After reports whether t is after u.
func (t Instant) After(u Instant) bool { return t > u }
