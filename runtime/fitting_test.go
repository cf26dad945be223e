package runtime

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
)

// TestOutcome_Fitting has too little room for a status: its details go first, then the end of its text, and never its code.
func TestOutcome_Fitting(t *testing.T) {
	whole := outcome{code: codes.Aborted, details: strings.Repeat("t", 100), rich: make([]byte, 300)}
	trailing := Pairs("k", "v")
	for _, tt := range []struct {
		name string
		room int // less than the whole needs
		rich bool
		text int // octets of it, at least
		ok   bool
	}{
		{"All", 0, true, 100, true},
		{"NoDetails", 1, false, 100, true},
		{"NoDetailsAndLessText", 300*4/3 + len("grpc-status-details-bin") + fieldOverhead + 50, false, 40, true},
		{"Nothing", trailersSize(whole, trailing), false, 0, false},
	} {
		limit := trailersSize(whole, trailing) - tt.room
		got, ok := whole.fitting(trailing, limit)
		if ok != tt.ok || (got.rich != nil) != tt.rich {
			t.Errorf("%s: fits %v, with details %v", tt.name, ok, got.rich != nil)
		}
		if ok && (trailersSize(got, trailing) > limit || len(got.details) < tt.text || got.code != codes.Aborted) {
			t.Errorf("%s: %d octets of %d, with %d of text", tt.name, trailersSize(got, trailing), limit, len(got.details))
		}
	}
}

// TestNext_AfterTheInterceptor has an interceptor answer, and call next when it has returned. No handler runs by that.
func TestNext_AfterTheInterceptor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		later := make(chan func() error, 1)
		called := false
		s := newTestServer(t, intercept(func(ctx context.Context, call *Call, next Next) error {
			later <- func() error { return next(ctx, call) }
			return call.Respond(ctx, rawOf("early"))
		}), handlers{"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { called = true; return request, nil })})
		s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "early")
		synctest.Wait()
		err := (<-later)()
		if code := outcomeOf(err).code; called || code != codes.Internal {
			t.Errorf("the handler was called: %v; next returned %v", called, err)
		}
	})
}

// TestCall_AcceptedEncodings has more names in grpc-accept-encoding than there are compressions.
func TestCall_AcceptedEncodings(t *testing.T) {
	for commas, want := range map[int]bool{0: true, maxAccepted - 1: true, maxAccepted: false, 10_000: false} {
		var d callDefinition
		d.readAccepted(strings.Repeat(",", commas) + "gzip")
		if d.accepts[Gzip] != want {
			t.Errorf("behind %d commas: %v", commas, d.accepts[Gzip])
		}
	}
}
