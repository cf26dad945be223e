package interceptor_test

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

type userKey struct{}

// statusNone is an error that could have a status, and has none.
type statusNone struct{ error }

func (statusNone) GRPCStatus() *status.Status { return nil }

// checkToken is an AuthOptions.Check as applications write it.
func checkToken(ctx context.Context, call *runtime.ServerCall) (context.Context, error) {
	switch token, ok := interceptor.BearerToken(ctx); {
	case !ok:
		return nil, errors.New("the database says: no token")
	case token == "unreadable":
		return nil, statusNone{errors.New("the database says: no such token")}
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
		check    func(ctx context.Context, call *runtime.ServerCall) (context.Context, error)
		method   string
		metadata []string
		code     codes.Code
		want     string // details, or the response
	}{
		{"NoCheck", nil, "/t.S/A", []string{"authorization", "Bearer ada"}, codes.Unauthenticated, "not authenticated"},
		{"Passes", checkToken, "/t.S/A", []string{"authorization", "Bearer ada"}, codes.OK, "ada says x"},
		{"KeepsTheContext", checkToken, "/t.S/A", []string{"authorization", "Bearer anonymous"}, codes.OK, "<nil> says x"},
		{"HidesErrors", checkToken, "/t.S/A", nil, codes.Unauthenticated, "not authenticated"},
		{"HidesErrorsThatCouldHaveAStatus", checkToken, "/t.S/A", []string{"authorization", "Bearer unreadable"}, codes.Unauthenticated, "not authenticated"},
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

// bearer calls BearerToken with the values of authorization.
func bearer(t *testing.T, authorizations ...string) (token string, ok bool) {
	var md runtime.Metadata
	for _, value := range authorizations {
		md = append(md, runtime.Pair{Key: "authorization", Value: value})
	}
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{InvocationMetadata: md})
	defer recorder.End()
	return interceptor.BearerToken(ctx)
}

func TestBearerToken(t *testing.T) {
	const every = "ABCXYZabcxyz0189-._~+/"
	for _, tt := range []struct {
		name           string
		authorizations []string
		want           string // empty: none
	}{
		{"None", nil, ""},
		{"Bearer", []string{"Bearer a.b-c"}, "a.b-c"},
		{"EveryCharacter", []string{"Bearer " + every}, every},
		{"Padded", []string{"Bearer eA=="}, "eA=="},
		{"LowerCase", []string{"bearer x"}, "x"},
		{"MixedCase", []string{"bEARER x"}, "x"},
		{"Spaces", []string{"Bearer   x"}, "x"},
		{"Basic", []string{"Basic x"}, ""},
		{"Empty", []string{"Bearer "}, ""},
		{"SchemeOnly", []string{"Bearer"}, ""},
		{"SchemeInFront", []string{"xBearer x"}, ""},
		{"SchemeGoesOn", []string{"Bearerx x"}, ""},
		{"Tab", []string{"Bearer\tx"}, ""},
		{"SpaceInFront", []string{" Bearer x"}, ""},
		{"SpaceBehind", []string{"Bearer x "}, ""},
		{"TwoTokens", []string{"Bearer x y"}, ""},
		{"List", []string{"Bearer x, Bearer y"}, ""},
		{"Parameter", []string{`Bearer realm="x"`}, ""},
		{"ParameterInAToken", []string{"Bearer a=b"}, ""},
		{"PaddingOnly", []string{"Bearer =="}, ""},
		{"PaddingInFront", []string{"Bearer =x"}, ""},
		{"Quoted", []string{`Bearer "x"`}, ""},
		{"Percent", []string{"Bearer a%20b"}, ""},
		{"NotASCII", []string{"Bearer \xc3\xa9"}, ""},
		{"Nothing", []string{""}, ""},
		{"Two", []string{"Bearer x", "Bearer y"}, ""},
	} {
		if token, ok := bearer(t, tt.authorizations...); token != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v", tt.name, token, ok)
		}
	}
}

// FuzzBearerToken compares with the grammar of RFC 6750, Section 2.1.
func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"", "Bearer x", "bearer  a.b-c_d~e+f/9==", "Bearer a=b", "Bearer x ", "Basic eDp5"} {
		f.Add(seed)
	}
	credentials := regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)
	f.Fuzz(func(t *testing.T, authorization string) {
		want := ""
		if match := credentials.FindStringSubmatch(authorization); match != nil {
			want = match[1]
		}
		if token, ok := bearer(t, authorization); token != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", authorization, token, ok, want)
		}
	})
}

// TestInterceptors_SeeStreams has one method with streams behind all of them.
func TestInterceptors_SeeStreams(t *testing.T) {
	c := serve(t, echo,
		interceptor.Logging(interceptor.LoggingOptions{Logger: (&logBuffer{}).logger()}),
		interceptor.Recovery(interceptor.RecoveryOptions{}),
		interceptor.MaskErrors(interceptor.MaskErrorsOptions{}),
		interceptor.Deadline(interceptor.DeadlineOptions{}),
		interceptor.ConcurrencyLimit(interceptor.ConcurrencyLimitOptions{}),
		interceptor.RateLimit(interceptor.RateLimitOptions{}),
		interceptor.Select(interceptor.SelectOptions{}, interceptor.Auth(interceptor.AuthOptions{})),
	)
	if got, err := c.stream("a", "b", "c"); got != "a,b,c" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
