package http2

import (
	"math"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// floods bounds what a well-behaved peer seldom does. It is the reader's; see Config.Resets.
type floods struct {
	config                    *Config
	resets, controls, empties bucket
	opened                    int // streams opened that have not been set against resets
}

// newFloods permits what the configuration says, from now on.
func newFloods(config *Config) floods {
	return floods{config: config, resets: config.Resets.bucket(), controls: config.Controls.bucket(), empties: config.Empties.bucket()}
}

// takeControl takes a token for a frame that costs us an answer or a walk over the streams.
func (f *floods) takeControl() bool { return f.controls.take(f.config.Controls) }

// takeEmpty takes a token for a frame without content.
func (f *floods) takeEmpty() bool { return f.empties.take(f.config.Empties) }

// takeReset takes a token for a stream that ends by RST_STREAM. Of the streams that a busy client opens it may cancel
// half.
func (f *floods) takeReset() bool {
	if f.resets.take(f.config.Resets) {
		return true
	}
	opened := f.opened
	f.opened = 0
	return f.resets.put(f.config.Resets, opened/2)
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
func (r Rate) bucket() bucket { return bucket{tokens: float64(r.Burst), last: clock.Now()} }

// unbounded is a bucket that nobody empties.
func unbounded() bucket { return bucket{tokens: math.Inf(1)} }

// bucket is a token bucket that starts full. A peer that empties it ends its connection. Its rate is its user's to remember: that
// is the same for all connections.
type bucket struct {
	tokens float64
	last   clock.Instant
}

// take takes a token and reports whether there was one. The clock is read only when the bucket runs low.
func (b *bucket) take(r Rate) bool {
	b.tokens--
	if b.tokens >= 0 {
		return true
	}
	now := clock.Now()
	b.tokens = min(float64(r.Burst)-1, b.tokens+now.Sub(b.last).Seconds()*r.PerSecond)
	b.last = now
	return b.tokens >= 0
}

// put puts n tokens back and reports whether that pays for the last one taken.
func (b *bucket) put(r Rate, n int) bool {
	b.tokens = min(float64(r.Burst)-1, b.tokens+float64(n))
	return b.tokens >= 0
}
