package interceptor_test

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
)

// Interceptors as a server may have them: the first is outermost, so that all is logged, refusals and panics included.
func Example() {
	type user struct{}
	server := runtime.NewServer(runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{
		interceptor.Logging(interceptor.LoggingOptions{Logger: slog.Default()}),
		interceptor.Recovery(interceptor.RecoveryOptions{
			Hook: func(_ context.Context, call *runtime.ServerCall, reason any, stack []byte) error {
				slog.Error("panic", "method", call.Method(), "reason", reason, "stack", string(stack))
				return status.Error(codes.Internal, "internal error") // and not the panic's text
			},
		}),
		interceptor.Deadline(interceptor.DeadlineOptions{Default: 10 * time.Second, Max: time.Minute}),
		interceptor.Except(interceptor.SelectOptions{Methods: []string{"/grpc.health.v1.Health/*"}},
			interceptor.Auth(interceptor.AuthOptions{
				Check: func(ctx context.Context, _ *runtime.ServerCall) (context.Context, error) {
					token, ok := interceptor.BearerToken(ctx)
					if !ok {
						return nil, errors.New("no token")
					}
					return context.WithValue(ctx, user{}, token), nil
				},
			}),
			interceptor.RateLimit(interceptor.RateLimitOptions{
				PerSecond: 100,
				Key:       func(ctx context.Context, _ *runtime.ServerCall) string { return ctx.Value(user{}).(string) },
			}),
		),
	}})
	_ = server
}
