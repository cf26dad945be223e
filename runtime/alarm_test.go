package runtime

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnection_AlarmEndsWithIt arms the alarm of a connection that has ended, as an alarm that is going off meanwhile
// does, and a handler that shortens its deadline: the connection must not be kept until then.
func TestConnection_AlarmEndsWithIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, Options{}, handlers{"M": blockUntilOver()})
		client := s.dial()
		st := client.open("/t.S/M", "grpc-timeout", "2H")
		st.send("x")
		st.halfClose()
		client.ping()
		s.mu.Lock()
		connections := slices.Collect(maps.Keys(s.connections))
		s.mu.Unlock()
		if len(connections) != 1 {
			t.Fatalf("%d connections", len(connections))
		}
		c := connections[0]
		client.close()
		synctest.Wait()
		c.watchDeadline(time.Now().Add(time.Hour))
		c.watchDeadline(time.Now().Add(time.Minute))
		if c.alarm.Stop() {
			t.Error("the alarm of a connection that has ended is set")
		}
		c.alarm.Reset(0) // one that goes off just now
		synctest.Wait()
		if c.alarm.Stop() {
			t.Error("the alarm of a connection that has ended has set itself again")
		}
	})
}
