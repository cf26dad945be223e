package interceptor

import (
	"context"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// KeyFunc says what an RPC is counted under: RPCs with the same key share a limit.
type KeyFunc func(ctx context.Context, call *runtime.Call) string

func byMethod(_ context.Context, call *runtime.Call) string { return call.Method() }

// ConcurrencyLimitOptions configures [ConcurrencyLimit].
type ConcurrencyLimitOptions struct {
	// Limit is how many RPCs with the same key there may be at a time. Zero or less is no bound.
	Limit int

	// Key is what RPCs are counted under. Default their method.
	Key KeyFunc
}

// ConcurrencyLimit answers RPCs with RESOURCE_EXHAUSTED beyond a number that run at a time. An RPC counts until its
// handler has returned, even if the client has long given up. To have RPCs wait instead, give their method an executor:
// runtime.NewExecutor.
func ConcurrencyLimit(options ConcurrencyLimitOptions) runtime.Interceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	var mu sync.Mutex
	running := make(map[string]int) // keys without RPCs are not in it: clients choose some of them
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
		if options.Limit <= 0 {
			return next(ctx, call)
		}
		key := options.Key(ctx, call)
		mu.Lock()
		admitted := running[key] < options.Limit
		if admitted {
			running[key]++
		}
		mu.Unlock()
		if !admitted {
			return status.Error(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		}
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			if running[key]--; running[key] == 0 {
				delete(running, key)
			}
		}()
		return next(ctx, call)
	}
}

// RateLimitOptions configures [RateLimit].
type RateLimitOptions struct {
	// PerSecond is how many RPCs with the same key are admitted in a second, on average. Zero or less is no bound.
	PerSecond float64

	// Burst is how many are admitted at once after a pause. Default PerSecond, rounded up.
	Burst int

	// Key is what RPCs are counted under. Default their method.
	Key KeyFunc
}

// RateLimit answers RPCs with RESOURCE_EXHAUSTED that come too fast. It keeps a token bucket for each key.
func RateLimit(options RateLimitOptions) runtime.Interceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	burst := float64(options.Burst)
	if burst <= 0 {
		burst = math.Ceil(options.PerSecond)
	}
	l := &rateLimiter{perSecond: options.PerSecond, burst: burst, buckets: make(map[string]bucket)}
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
		if options.PerSecond > 0 && !l.take(options.Key(ctx, call), time.Now()) {
			return status.Error(codes.ResourceExhausted, "Rate limit exceeded!")
		}
		return next(ctx, call)
	}
}

// rateLimiter is a set of token buckets.
type rateLimiter struct {
	perSecond, burst float64

	mu sync.Mutex
	// Guarded by mu.
	buckets map[string]bucket // those that are not full
	swept   int               // how many were left when the full ones were thrown out last
}

// bucket is what was left of a key's tokens at a moment.
type bucket struct {
	tokens float64
	at     time.Time
}

// filled returns the tokens that are there at a later moment.
func (l *rateLimiter) filled(b bucket, now time.Time) float64 {
	return min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.perSecond)
}

// take takes a token, and reports false if there is none.
func (l *rateLimiter) take(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens := l.burst
	if b, ok := l.buckets[key]; ok {
		tokens = l.filled(b, now)
	}
	if tokens < 1 {
		return false
	}
	l.buckets[key] = bucket{tokens - 1, now}
	if len(l.buckets) > 2*l.swept+minSweep {
		l.sweepLocked(now)
	}
	return true
}

// minSweep is how many buckets are not worth a sweep.
const minSweep = 1000

// sweepLocked throws out the buckets that are full again. Clients may choose keys, and must not occupy memory by it.
func (l *rateLimiter) sweepLocked(now time.Time) {
	for key, b := range l.buckets {
		if l.filled(b, now) >= l.burst {
			delete(l.buckets, key)
		}
	}
	l.swept = len(l.buckets)
}
