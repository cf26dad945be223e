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
type KeyFunc func(ctx context.Context, call *runtime.Call) string

// byMethod counts all RPCs of unknown methods under one key. Clients choose their paths, and would choose a new one for
// each RPC.
func byMethod(_ context.Context, call *runtime.Call) string {
	if !call.Known() {
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
// field block, also while it waits for its request or for a worker, until its handler has returned, even if the client has
// long given up. To have RPCs wait instead, give their method an executor:
// runtime.NewExecutor.
func ConcurrencyLimit(options ConcurrencyLimitOptions) runtime.Interceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	var mu sync.Mutex
	running := make(map[string]int) // keys without RPCs are not in it: clients may choose them
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

	// Key is what RPCs are counted under. Default their method; RPCs of unknown methods have one key together.
	Key KeyFunc

	// MaxKeys bounds how many keys are told apart at a time, about 200 octets each. Default 65,536.
	MaxKeys int
}

// RateLimit answers RPCs with RESOURCE_EXHAUSTED that come too fast. It keeps a token bucket for each key until that is full
// again, and of a key longer than 128 octets no more than a digest.
//
// Where clients choose keys, they can choose more than MaxKeys. Those keys that come when there is no room share 256
// buckets, by their hash, until there is. That lifts no limit: a bucket is thrown away only when it is full, and a key that
// gets one of its own begins with what is left in the shared one. Keys that are known keep their buckets. Those that come
// late are limited more than need be, by what others with the same bucket do; to lock one out, a client has to exceed the
// limits of MaxKeys and 256 keys all the time. So let keys be what clients cannot choose, such as who they are, and list
// RateLimit behind [Auth].
func RateLimit(options RateLimitOptions) runtime.Interceptor {
	if options.Key == nil {
		options.Key = byMethod
	}
	l := newRateLimiter(options)
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
		if options.PerSecond > 0 && !l.take(options.Key(ctx, call), time.Now()) {
			return status.Error(codes.ResourceExhausted, "Rate limit exceeded!")
		}
		return next(ctx, call)
	}
}
