package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// accountOf returns the account of a server's only connection.
func accountOf(t *testing.T, s *testServer) *budget.Budget {
	t.Helper()
	return onlyConnection(t, s).account
}

// wantIntake waits for all that can happen, and then that at least so many octets are held for requests, or none at all,
// and that so many requests wait for room.
func wantIntake(t *testing.T, s *testServer, held int64, waiting int) {
	t.Helper()
	synctest.Wait()
	account := accountOf(t, s)
	if n, w := account.Used(budget.Requests), account.Waiting(budget.ForRequests); n < held || held == 0 && n != 0 || w != waiting {
		t.Errorf("%d octets are held for requests, of which %d wait; want %d and %d", n, w, held, waiting)
	}
}

// TestIntake_TakesTurns has more large requests on their way than the budget holds: all are served, and at no time is more
// reserved.
func TestIntake_TakesTurns(t *testing.T) {
	const limit, size, calls = 2 << 20, 300_000, 20
	// Requests may have three quarters. Beyond that come the first windows of those that wait, and the RPCs themselves.
	const most = limit/4*3 + calls*(5<<14+2*budget.Weight+1000)
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			var s *testServer
			s = newTestServer(t, ServerOptions{MaxConnectionBytes: limit}, handlers{"M": handlerOf(c, func(c *testCall) error {
				if held := accountOf(t, s).Used(budget.Requests); held > most {
					t.Errorf("%d octets are held", held)
				}
				requests, err := c.drain()
				if err != nil {
					return err
				}
				return c.send(rawOf(fmt.Sprint(len(requests), len(requests[0]))))
			})})
			client := s.dial()
			message := lpm(0, string(make([]byte, size)))
			messages := 1
			if c.requestStreaming {
				messages = 3
			}
			var wg sync.WaitGroup
			for range calls {
				st := client.open("/t.S/M")
				wg.Go(func() {
					for range messages {
						st.sendPatiently(message)
					}
					st.halfClose()
					st.result().want(codes.OK, "", fmt.Sprint(messages, size))
				})
			}
			wg.Wait()
			wantIntake(t, s, 0, 0)
		})
	}
}

// TestIntake_MakesRoom has a request that waits for room, and looks when it gets it.
func TestIntake_MakesRoom(t *testing.T) {
	const limit, size = 1 << 20, 700_000
	message := lpm(0, string(make([]byte, size)))
	part := message[:60_000]
	type step func(t *testing.T, s *testServer, first *testStream)
	tests := []struct {
		name   string
		method string
		fields []string
		step   step
	}{
		{"Served", "Unary", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.sendPatiently(message[len(part):])
			first.halfClose()
			first.result().want(codes.OK, "", "")
		}},
		{"Cancelled", "Unary", nil, func(t *testing.T, s *testServer, first *testStream) { first.cancel() }},
		{"Cut", "Unary", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.halfClose()
			first.result().want(codes.Internal, "the request ended in the middle of a message")
		}},
		{"Deadline", "Unary", []string{"grpc-timeout", "1S"}, func(t *testing.T, s *testServer, first *testStream) {
			first.result().want(codes.DeadlineExceeded, outcomeDeadline.Message)
		}},
		{"TakenByItsHandler", "Reads", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.sendPatiently(message[len(part):])
		}},
		{"LeftByItsHandler", "Returns", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.sendPatiently(message[len(part):])
			first.c.ping()
			wantIntake(t, s, size, 1) // it is in the queue
		}},
		{"CancelledInTheQueue", "Waits", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.sendPatiently(message[len(part):])
			first.c.ping()
			wantIntake(t, s, size, 1)
			first.cancel()
		}},
		{"HandlerIsGone", "Ends", nil, func(t *testing.T, s *testServer, first *testStream) {
			first.sendPatiently(message[len(part):])
			first.halfClose()
			first.c.ping()
			wantIntake(t, s, size, 1)
		}},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			stream := func(f func(ctx context.Context, requests RequestIterator[raw]) error) *MethodHandler {
				return StreamUnary(func(ctx context.Context, requests RequestIterator[raw]) (*raw, error) {
					return rawOf(""), f(ctx, requests)
				})
			}
			s := newTestServer(t, ServerOptions{MaxConnectionBytes: limit}, handlers{
				"Unary": UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(""), nil }),
				"Reads": stream(func(ctx context.Context, requests RequestIterator[raw]) error {
					_, err := requests.Next()
					<-ctx.Done()
					return err
				}),
				"Returns": stream(func(context.Context, RequestIterator[raw]) error {
					time.Sleep(time.Minute)
					return nil
				}),
				"Waits": stream(func(ctx context.Context, requests RequestIterator[raw]) error {
					<-ctx.Done()
					return nil
				}),
				"Ends": stream(func(context.Context, RequestIterator[raw]) error {
					time.Sleep(time.Minute)
					panic("boom")
				}),
			})
			client := s.dial()
			first := client.open("/t.S/"+tt.method, tt.fields...)
			first.sendPatiently(part)
			client.ping()
			wantIntake(t, s, size, 0)
			left := client.open("/t.S/Unary") // waits in between, and gives up
			left.sendPatiently(message[:65535])
			second := client.open("/t.S/Unary")
			second.sendPatiently(message[:65535])
			client.ping()
			wantIntake(t, s, size, 2)
			left.cancel()
			client.ping()
			wantIntake(t, s, size, 1)
			if second.credits != 0 {
				t.Errorf("there is a window of %d octets", second.credits)
			}
			small := client.open("/t.S/Unary")
			small.sendPatiently(lpm(0, string(make([]byte, 65000)))) // goes past those that wait
			small.halfClose()
			small.result().want(codes.OK, "", "")
			tt.step(t, s, first)
			second.sendPatiently(message[65535:])
			second.halfClose()
			second.result().want(codes.OK, "", "")
			first.cancel()
			client.ping()
			time.Sleep(2 * time.Minute) // its handler may go on for one
			wantIntake(t, s, 0, 0)
		})
	}
}

