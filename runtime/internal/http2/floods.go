package http2

import (
	"math"
	"time"
)

// floods bounds what a well-behaved peer seldom does. It is the reader's; see Config.Resets.
type floods struct {
	resets, controls, empties bucket
	opened                    int // streams opened that have not been set against resets
}

// takeReset takes a token for a stream that ends by RST_STREAM. Of the streams that a busy client opens it may cancel
// half.
func (f *floods) takeReset() bool {
	if f.resets.take() {
		return true
	}
	opened := f.opened
	f.opened = 0
	return f.resets.put(opened / 2)
}

// Rate is what a token bucket allows: Burst at once, and PerSecond over time. A negative Burst is no bound.
type Rate struct {
	Burst     int
	PerSecond float64
}

// setDefault fills in what is zero, and makes a negative burst one that lasts for ever.
func (r *Rate) setDefault(burst int, perSecond float64) {
	switch {
	case r.Burst < 0:
		r.Burst = math.MaxInt
	case r.Burst == 0:
		r.Burst = burst
	}
	if !(r.PerSecond > 0) {
		r.PerSecond = perSecond
	}
}

// bucket returns a full bucket that allows the rate.
func (r Rate) bucket() bucket { return newBucket(float64(r.Burst), r.PerSecond) }

// bucket is a token bucket that starts full. A peer that empties it ends its connection.
type bucket struct {
	burst, perSecond float64
	tokens           float64
	last             time.Time
}

// newBucket returns a full bucket.
func newBucket(burst, perSecond float64) bucket {
	return bucket{burst: burst, perSecond: perSecond, tokens: burst, last: time.Now()}
}

// take takes a token and reports whether there was one. The clock is read only when the bucket runs low.
func (b *bucket) take() bool {
	b.tokens--
	if b.tokens >= 0 {
		return true
	}
	now := time.Now()
	b.tokens = min(b.burst-1, b.tokens+now.Sub(b.last).Seconds()*b.perSecond)
	b.last = now
	return b.tokens >= 0
}

// put puts n tokens back and reports whether that pays for the last one taken.
func (b *bucket) put(n int) bool {
	b.tokens = min(b.burst-1, b.tokens+float64(n))
	return b.tokens >= 0
}
