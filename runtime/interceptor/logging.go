package interceptor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

// LoggingOptions configures [Logging].
type LoggingOptions struct {
	// Logger receives the records. Default slog.Default(), as it is when the RPC ends.
	Logger *slog.Logger

	// Level is the level of the record of an RPC by its code. Default [Level].
	Level func(code codes.Code) slog.Level

	// Attributes are added to the record, for what an application knows of its RPCs. Default none.
	Attributes func(ctx context.Context, call *runtime.ServerCall) []slog.Attr
}

// Logging writes one record for each RPC, when it has ended: method, code, duration and peer, and the error's text if
// there is one. What clients can make long is cut after 512 octets: methods, and errors, which may quote a request. An RPC
// whose handler panics has the code UNKNOWN; the panic itself goes on to the server, which logs its stack.
func Logging(options LoggingOptions) runtime.ServerInterceptor {
	if options.Level == nil {
		options.Level = Level
	}
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		begin := time.Now()
		err := errNotReturned
		defer func() { options.log(ctx, call, time.Since(begin), err) }()
		err = next(ctx, call)
		return err
	}
}

// errNotReturned stands for the error of a handler that has panicked.
var errNotReturned = errors.New("the handler did not return")

func (o *LoggingOptions) log(ctx context.Context, call *runtime.ServerCall, duration time.Duration, err error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	code := codeOf(err)
	level := o.Level(code)
	if !logger.Enabled(ctx, level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("method", logtext.Cut(call.Method())), slog.String("code", codeNames[code]), slog.Duration("duration", duration),
	}
	if p := runtime.Peer(ctx); p != nil {
		attributes = append(attributes, slog.String("peer", logtext.Address(p.Addr)))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", logtext.Cut(textOf(err))))
	}
	if o.Attributes != nil {
		attributes = append(attributes, o.Attributes(ctx, call)...)
	}
	logger.LogAttrs(ctx, level, "RPC", attributes...)
}

// Level is the level at which Logging reports a code. Codes that tell of a mistake in the server are Error, codes that may
// are Warn, and codes that are the client's affair are Info.
func Level(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.Canceled, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.Unauthenticated:
		return slog.LevelInfo
	case codes.DeadlineExceeded, codes.PermissionDenied, codes.ResourceExhausted, codes.FailedPrecondition, codes.Aborted,
		codes.OutOfRange, codes.Unavailable:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// codeOf returns the code that the runtime makes of an error.
func codeOf(err error) codes.Code {
	if !carriesStatus(err) {
		return status.FromContextError(err).Code() // nil is OK, and what is no context error is UNKNOWN
	}
	if code := status.Code(err); int(code) < len(codeNames) {
		return code
	}
	return codes.Unknown
}

// carriesStatus reports whether an error has a status that is an error's.
func carriesStatus(err error) bool {
	var carrier interface{ GRPCStatus() *status.Status }
	return errors.As(err, &carrier) && carrier.GRPCStatus().Code() != codes.OK // nil's is OK
}

// textOf returns the text of an error, without the words that package status puts around it.
func textOf(err error) string {
	if carriesStatus(err) {
		return status.Convert(err).Message()
	}
	return err.Error()
}

// codeNames are the names that the codes have in the gRPC specification, and in grpc-python.
var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}
