package runtime

import (
	"context"
	"errors"
	goruntime "runtime"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
)

// TestContext_KeptAfterTheHandler keeps the context of an RPC, and looks whether it stays that of its own.
func TestContext_KeptAfterTheHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var kept []context.Context
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			if err := ctx.Err(); err != nil {
				t.Errorf("the context of a new RPC has the error %v", err)
			}
			kept = append(kept, ctx)
			return request, nil
		})})
		client := s.dial()
		for i := range 20 {
			st := client.open("/t.S/M", "n", string(rune('a'+i)), "grpc-timeout", "1H")
			st.send("x")
			st.halfClose()
			st.result().want(codes.OK, "", "x")
		}
		synctest.Wait()
		for i, ctx := range kept {
			if got := InvocationMetadata(ctx).Get("n"); got != string(rune('a'+i)) {
				t.Errorf("context %d is that of %q", i, got)
			}
			select {
			case <-ctx.Done():
			default:
				t.Errorf("context %d is not done", i)
			}
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("context %d: %v", i, ctx.Err())
			}
			if AddCallback(ctx, func() { t.Error("called") }) {
				t.Error("a callback was taken after the end")
			}
			if err := Cancel(ctx); err != nil {
				t.Errorf("Cancel after the end: %v", err)
			}
			child, cancel := context.WithCancel(ctx)
			if child.Err() == nil {
				t.Error("a context made of a dead one lives")
			}
			cancel()
		}
	})
}

// TestContext_Children are contexts made from that of an RPC, and functions that are to be called at its end.
func TestContext_Children(t *testing.T) {
	for _, end := range []string{"Return", "Cancel", "Deadline"} {
		runInBubble(t, end, func(t *testing.T) {
			called := make(chan string, 3)
			var children []context.Context
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				withCancel, cancel := context.WithCancel(ctx)
				withTimeout, cancel2 := context.WithTimeout(context.WithValue(ctx, testKey{}, ""), 2*time.Hour)
				_, _ = cancel, cancel2 // the RPC's end is what cancels them here
				children = []context.Context{withCancel, withTimeout}
				stop := context.AfterFunc(ctx, func() { called <- "stopped" })
				context.AfterFunc(ctx, func() { called <- "after" })
				if !stop() {
					t.Error("stop did not stop the function")
				}
				if !AddCallback(withCancel, func() { called <- "callback" }) {
					t.Error("the callback was not taken")
				}
				if Method(withTimeout) != "/t.S/M" {
					t.Errorf("Method of a child is %q", Method(withTimeout))
				}
				if end == "Return" {
					return request, nil
				}
				<-withTimeout.Done()
				return nil, ctx.Err()
			})})
			client := s.dial()
			st := client.open("/t.S/M", "grpc-timeout", "30S")
			st.send("x")
			st.halfClose()
			synctest.Wait()
			switch end {
			case "Cancel":
				st.cancel()
			case "Deadline":
				st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			}
			synctest.Wait()
			want := context.Canceled
			if end == "Deadline" {
				want = context.DeadlineExceeded
			}
			for i, child := range children {
				if !errors.Is(child.Err(), want) {
					t.Errorf("child %d: %v", i, child.Err())
				}
			}
			got := map[string]int{<-called: 1}
			got[<-called]++
			if len(called) != 0 || got["after"] != 1 || got["callback"] != 1 {
				t.Errorf("called %v, and %d more", got, len(called))
			}
		})
	}
}

// TestContext_Callbacks checks their order, and that one that panics or ends its goroutine keeps no other from being
// called.
func TestContext_Callbacks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		order := make(chan int, 3)
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			AddCallback(ctx, func() { order <- 1 })
			AddCallback(ctx, func() { panic("callback") })
			AddCallback(ctx, func() { goruntime.Goexit() })
			AddCallback(ctx, func() {
				if err := SetTrailingMetadata(ctx, nil); err == nil {
					t.Error("the RPC is not over")
				}
				order <- 2
			})
			return request, nil
		})})
		s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
		if a, b := <-order, <-order; a != 1 || b != 2 {
			t.Errorf("called in the order %d, %d", a, b)
		}
		if len(s.log.lines("Exception calling callback!")) != 2 {
			t.Errorf("logged %v", s.log)
		}
	})
}

// TestContext_Facts checks what a handler can learn of its RPC.
func TestContext_Facts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			if Method(ctx) != "/t.S/M" {
				t.Errorf("Method is %q", Method(ctx))
			}
			p := Peer(ctx)
			if p == nil || p.Addr.Network() != "pipe" || p.LocalAddr == nil || p.AuthInfo != nil {
				t.Errorf("Peer is %v", p)
			}
			if got, ok := peer.FromContext(context.WithValue(ctx, testKey{}, "")); !ok || got.Addr != p.Addr {
				t.Errorf("package peer finds %v", got)
			}
			deadline, ok := ctx.Deadline()
			if string(request.Data) == "timed" {
				if !ok || time.Until(deadline) != time.Minute {
					t.Errorf("Deadline is in %v", time.Until(deadline))
				}
			} else if ok {
				t.Errorf("there is a deadline in %v", time.Until(deadline))
			}
			return request, nil
		})})
		client := s.dial()
		client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		st := client.open("/t.S/M", "grpc-timeout", "1M")
		st.send("timed")
		st.halfClose()
		st.result().want(codes.OK, "", "timed")
	})
}

// TestContext_NotAnRPC calls everything with a context that is not an RPC's.
func TestContext_NotAnRPC(t *testing.T) {
	ctx := context.Background()
	for what, err := range map[string]error{
		"SendInitialMetadata": SendInitialMetadata(ctx, nil), "SetInitialMetadata": SetInitialMetadata(ctx, nil),
		"SetTrailingMetadata": SetTrailingMetadata(ctx, nil),
		"SetCompression":      SetCompression(ctx, Gzip), "Cancel": Cancel(ctx),
		"DisableNextMessageCompression": DisableNextMessageCompression(ctx),
	} {
		if !errors.Is(err, ErrNoRPC) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if Method(ctx) != "" || InvocationMetadata(ctx) != nil || Peer(ctx) != nil || AddCallback(ctx, func() {}) {
		t.Error("facts about no RPC")
	}
}

// TestContext_CancelDeliversResponses checks that what was sent before Cancel arrives.
func TestContext_CancelDeliversResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryStream(
			func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
				if err := responses.Send(rawOf("1")); err != nil {
					t.Errorf("Send: %v", err)
				}
				if err := Cancel(ctx); err != nil {
					t.Errorf("Cancel: %v", err)
				}
				wantStatus(t, responses.Send(rawOf("2")), codes.Canceled, "CANCELLED")
				return nil
			})})
		s.dial().call("/t.S/M", "").result().want(codes.Canceled, "CANCELLED", "1")
	})
}
