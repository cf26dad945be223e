package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
)

// TestTurns_ByConnection has a thousand wait in one line, and one in each of others: these come before the second of the
// thousand, whatever the number of places.
func TestTurns_ByConnection(t *testing.T) {
	for _, places := range []int{1, 2, 3} {
		runInBubble(t, fmt.Sprint(places, " places"), func(t *testing.T) {
			const others = 3
			turns := turns{free: places}
			for range places { // which are under way
				turns.take(context.Background(), &line{})
			}
			var order []string
			done := make(chan string)
			wait := func(name string, l *line, times int) {
				for range times {
					go func() {
						turns.take(context.Background(), l)
						done <- name
					}()
				}
				synctest.Wait()
			}
			wait("many", &line{}, 1000)
			for i := range others {
				wait(fmt.Sprint("other ", i), &line{}, 1)
			}
			for range 1000 + others {
				turns.give()
				order = append(order, <-done)
			}
			if last := slices.Index(order, fmt.Sprint("other ", others-1)); last != others {
				t.Errorf("the last of the others came after %d, want %d: %v", last, others, order[:10])
			}
			for range places {
				turns.give()
			}
			if turns.free != places || len(turns.lines) != 0 {
				t.Errorf("%d places are free, %d lines are left", turns.free, len(turns.lines))
			}
		})
	}
}

// TestTurns_InOrder has several lines of several, and those of each come in their order.
func TestTurns_InOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		turns, lines := turns{}, make([]line, 3)
		done := make(chan string)
		for i := range lines {
			for j := range i + 1 {
				go func() {
					turns.take(context.Background(), &lines[i])
					done <- fmt.Sprint(i, j)
				}()
				synctest.Wait()
			}
		}
		var order []string
		for range 6 {
			turns.give()
			order = append(order, <-done)
		}
		if got, want := strings.Join(order, ", "), "0 0, 1 0, 2 0, 1 1, 2 1, 2 2"; got != want {
			t.Errorf("the order is %s, want %s", got, want)
		}
	})
}

// TestTurns_Over has those who wait be over at each point: they get no place, and none is lost.
func TestTurns_Over(t *testing.T) {
	over, end := context.WithCancel(context.Background())
	end()
	runInBubble(t, "Before", func(t *testing.T) {
		turns := turns{free: 1}
		if turns.take(over, &line{}) || turns.free != 1 {
			t.Errorf("a place was taken; %d are free", turns.free)
		}
	})
	for _, when := range []string{"Waiting", "AtItsTurn"} {
		for _, others := range []int32{0, 1, 5} { // who wait behind it
			runInBubble(t, fmt.Sprint(when, others), func(t *testing.T) {
				turns, l := turns{}, &line{}
				ctx, cancel := context.WithCancel(context.Background())
				var left, served atomic.Int32
				wait := func(ctx context.Context) {
					go func() {
						if !turns.take(ctx, l) {
							left.Add(1)
							return
						}
						served.Add(1)
						turns.give()
					}()
					synctest.Wait()
				}
				wait(ctx)
				for range others {
					wait(context.Background())
				}
				if when == "Waiting" {
					cancel()
					synctest.Wait()
					if left.Load() != 1 {
						t.Error("it waits on while there is no place")
					}
				}
				turns.give()
				cancel()
				synctest.Wait()
				if left.Load()+served.Load() != 1+others || served.Load() < others {
					t.Errorf("%d have left and %d were served, of one and %d", left.Load(), served.Load(), others)
				}
				if turns.free != 1 || len(turns.lines) != 0 || len(l.waiting) != 0 {
					t.Errorf("%d places are free, %d wait in %d lines", turns.free, len(l.waiting), len(turns.lines))
				}
			})
		}
	}
}