// TestIntake_LargerThanItsLimit takes a request that is larger than the whole budget, and a second one after it.
func TestIntake_LargerThanItsLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 1000}, handlers{"M": echo()}) // is 256 KiB
		client := s.dial()
		message := string(make([]byte, 500_000))
		var wg sync.WaitGroup
		for range 3 {
			st := client.open("/t.S/M")
			wg.Go(func() {
				st.sendPatiently(lpm(0, message))
				st.halfClose()
				st.result().want(codes.OK, "", message)
			})
		}
		wg.Wait()
		wantIntake(t, s, 0, 0)
	})
}

// TestIntake_NoBound reserves nothing.
func TestIntake_NoBound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: -1}, handlers{"M": echo()})
		client := s.dial()
		part := lpm(0, string(make([]byte, 4<<20)))[:100_000]
		for range 20 {
			client.open("/t.S/M").sendPatiently(part)
		}
		client.ping()
		wantIntake(t, s, 20*4<<20, 0) // all have been asked for
	})
}

// TestIntake_ConnectionEnds leaves nothing behind.
func TestIntake_ConnectionEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 1 << 20}, handlers{"M": echo()})
		client := s.dial()
		for range 5 {
			client.open("/t.S/M").sendPatiently(lpm(0, string(make([]byte, 900_000)))[:60_000])
		}
		client.ping()
		wantIntake(t, s, 900_000, 4)
		account := accountOf(t, s)
		client.do(func(f *http2.Framer) { f.WriteGoAway(0, 0, nil) })
		client.close()
		synctest.Wait()
		if n, w := account.Used(budget.Requests), account.Waiting(budget.ForRequests); n != 0 || w != 0 || s.active.Load() != 0 {
			t.Errorf("%d octets are held and %d requests wait", n, w)
		}
	})
}

// TestIntake_StarvingHandler has a large request wait for the only worker, whose handler waits for one for which there is no
// room meanwhile.
func TestIntake_StarvingHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Workers: 1, MaxConnectionBytes: 1 << 20}, handlers{
			"Unary": echo(),
			"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				for _, err := range requests.All() {
					if err != nil {
						return nil, err
					}
				}
				return rawOf("done"), nil
			}),
		})
		client := s.dial()
		stream := client.open("/t.S/Stream")
		client.ping()
		synctest.Wait()
		st := client.open("/t.S/Unary")
		st.sendPatiently(lpm(0, string(make([]byte, 500_000))))
		st.halfClose()
		client.ping()
		wantIntake(t, s, 500_000, 0)
		for range 3 {
			stream.sendPatiently(lpm(0, string(make([]byte, 100_000))))
		}
		stream.halfClose()
		stream.result().want(codes.OK, "", "done")
		wantIntake(t, s, 0, 0)
	})
}

// TestIntake_EndedRPCsAreForgotten has RPCs end that wait for a worker, in the middle of large requests: neither is the
// budget occupied, nor is there memory that it does not know of.
func TestIntake_EndedRPCsAreForgotten(t *testing.T) {
	s := newTestServer(t, ServerOptions{MaxConnectionBytes: 8 << 20, Workers: 1}, handlers{
		"Block": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) { <-ctx.Done(); return rawOf(""), nil }),
		"Stream": StreamUnary(func(ctx context.Context, requests RequestIterator[raw]) (*raw, error) {
			return requests.Next()
		}),
	})
	client := s.dial()
	client.call("/t.S/Block", "")
	heap := func() uint64 {
		goruntime.GC()
		goruntime.GC()
		var m goruntime.MemStats
		goruntime.ReadMemStats(&m)
		return m.HeapAlloc >> 20
	}
	before := heap()
	message := lpm(0, string(make([]byte, 4<<20-10)))
	for range 200 {
		st := client.open("/t.S/Stream")
		st.sendPatiently(message[:len(message)-100])
		st.cancel()
	}
	client.ping()
	held := accountOf(t, &testServer{Server: s.Server}).Used(budget.Requests)
	if after := heap(); after > before+40 || held > 201*2*budget.Weight {
		t.Errorf("heap before %d MiB, after %d MiB; %d octets are held", before, after, held)
	}
}
