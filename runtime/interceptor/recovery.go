package interceptor

import (
	"context"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// RecoveryOptions configures [Recovery].
type RecoveryOptions struct {
	// Hook is called with what a handler, or an interceptor further in, has panicked with, and with the stack. The error
	// that it returns becomes the status of the RPC. If it returns nil, or there is no hook, the panic goes on to the
	// server, which logs it and answers UNKNOWN with its text.
	Hook func(ctx context.Context, call *runtime.ServerCall, reason any, stack []byte) error
}

// Recovery calls a hook when a handler panics: to report it, and to choose what the client learns of it. A handler that
// calls runtime.Goexit has not panicked.
func Recovery(options RecoveryOptions) runtime.ServerInterceptor {
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) (err error) {
		if options.Hook == nil {
			return next(ctx, call)
		}
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err = options.Hook(ctx, call, reason, debug.Stack()); err == nil {
				panic(reason)
			}
		}()
		return next(ctx, call)
	}
}

// MaskErrorsOptions configures [MaskErrors].
type MaskErrorsOptions struct {
	// Map turns an error that carries no status into what the RPC ends with. Default: an error with the code INTERNAL, or
	// that of a context's error, and a text that tells nothing. Seen is how to find out more.
	Map func(ctx context.Context, call *runtime.ServerCall, err error) error

	// Seen is called with each error before it is mapped, as the handler returned it. Default nothing.
	Seen func(ctx context.Context, call *runtime.ServerCall, err error)
}

// MaskErrors keeps the texts of errors from clients that were not meant for them. Without it, an error that carries no
// status is answered with UNKNOWN and its own text. List it before [Logging], whose records then have the texts. It does
// not concern panics; see [Recovery].
func MaskErrors(options MaskErrorsOptions) runtime.ServerInterceptor {
	if options.Map == nil {
		options.Map = hide
	}
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		err := next(ctx, call)
		if !carrier.Plain(err) {
			return err
		}
		err = carrier.Cause(err)
		if options.Seen != nil {
			options.Seen(ctx, call, err)
		}
		return options.Map(ctx, call, err)
	}
}

// hide tells of an error no more than its code.
func hide(_ context.Context, _ *runtime.ServerCall, err error) error {
	if code := codeOf(err); code != codes.Unknown {
		return status.Error(code, codeNames[code])
	}
	return status.Error(codes.Internal, "internal error")
}
