package interceptor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
)

func TestDeadline(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name    string
		options interceptor.DeadlineOptions
		client  time.Duration // 0: none
		want    time.Duration // 0: none
	}{
		{"Nothing", interceptor.DeadlineOptions{}, 0, 0},
		{"ClientOnly", interceptor.DeadlineOptions{}, 3 * s, 3 * s},
		{"Default", interceptor.DeadlineOptions{Default: 5 * s}, 0, 5 * s},
		{"DefaultIsNoCap", interceptor.DeadlineOptions{Default: 5 * s}, 8 * s, 8 * s},
		{"Max", interceptor.DeadlineOptions{Max: 5 * s}, 8 * s, 5 * s},
		{"MaxIsDefault", interceptor.DeadlineOptions{Max: 5 * s}, 0, 5 * s},
		{"MaxIsNoMinimum", interceptor.DeadlineOptions{Max: 5 * s}, 3 * s, 3 * s},
		{"Both", interceptor.DeadlineOptions{Default: 2 * s, Max: 5 * s}, 0, 2 * s},
		{"BothWithClient", interceptor.DeadlineOptions{Default: 2 * s, Max: 5 * s}, 8 * s, 5 * s},
		{"DefaultBeyondMax", interceptor.DeadlineOptions{Default: 8 * s, Max: 5 * s}, 0, 5 * s},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const handlerTakes = 20 * s // whatever its context says
				c := serve(t, func(_ context.Context, request string) (string, error) {
					time.Sleep(handlerTakes)
					return request, nil
				}, clientTimeout(tt.client), interceptor.Deadline(tt.options))
				begin := time.Now()
				_, err := c.call("/t.S/A", "x")
				code, details, want := codes.DeadlineExceeded, "Deadline Exceeded", tt.want
				if want == 0 {
					code, details, want = codes.OK, "", handlerTakes
				}
				wantStatus(t, err, code, details)
				if passed := time.Since(begin); passed != want {
					t.Errorf("the RPC ended after %v, want %v", passed, want)
				}
				time.Sleep(handlerTakes) // the handler goes on
			})
		})
	}
}

// clientTimeout is the client's deadline without the client's own clock, which would end the RPC at the same moment.
func clientTimeout(d time.Duration) runtime.ServerInterceptor {
	return func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		if d > 0 {
			call.ShortenDeadline(time.Now().Add(d))
		}
		return next(ctx, call)
	}
}

// TestConcurrencyLimit has three RPCs of a method begin, and then as many of others.
func TestConcurrencyLimit(t *testing.T) {
	byTenant := func(ctx context.Context, _ *runtime.ServerCall) string {
		return runtime.InvocationMetadata(ctx).Get("tenant")
	}
	full := func(limit int) map[codes.Code]int {
		return map[codes.Code]int{codes.OK: limit, codes.ResourceExhausted: 3 - limit}
	}
	tests := []struct {
		name    string
		options interceptor.ConcurrencyLimitOptions
		other   []string // a method, and metadata
		others  map[codes.Code]int
		want    map[codes.Code]int
	}{
		{"Unlimited", interceptor.ConcurrencyLimitOptions{}, []string{"/t.S/B"}, full(3), full(3)},
		{"OtherMethods", interceptor.ConcurrencyLimitOptions{Limit: 2}, []string{"/t.S/B"}, full(2), full(2)},
		{"SameMethod", interceptor.ConcurrencyLimitOptions{Limit: 2}, []string{"/t.S/A"}, full(0), full(2)},
		{"SameKey", interceptor.ConcurrencyLimitOptions{Limit: 1, Key: byTenant}, []string{"/t.S/B"}, full(0), full(1)},
		{"OtherKey", interceptor.ConcurrencyLimitOptions{Limit: 1, Key: byTenant}, []string{"/t.S/A", "tenant", "acme"}, full(1), full(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leave := make(chan struct{})
				c := serve(t, func(_ context.Context, request string) (string, error) {
					<-leave
					return request, nil
				}, interceptor.ConcurrencyLimit(tt.options))
				for range 2 { // the second time there is room again
					leave = make(chan struct{})
					first := c.three("/t.S/A")
					synctest.Wait()
					then := c.three(tt.other[0], tt.other[1:]...)
					synctest.Wait()
					close(leave)
					wantCodes(t, "the RPCs", first, tt.want)
					wantCodes(t, "the others", then, tt.others)
				}
			})
		})
	}
}

