package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"

	"google.golang.org/grpc/codes"
)

// onlyConnection returns a server's only connection.
func onlyConnection(t *testing.T, s *testServer) *connection {
	t.Helper()
	all := s.clients.all()
	if len(all) != 1 {
		t.Fatalf("%d connections", len(all))
	}
	return all[0]
}

// TestDeadlines_EndWithTheConnection sets the timer of a connection that has ended, as a timer that is going off meanwhile
// does, and a handler that shortens its deadline: the connection must not be kept until then.
func TestDeadlines_EndWithTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": blockUntilOver()})
		client := s.dial()
		st := client.open("/t.S/M", "grpc-timeout", "2H")
		st.send("x")
		st.halfClose()
		client.ping()
		d := &onlyConnection(t, s).deadlines
		client.close()
		synctest.Wait()
		d.watch(clock.Now().Add(time.Hour))
		d.watch(clock.Now().Add(time.Minute))
		if d.timer.Stop() {
			t.Error("the timer of a connection that has ended is set")
		}
		d.timer.Reset(0) // one that goes off just now
		synctest.Wait()
		if d.timer.Stop() {
			t.Error("the timer of a connection that has ended has set itself again")
		}
	})
}

// TestDeadlines_AreExact has RPCs come and end at random, whose deadlines are in any order. Each ends at its own, and the
// RPCs are not all looked at each time.
func TestDeadlines_AreExact(t *testing.T) {
	for _, row := range []struct {
		name    string
		timeout func(random *rand.Rand) time.Duration
		looks   int // at most
	}{
		{"AllAlike", func(*rand.Rand) time.Duration { return time.Second }, 5},
		{"AtRandom", func(random *rand.Rand) time.Duration {
			return 100*time.Millisecond + time.Duration(random.IntN(1000))*time.Millisecond
		}, 30},
	} {
		runInBubble(t, row.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				<-ctx.Done()
				if at, _ := ctx.Deadline(); ctx.Err() != context.Canceled && !time.Now().Equal(at) {
					t.Errorf("an RPC has ended %v after its deadline", time.Since(at))
				}
				return request, ctx.Err()
			})})
			client := s.dial()
			random := rand.New(rand.NewPCG(1, 2))
			client.ping()
			d := &onlyConnection(t, s).deadlines
			looks, before := 0, (*deadline)(nil)
			pass := func(t time.Duration) {
				time.Sleep(t)
				synctest.Wait()
				d.mu.Lock()
				defer d.mu.Unlock()
				if len(d.seen) > 0 && &d.seen[0] != before {
					looks, before = looks+1, &d.seen[0]
				}
			}
			var calls []*testStream
			for range 2000 {
				timeout := row.timeout(random)
				st := client.open("/t.S/M", "grpc-timeout", fmt.Sprint(timeout.Milliseconds(), "m"))
				st.send("")
				st.halfClose()
				if random.IntN(4) == 0 {
					st.cancel()
				} else {
					calls = append(calls, st)
				}
				pass(time.Duration(random.IntN(4)) * time.Millisecond)
			}
			for range 2000 { // the last ones end, and no others come
				pass(time.Millisecond)
			}
			if looks == 0 || looks > row.looks {
				t.Errorf("all RPCs were looked at %d times, want 1 to %d", looks, row.looks)
			}
			for _, st := range calls {
				st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			}
			if d.seen != nil || !d.next.IsZero() && d.next.After(clock.Now()) {
				t.Errorf("left: %v, %v", d.seen, d.next)
			}
		})
	}
}
