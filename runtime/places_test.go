package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestInline_NotOfGenericHandlers has a generic handler supply a method handler that wants to run inline, and blocks. It has a
// worker: that the method blocks could not be remembered, and each RPC would hold up its connection anew.
func TestInline_NotOfGenericHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"Fast": echo()})
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return inlineSleep(time.Second) })))
		client := s.dial()
		for range 2 {
			slow := client.call("/g/M", "x")
			began := time.Now()
			client.call("/t.S/Fast", "y").result().want(codes.OK, "", "y")
			if took := time.Since(began); took != 0 {
				t.Errorf("another RPC was held up for %v", took)
			}
			slow.result().want(codes.OK, "", "x")
		}
		if got := s.log.lines("An inline handler blocks"); got != nil {
			t.Errorf("logged %s", got)
		}
	})
}

// TestRPC_DeadlineBeforeTheAlarm has an RPC's turn come when its deadline has passed, and the alarm of its connection, which
// may be late, has not come round to it.
func TestRPC_DeadlineBeforeTheAlarm(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			release, called := make(chan struct{}), false
			s := newTestServer(t, ServerOptions{Workers: 1}, handlers{
				"Occupy": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { <-release; return request, nil }),
				"M":      handlerOf(c, func(*testCall) error { called = true; return nil }),
			})
			client := s.dial()
			first := client.call("/t.S/Occupy", "x")
			synctest.Wait()
			st := client.open("/t.S/M", "grpc-timeout", "1S")
			st.send("x")
			st.halfClose()
			synctest.Wait()
			for _, c := range s.clients.all() {
				c.deadlines.timer.Stop()
			}
			time.Sleep(time.Second)
			close(release)
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			first.result().want(codes.OK, "", "x")
			synctest.Wait()
			if n := s.active.Load(); called || n != 0 {
				t.Errorf("the handler was called: %v; %d RPCs are left", called, n)
			}
		})
	}
}

// TestRPC_DeadlineCountsGenericHandlers has a generic handler take its time, which is the client's.
func TestRPC_DeadlineCountsGenericHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, nil)
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler {
			time.Sleep(time.Second)
			return UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				deadline, _ := ctx.Deadline()
				if remaining := time.Until(deadline); remaining != 2*time.Second {
					t.Errorf("%v remain of 3s, of which a second has passed", remaining)
				}
				return request, nil
			})
		})))
		st := s.dial().open("/g/M", "grpc-timeout", "3S")
		st.send("x")
		st.halfClose()
		st.result().want(codes.OK, "", "x")
	})
}

// TestConnection_AlarmGoesOn has RPCs with deadlines one after another, in any order. Each ends at its own.
func TestConnection_AlarmGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": blockUntilOver()})
		client, began := s.dial(), time.Now()
		calls := map[string]*testStream{}
		for _, timeout := range []string{"3", "1", "4", "2"} {
			st := client.open("/t.S/M", "grpc-timeout", timeout+"S")
			st.send("")
			st.halfClose()
			calls[timeout] = st
		}
		for i, timeout := range []string{"1", "2", "3", "4"} {
			calls[timeout].result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			if took, want := time.Since(began), time.Duration(i+1)*time.Second; took != want {
				t.Errorf("a deadline after %v has passed after %v", want, took)
			}
		}
	})
}

// errorThatPanics cannot be printed.
type errorThatPanics struct{}

func (errorThatPanics) Error() string { panic("no text") }

// TestRPC_ErrorThatPanics has a handler return an error that panics when it is asked for its text, which is when the handler has
// been released already. It is not to be released twice: another RPC would be admitted for each.
func TestRPC_ErrorThatPanics(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(*testCall) error { return errorThatPanics{} }), "Echo": echo()})
			client := s.dial()
			for range 3 {
				client.call("/t.S/M", "x").result().want(codes.Unknown, "Exception calling application: no text")
				synctest.Wait()
				if n := s.active.Load(); n != 0 {
					t.Errorf("%d RPCs are counted", n)
				}
			}
			client.call("/t.S/Echo", "y").result().want(codes.OK, "", "y")
		})
	}
}

// TestServer_CountsServiceThatComesBack removes a service and adds it again. What it has handled before counts still.
func TestServer_CountsServiceThatComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		client := s.dial()
		for i := range 3 {
			client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			synctest.Wait()
			if n := s.Stats().Methods["/t.S/M"].Handled[codes.OK]; n != uint64(i+1) {
				t.Errorf("%d RPCs are counted, want %d", n, i+1)
			}
			check(t, s.RemoveService("t.S"))
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo()}}))
		}
	})
}
