package interceptor_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

type userKey struct{}

// checkToken is an AuthOptions.Check as applications write it.
func checkToken(ctx context.Context, call *runtime.Call) (context.Context, error) {
	switch token, ok := interceptor.BearerToken(ctx); {
	case !ok:
		return nil, errors.New("the database says: no token")
	case token == "anonymous":
		return nil, nil
	case token == "guest" && call.Method() != "/t.S/A":
		return nil, status.Error(codes.PermissionDenied, "guests may call A")
	default:
		return context.WithValue(ctx, userKey{}, token), nil
	}
}

func TestAuth(t *testing.T) {
	tests := []struct {
		name     string
		check    func(ctx context.Context, call *runtime.Call) (context.Context, error)
		method   string
		metadata []string
		code     codes.Code
		want     string // details, or the response
	}{
		{"NoCheck", nil, "/t.S/A", []string{"authorization", "Bearer ada"}, codes.Unauthenticated, "not authenticated"},
		{"Passes", checkToken, "/t.S/A", []string{"authorization", "Bearer ada"}, codes.OK, "ada says x"},
		{"KeepsTheContext", checkToken, "/t.S/A", []string{"authorization", "Bearer anonymous"}, codes.OK, "<nil> says x"},
		{"HidesErrors", checkToken, "/t.S/A", nil, codes.Unauthenticated, "not authenticated"},
		{"KeepsStatuses", checkToken, "/t.S/B", []string{"authorization", "bearer guest"}, codes.PermissionDenied, "guests may call A"},
		{"UnknownMethod", checkToken, "/t.S/Nope", nil, codes.Unauthenticated, "not authenticated"},
		{"UnknownMethodPasses", checkToken, "/t.S/Nope", []string{"authorization", "Bearer ada"}, codes.Unimplemented, "Method not found!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			c := serve(t, func(ctx context.Context, request string) (string, error) {
				called = true
				user, _ := ctx.Value(userKey{}).(string)
				if user == "" {
					user = "<nil>"
				}
				return user + " says " + request, nil
			}, interceptor.Auth(interceptor.AuthOptions{Check: tt.check}))
			response, err := c.call(tt.method, "x", tt.metadata...)
			details := tt.want
			if tt.code == codes.OK {
				details = ""
				if response != tt.want {
					t.Errorf("got %q, want %q", response, tt.want)
				}
			}
			wantStatus(t, err, tt.code, details)
			if called != (tt.code == codes.OK) {
				t.Errorf("the handler was called: %v", called)
			}
		})
	}
}

func TestBearerToken(t *testing.T) {
	for _, tt := range []struct {
		name     string
		metadata runtime.Metadata
		want     string
		ok       bool
	}{
		{"None", nil, "", false},
		{"Bearer", runtime.Pairs("authorization", "Bearer a.b-c"), "a.b-c", true},
		{"LowerCase", runtime.Pairs("authorization", "bearer x"), "x", true},
		{"Spaces", runtime.Pairs("authorization", "Bearer   x"), "x", true},
		{"Basic", runtime.Pairs("authorization", "Basic x"), "", false},
		{"Empty", runtime.Pairs("authorization", "Bearer "), "", false},
		{"SchemeOnly", runtime.Pairs("authorization", "Bearer"), "", false},
		{"Two", runtime.Pairs("authorization", "Bearer x", "authorization", "Bearer y"), "", false},
	} {
		ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{InvocationMetadata: tt.metadata})
		if token, ok := interceptor.BearerToken(ctx); ok != tt.ok || ok && token != tt.want {
			t.Errorf("%s: got %q, %v", tt.name, token, ok)
		}
		recorder.End()
	}
}

// TestInterceptors_SeeStreams has one method with streams behind all of them.
func TestInterceptors_SeeStreams(t *testing.T) {
	c := serve(t, echo,
		interceptor.Logging(interceptor.LoggingOptions{Logger: (&logBuffer{}).logger()}),
		interceptor.Recovery(interceptor.RecoveryOptions{}),
		interceptor.Errors(interceptor.ErrorsOptions{}),
		interceptor.Deadline(interceptor.DeadlineOptions{}),
		interceptor.ConcurrencyLimit(interceptor.ConcurrencyLimitOptions{}),
		interceptor.RateLimit(interceptor.RateLimitOptions{}),
		interceptor.Select(interceptor.SelectOptions{}, interceptor.Auth(interceptor.AuthOptions{})),
	)
	if got, err := c.stream("a", "b", "c"); got != "a,b,c" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