// three makes three calls at once.
func (c *client) three(method string, keysAndValues ...string) <-chan error {
	errs := make(chan error)
	for range 3 {
		go func() {
			_, err := c.call(method, "x", keysAndValues...)
			errs <- err
		}()
	}
	return errs
}

func wantCodes(t *testing.T, what string, errs <-chan error, want map[codes.Code]int) {
	t.Helper()
	got := map[codes.Code]int{codes.OK: 0, codes.ResourceExhausted: 0}
	for range 3 {
		err := <-errs
		if err == nil {
			got[codes.OK]++
			continue
		}
		got[codes.ResourceExhausted]++
		wantStatus(t, err, codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s ended with %v, want %v", what, got, want)
	}
}

func TestConcurrencyLimit_CountsHandlersThatPanic(t *testing.T) {
	c := serve(t, explode, interceptor.ConcurrencyLimit(interceptor.ConcurrencyLimitOptions{Limit: 1}))
	for range 3 {
		_, err := c.call("/t.S/A", "x")
		wantStatus(t, err, codes.Unknown, "Exception calling application: boom")
	}
}

func TestRateLimit(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		options interceptor.RateLimitOptions
		at      []time.Duration // when RPCs come
		want    string          // y: admitted, n: not
	}{
		{"Unlimited", interceptor.RateLimitOptions{}, []time.Duration{0, 0, 0}, "yyy"},
		{"BurstIsTheRate", interceptor.RateLimitOptions{PerSecond: 2}, []time.Duration{0, 0, 0, 499 * ms, 500 * ms, 500 * ms, 1000 * ms}, "yynnyny"},
		{"BurstOfOne", interceptor.RateLimitOptions{PerSecond: 0.5}, []time.Duration{0, 1000 * ms, 2000 * ms, 3000 * ms}, "ynyn"},
		{"Burst", interceptor.RateLimitOptions{PerSecond: 1, Burst: 3}, []time.Duration{0, 0, 0, 0, 1000 * ms, 1000 * ms}, "yyynyn"},
		{"NoMoreThanABurst", interceptor.RateLimitOptions{PerSecond: 1, Burst: 2}, []time.Duration{0, time.Hour, time.Hour, time.Hour}, "yyyn"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, echo, interceptor.RateLimit(tt.options))
				begin := time.Now()
				got := ""
				for _, at := range tt.at {
					time.Sleep(time.Until(begin.Add(at)))
					_, err := c.call("/t.S/A", "x")
					if err == nil {
						got += "y"
						continue
					}
					got += "n"
					wantStatus(t, err, codes.ResourceExhausted, "Rate limit exceeded!")
				}
				if got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if _, err := c.call("/t.S/B", "x"); err != nil {
					t.Errorf("another method: %v", err)
				}
			})
		})
	}
}

// TestLimits_UnknownMethods has clients invent paths. They have one limit together, which is not that of methods that exist.
func TestLimits_UnknownMethods(t *testing.T) {
	for name, limit := range map[string]runtime.ServerInterceptor{
		"Rate":        interceptor.RateLimit(interceptor.RateLimitOptions{PerSecond: 0.001, Burst: 1}),
		"Concurrency": interceptor.ConcurrencyLimit(interceptor.ConcurrencyLimitOptions{Limit: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leave := make(chan struct{})
				block := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
					if call.Handler() == nil {
						<-leave
					}
					return next(ctx, call)
				}
				c := serve(t, echo, limit, block)
				codesOf := make(chan codes.Code, 3)
				for i := range 3 {
					go func() {
						_, err := c.call(fmt.Sprintf("/t.S/Invented%d", i), "x")
						codesOf <- status.Code(err)
					}()
				}
				synctest.Wait()
				if _, err := c.call("/t.S/A", "x"); err != nil {
					t.Errorf("a method that exists: %v", err)
				}
				close(leave)
				got := map[codes.Code]int{}
				for range 3 {
					got[<-codesOf]++
				}
				if got[codes.Unimplemented] != 1 || got[codes.ResourceExhausted] != 2 {
					t.Errorf("three unknown methods: %v", got)
				}
			})
		})
	}
}
