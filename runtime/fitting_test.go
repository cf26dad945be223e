package runtime

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
)

// TestNext_AfterTheInterceptor has an interceptor answer, and call next when it has returned. No handler runs by that.
func TestNext_AfterTheInterceptor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		later := make(chan func() error, 1)
		called := false
		s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
			later <- func() error { return next(ctx, call) }
			return call.Respond(ctx, rawOf("early"))
		}), handlers{"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { called = true; return request, nil })})
		s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "early")
		synctest.Wait()
		err := (<-later)()
		if code := outcomeOf(err).Code; called || code != codes.Internal {
			t.Errorf("the handler was called: %v; next returned %v", called, err)
		}
	})
}
