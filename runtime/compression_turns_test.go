package runtime

import (
	"context"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

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
			s := newTestServer(t, ServerOptions{Workers: 3}, handlers{"M": handlerOf(c, count), "Echo": echo()})
			client := s.dial()
			places := inflating.Free()
			for range places { // others are being inflated all the time
				inflating.Acquire(context.Background(), &work.Line{})
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
			if n := s.active.Load(); n != 0 || calls != 0 || inflating.Waiting() != 0 {
				t.Errorf("%d RPCs are left, %d in lines, %d were handled", n, inflating.Waiting(), calls)
			}
			for range places {
				inflating.Release()
			}
			st = client.open("/t.S/M", "grpc-encoding", "gzip")
			st.sendData(bomb)
			st.halfClose()
			if code, details := st.result().status(); code != codes.OK || calls != 1 || inflating.Free() != places {
				t.Errorf("%v %q, %d were handled, %d places are free of %d", code, details, calls, inflating.Free(), places)
			}
		})
	}
}

// TestCompression_TakesTurns has one connection's messages wait to be inflated, and another's come before the second of
// them.
func TestCompression_TakesTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		order := make(chan string, 200)
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			order <- InvocationMetadata(ctx).Get("who")
			return request, nil
		})})
		places := inflating.Free()
		for range places {
			inflating.Acquire(context.Background(), &work.Line{})
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
		inflating.Release() // one place, which goes round
		st.result().want(codes.OK, "", "x")
		synctest.Wait()
		for range places - 1 {
			inflating.Release()
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
	if deflating.Free() != cores || deflating.Waiting() != 0 {
		t.Errorf("there are places for %d deflations and %d lines, want %d places", deflating.Free(), deflating.Waiting(), cores)
	}
	if inflating.Free() != cores || inflating.Waiting() != 0 {
		t.Errorf("there are places for %d inflations and %d lines, want %d places", inflating.Free(), inflating.Waiting(), cores)
	}
}

// TestCompression_ResponsesTakeTurns has as many responses deflated as may be at a time. Another waits, and is not deflated if its
// RPC is over meanwhile.
func TestCompression_ResponsesTakeTurns(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Compression: Gzip}, handlers{"M": handlerOf(c, func(call *testCall) error {
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
			places := deflating.Free()
			for range places {
				deflating.Acquire(context.Background(), &work.Line{})
			}
			open().cancel()
			waits := open()
			if r := waits.snapshot(); len(r.messages) > 0 || deflating.Waiting() != 1 {
				t.Errorf("%d responses have come that have to wait, behind %d lines", len(r.messages), deflating.Waiting())
			}
			for range places {
				deflating.Release()
			}
			if code, details := waits.result().status(); code != codes.OK {
				t.Errorf("%v %q", code, details)
			}
			synctest.Wait()
			if n := s.active.Load(); n != 0 || deflating.Free() != places || deflating.Waiting() != 0 {
				t.Errorf("left: %d RPCs, %d places of %d, %d lines", n, deflating.Free(), places, deflating.Waiting())
			}
		})
	}
}

// lookingAround is a message that looks, when it is encoded, how many deflations could begin.
type lookingAround struct{ free *int }

func (*lookingAround) SizeVT() int              { return 1 }
func (*lookingAround) UnmarshalVT([]byte) error { return nil }
func (m *lookingAround) MarshalToSizedBufferVT(b []byte) (int, error) {
	*m.free = deflating.Free()
	return copy(b, "x"), nil
}

// TestCompression_EncodingTakesNoTurn has a compressed response encoded by code that could take any time. It has no turn yet.
func TestCompression_EncodingTakesNoTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		places, free := deflating.Free(), -1
		s := newTestServer(t, ServerOptions{Compression: Gzip}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*lookingAround, error) {
			return &lookingAround{&free}, nil
		})})
		st := s.dial().open("/t.S/M", "grpc-accept-encoding", "gzip")
		st.send("x")
		st.halfClose()
		if code, details := st.result().status(); code != codes.OK || free != places {
			t.Errorf("%v %q; %d of %d deflations could begin while the response was encoded", code, details, free, places)
		}
	})
}