// TestCompression_OverIsNotInflated has requests wait for their turn to be inflated, and their clients give up: they are
// over at once, and leave their workers to others.
func TestCompression_OverIsNotInflated(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			calls := 0
			count := func(call *testCall) error {
				_, err := call.drain()
				if err != nil {
					return err
				}
				calls++
				return call.send(rawOf(""))
			}
			s := newTestServer(t, Options{Workers: 3}, handlers{"M": handlerOf(c, count), "Echo": echo()})
			client := s.dial()
			places := inflating.free
			for range places { // others are being inflated all the time
				inflating.take(context.Background(), &line{})
			}
			bomb := lpm(1, compress(t, Gzip, strings.Repeat("\x00", 1<<20)))
			for range 10 {
				st := client.open("/t.S/M", "grpc-encoding", "gzip")
				st.sendData(bomb)
				st.halfClose()
				synctest.Wait()
				st.cancel()
			}
			st := client.open("/t.S/M", "grpc-encoding", "gzip", "grpc-timeout", "1S")
			st.sendData(bomb)
			st.halfClose()
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			client.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
			synctest.Wait()
			if n := s.active.Load(); n != 0 || calls != 0 || len(inflating.lines) != 0 {
				t.Errorf("%d RPCs are left, %d in lines, %d were handled", n, len(inflating.lines), calls)
			}
			for range places {
				inflating.give()
			}
			st = client.open("/t.S/M", "grpc-encoding", "gzip")
			st.sendData(bomb)
			st.halfClose()
			if code, details := st.result().status(); code != codes.OK || calls != 1 || inflating.free != places {
				t.Errorf("%v %q, %d were handled, %d places are free of %d", code, details, calls, inflating.free, places)
			}
		})
	}
}

// TestCompression_TakesTurns has one connection's messages wait to be inflated, and another's come before the second of
// them.
func TestCompression_TakesTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		order := make(chan string, 200)
		s := newTestServer(t, Options{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			order <- InvocationMetadata(ctx).Get("who")
			return request, nil
		})})
		places := inflating.free
		for range places {
			inflating.take(context.Background(), &line{})
		}
		call := func(c *testClient, who string) *testStream {
			st := c.open("/t.S/M", "grpc-encoding", "gzip", "who", who)
			st.sendData(lpm(1, compress(t, Gzip, "x")))
			st.halfClose()
			return st
		}
		attacker, other := s.dial(), s.dial()
		for range 100 {
			call(attacker, "attacker")
		}
		synctest.Wait()
		st := call(other, "other")
		synctest.Wait()
		inflating.give() // one place, which goes round
		st.result().want(codes.OK, "", "x")
		synctest.Wait()
		for range places - 1 {
			inflating.give()
		}
		for i := range 101 {
			if who := <-order; who == "other" && i > 1 {
				t.Errorf("the other connection came after %d of the first", i)
			}
		}
	})
}

// cores is before any test, or the flag -cpu, changes it.
var cores = goruntime.GOMAXPROCS(0)

// TestCompression_AsManyAsCores bounds the inflations of the process at a time. That each takes a place, and gives it back,
// is for others.
func TestCompression_AsManyAsCores(t *testing.T) {
	if deflating.free != cores || len(deflating.lines) != 0 {
		t.Errorf("there are places for %d deflations and %d lines, want %d places", deflating.free, len(deflating.lines), cores)
	}
	if inflating.free != cores || len(inflating.lines) != 0 {
		t.Errorf("there are places for %d inflations and %d lines, want %d places", inflating.free, len(inflating.lines), cores)
	}
}

// TestCompression_ResponsesTakeTurns has as many responses deflated as may be at a time. Another waits, and is not deflated if its
// RPC is over meanwhile.
func TestCompression_ResponsesTakeTurns(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			s := newTestServer(t, Options{Compression: Gzip}, handlers{"M": handlerOf(c, func(call *testCall) error {
				if _, err := call.drain(); err != nil {
					return err
				}
				return call.send(rawOf(strings.Repeat("x", 1000)))
			})})
			client := s.dial()
			open := func() *testStream {
				st := client.open("/t.S/M", "grpc-accept-encoding", "gzip")
				st.send("x")
				st.halfClose()
				synctest.Wait()
				return st
			}
			places := deflating.free
			for range places {
				deflating.take(context.Background(), &line{})
			}
			open().cancel()
			waits := open()
			if r := waits.snapshot(); len(r.messages) > 0 || len(deflating.lines) != 1 {
				t.Errorf("%d responses have come that have to wait, behind %d lines", len(r.messages), len(deflating.lines))
			}
			for range places {
				deflating.give()
			}
			if code, details := waits.result().status(); code != codes.OK {
				t.Errorf("%v %q", code, details)
			}
			synctest.Wait()
			if n := s.active.Load(); n != 0 || deflating.free != places || len(deflating.lines) != 0 {
				t.Errorf("left: %d RPCs, %d places of %d, %d lines", n, deflating.free, places, len(deflating.lines))
			}
		})
	}
}
