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
	// carry the client's identity; nil is the one it was given. An error that carries a status ends the RPC with it; any
	// other ends it with UNAUTHENTICATED, and its text does not reach the client. Without a check, no RPC goes on.
	Check func(ctx context.Context, call *runtime.ServerCall) (context.Context, error)
}

// Auth has RPCs go on only if a check allows it. It is asked for methods that do not exist too, and before the request or
// the handler's turn comes. So a client without authority does not learn which methods exist, neither from an answer nor
// from what it takes to get one. That holds as far as the check, and interceptors listed before, do not look at whether the
// method is known.
func Auth(options AuthOptions) runtime.ServerInterceptor {
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
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

// BearerToken returns the token of the invocation metadata's "authorization: Bearer <token>" (RFC 6750, Section 2.1). The
// scheme may be in any case (RFC 9110, Section 11.1), and one or more spaces follow it. It reports false unless there is exactly
// one authorization and all of it is of that form: a token has no spaces, commas, or quotes.
func BearerToken(ctx context.Context) (token string, ok bool) {
	values := runtime.InvocationMetadata(ctx).Values("authorization")
	if len(values) != 1 {
		return "", false
	}
	return parseBearer(values[0])
}

// parseBearer reads credentials: "Bearer" 1*SP b64token.
func parseBearer(credentials string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(credentials, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || !isBase64Token(token) {
		return "", false
	}
	return token, true
}

// isBase64Token reports whether s is a b64token of RFC 6750, which RFC 9110 calls token68:
//
//	1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isBase64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
