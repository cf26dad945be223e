package interceptor

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// AuthOptions configures [Auth].
type AuthOptions struct {
	// Check decides whether the RPC may go on. It finds what the client presents by runtime.InvocationMetadata,
	// [BearerToken], runtime.Peer, and package runtime/authcontext. The context that it returns is the handler's, and may
	// carry who the client is; nil is the one it was given. An error that carries a status ends the RPC with it; any other
	// ends it with UNAUTHENTICATED, and its text is kept from the client. Without a check, no RPC goes on.
	Check func(ctx context.Context, call *runtime.Call) (context.Context, error)
}

// Auth has RPCs go on only if a check allows it. It is asked for methods that do not exist too, and before the request has
// come or the handler's turn, so that a client without authority does not learn which methods exist: neither from an answer
// nor from what it takes to get one. That holds as far as the check, and interceptors listed before, do not look at
// whether the method is known.
func Auth(options AuthOptions) runtime.Interceptor {
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
		if options.Check == nil {
			return errUnauthenticated
		}
		allowed, err := options.Check(ctx, call)
		switch {
		case err != nil && carriesStatus(err):
			return err
		case err != nil:
			return errUnauthenticated
		case allowed == nil:
			allowed = ctx
		}
		return next(allowed, call)
	}
}

var errUnauthenticated = status.Error(codes.Unauthenticated, "not authenticated")

// BearerToken returns the token of the invocation metadata's "authorization: Bearer <token>" (RFC 6750, Section 2.1).
// It reports false unless there is exactly one authorization and it is of that form.
func BearerToken(ctx context.Context) (token string, ok bool) {
	values := runtime.InvocationMetadata(ctx).Values("authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
