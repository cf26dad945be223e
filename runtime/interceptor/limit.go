package interceptor

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// KeyFunc says what an RPC is counted under: RPCs with the same key share a limit.
type KeyFunc func(ctx context.Context, call *runtime.ServerCall) string

// byMethod counts all RPCs of unknown methods under one key. Clients choose their paths, and would choose a new one for
// each RPC.
func byMethod(_ context.Context, call *runtime.ServerCall) string {
	if call.Handler() == nil {
		return ""
	}
	return call.Method()
}

// ConcurrencyLimitOptions configures [ConcurrencyLimit].
type ConcurrencyLimitOptions struct {
	// Limit is how many RPCs with the same key there may be at a time. Zero or less is no bound.
	Limit int

	// Key is what RPCs are counted under. Default their method; RPCs of unknown methods have one key together.
	Key KeyFunc
}

// ConcurrencyLimit answers RPCs with RESOURCE_EXHAUSTED beyond a number that there are at a time. An RPC counts from its
// field block until its handler has returned, even if the client has long given up. It counts while it waits for its request
// or for a worker, too. To have RPCs wait instead, give their method an executor: runtime.NewExecutor.
func ConcurrencyLimit(options ConcurrencyLimitOptions) runtime.ServerInterceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	l := &concurrencyLimiter{limit: options.Limit, running: make(map[string]int)}
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		if options.Limit <= 0 {
			return next(ctx, call)
		}
		key := options.Key(ctx, call)
		if !l.take(key) {
			return status.Error(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		}
		defer l.give(key)
		return next(ctx, call)
	}
}

// concurrencyLimiter counts the RPCs that there are, by key.
type concurrencyLimiter struct {
	limit int

	mu sync.Mutex
	// Guarded by mu.
	running map[string]int // keys without RPCs are not in it: clients may choose them
}

// take counts an RPC, and reports false if there are too many.
func (l *concurrencyLimiter) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[key] >= l.limit {
		return false
	}
	l.running[key]++
	return true
}

// give takes an RPC off that take has counted.
func (l *concurrencyLimiter) give(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[key]--; l.running[key] == 0 {
		delete(l.running, key)
	}
}

// RateLimitOptions configures [RateLimit].
type RateLimitOptions struct {
	// PerSecond is how many RPCs with the same key are admitted in a second, on average. Zero or less is no bound.
	PerSecond float64

	// Burst is how many are admitted at once after a pause. Default PerSecond, rounded up.
	Burst int

	// Key is what RPCs are counted under. Default their method; RPCs of unknown methods have one key together.
	Key KeyFunc

	// MaxKeys bounds how many keys are told apart at a time, about 200 octets each. Default 65,536.
	MaxKeys int
}

// RateLimit answers RPCs with RESOURCE_EXHAUSTED that come too fast. It keeps a token bucket for each key until that is full
// again. Of a key longer than 128 octets it keeps a digest only.
//
// Where clients choose keys, they can choose more than MaxKeys. Those keys that come when there is no room share 256
// buckets, by their hash, until there is. That lifts no limit: a bucket is thrown away only when it is full. A key that gets
// one of its own begins with what is left in the shared one. Keys that are known keep their buckets. Keys that come late are
// limited more than they need to be, by other keys with the same bucket. To lock one out, a client has to exceed the limits
// of MaxKeys and 256 keys all the time. So let keys be what clients cannot choose, such as their identity, and list
// RateLimit behind [Auth].
func RateLimit(options RateLimitOptions) runtime.ServerInterceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	l := newRateLimiter(options)
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		if options.PerSecond > 0 && !l.take(options.Key(ctx, call), time.Now()) {
			return status.Error(codes.ResourceExhausted, "Rate limit exceeded!")
		}
		return next(ctx, call)
	}
}
