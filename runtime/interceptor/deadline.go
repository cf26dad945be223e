package interceptor

import (
	"context"
	"time"

	"github.com/gogreeter/gogreeter/runtime"
)

// DeadlineOptions configures [Deadline].
type DeadlineOptions struct {
	// Default is how long an RPC may take whose client has set no deadline. Zero is what Max says.
	Default time.Duration

	// Max is how long any RPC may take, whatever the client has set. Zero is no bound.
	Max time.Duration
}

// Deadline bounds the time of RPCs, from when the interceptor is called. The waits for the request and for a worker are part
// of it. An RPC that takes longer ends with DEADLINE_EXCEEDED at that moment, even if its handler does not heed the context.
// To give methods bounds of their own, use it several times with [Select].
func Deadline(options DeadlineOptions) runtime.ServerInterceptor {
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		bound := options.Max
		if _, ok := ctx.Deadline(); !ok && options.Default > 0 && (bound <= 0 || options.Default < bound) {
			bound = options.Default
		}
		if bound > 0 {
			call.ShortenDeadline(time.Now().Add(bound))
		}
		return next(ctx, call)
	}
}
