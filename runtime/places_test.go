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
		s := newTestServer(t, Options{}, handlers{"Fast": echo()})
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
			s := newTestServer(t, Options{Workers: 1}, handlers{
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
			s.mu.Lock()
			for c := range s.connections {
				c.alarm.Stop()
			}
			s.mu.Unlock()
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
