package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// wantNothingHeld waits for all that can happen, and then that nothing is held for a server's only connection.
func wantNothingHeld(t *testing.T, s *testServer) {
	t.Helper()
	synctest.Wait()
	a := accountOf(t, s)
	if requests, responses := a.Used(budget.Requests), a.Used(budget.Responses); requests != 0 || responses != 0 {
		t.Errorf("%d octets are held for requests and %d for responses", requests, responses)
	}
}

// TestAccount_HandlersEndEarly has handlers end while large requests are under way. Whatever was reserved for these comes
// back: a large request afterwards is served.
func TestAccount_HandlersEndEarly(t *testing.T) {
	const size, calls = 4 << 20, 40
	large := lpm(0, string(make([]byte, size)))
	for name, end := range map[string]func() error{
		"Panic": func() error { panic("boom") },
		"Error": func() error { return status.Error(codes.Aborted, "no") },
	} {
		for _, first := range []int{0, 1, 70_000} { // octets of the large request that have come when the handler ends
			runInBubble(t, fmt.Sprint(name, first), func(t *testing.T) {
				ended := make(chan struct{})
				s := newTestServer(t, ServerOptions{}, handlers{
					"Ends": StreamUnary(func(ctx context.Context, requests RequestIterator[raw]) (*raw, error) {
						if _, err := requests.Next(); err != nil {
							return nil, err
						}
						defer func() { ended <- struct{}{} }()
						return nil, end()
					}),
					"Echo": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) { return requests.Next() }),
				})
				client := s.dial()
				for range calls {
					st := client.open("/t.S/Ends")
					if first > 0 {
						client.cork() // so that the handler ends while the reader is at it
					}
					st.sendData(lpm(0, "begin"))
					st.sendData(large[:min(first, 60_000)])
					client.uncork()
					<-ended
					st.sendPatiently(large[min(first, 60_000):])
				}
				st := client.open("/t.S/Echo", "grpc-timeout", "10S")
				st.sendPatiently(large)
				st.halfClose()
				if code, details := st.result().status(); code != codes.OK {
					t.Errorf("a large request afterwards: %v %q", code, details)
				}
				wantNothingHeld(t, s)
			})
		}
	}
}

// TestAccount_ResponseWaits has handlers return while a large request is under way and their response waits for window. The
// rest of the request is of no use to anybody, and must not keep room from those that are.
func TestAccount_ResponseWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		large := lpm(0, string(make([]byte, 4<<20)))
		s := newTestServer(t, ServerOptions{}, handlers{
			"Early": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				_, err := requests.Next()
				return rawOf("early"), err
			}),
			"Count": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				r, err := requests.Next()
				if err != nil {
					return nil, err
				}
				return rawOf(fmt.Sprint(len(r.Data))), nil
			}),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		var early []*testStream
		for range 40 {
			st := client.open("/t.S/Early")
			st.sendData(lpm(0, "begin"))
			client.ping()
			synctest.Wait() // the response waits
			st.sendPatiently(large[:60_000])
			early = append(early, st)
		}
		st := client.open("/t.S/Count", "grpc-timeout", "10S")
		client.do(func(f *http2.Framer) { f.WriteWindowUpdate(st.id, 1000) })
		st.sendPatiently(large)
		st.halfClose()
		st.result().want(codes.OK, "", fmt.Sprint(4<<20))
		for _, st := range early {
			client.do(func(f *http2.Framer) { f.WriteWindowUpdate(st.id, 1000) })
			st.result().want(codes.OK, "", "early")
		}
		wantNothingHeld(t, s)
	})
}

// TestAccount_ResponsesWait has responses of all kinds for a client that gives no window: all that is held is counted, and
// no more than the limit.
func TestAccount_ResponsesWait(t *testing.T) {
	const limit = 8 << 20
	text := strings.Repeat("all work and no play ", 50_000) // 1 MB, and a few KB compressed
	tests := []struct {
		name    string
		options ServerOptions
		calls   int
		handler *MethodHandler
	}{
		{"Unary", ServerOptions{}, 100, UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(text), nil })},
		{"UnaryCompressed", ServerOptions{Compression: Gzip}, 100, UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(text), nil })},
		{"Stream", ServerOptions{}, 100, UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
			for {
				if err := responses.Send(rawOf(text)); err != nil {
					return err
				}
			}
		})},
		{"StreamOfSmallOnes", ServerOptions{}, 500, UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
			for {
				if err := responses.Send(rawOf("x")); err != nil {
					return err
				}
			}
		})},
		{"ErrorText", ServerOptions{}, 200, UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
			if err := responses.Send(rawOf("x")); err != nil {
				return err
			}
			return errors.New(text[:200_000])
		})},
		{"SmallUnary", ServerOptions{}, 900, UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf("hello"), nil })},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			options := tt.options
			options.MaxConnectionBytes, options.Connections.MinPingInterval = limit, -1
			s := newTestServer(t, options, handlers{"M": tt.handler})
			client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for range tt.calls {
				st := client.open("/t.S/M", "grpc-accept-encoding", "gzip")
				st.send("")
				st.halfClose()
			}
			client.ping()
			synctest.Wait()
			a := accountOf(t, s)
			held, real := a.Used(budget.Responses), memoryOf(t, s)
			if held > limit {
				t.Errorf("%d octets are counted; the limit is %d", held, limit)
			}
			if real > held {
				t.Errorf("%d octets are held, of which %d are counted", real, held)
			}
			t.Logf("%d octets are held, %d are counted", real, held)
			if tt.name == "SmallUnary" && held > 900*1024 {
				t.Errorf("%d octets for 900 responses of ten", held)
			}
		})
	}
}

// memoryOf adds up what waits of responses, on the only connection of a server.
func memoryOf(t *testing.T, s *testServer) (octets int64) {
	t.Helper()
	for _, c := range s.clients.all() {
		octets += c.h2.Backlog()
	}
	return octets
}

// TestAccount_StreamsAreNotTaken ends a connection whose streams take nothing, once that keeps something from going on; and
// not before, however long it takes.
func TestAccount_StreamsAreNotTaken(t *testing.T) {
	stream := func(size int) *MethodHandler {
		return UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
			for {
				if err := responses.Send(&raw{Data: make([]byte, size)}); err != nil {
					return err
				}
			}
		})
	}
	for _, tt := range []struct {
		name  string
		calls int
		ends  bool
	}{
		{"Full", 20, true},
		{"Paused", 2, false},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{MaxConnectionBytes: 4 << 20, Connections: ConnectionOptions{MinPingInterval: -1}}, handlers{"M": stream(500_000), "Echo": echo()})
			client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for range tt.calls {
				client.call("/t.S/M", "")
			}
			client.ping()
			if tt.ends {
				begun := time.Now()
				client.waitEnd()
				client.close()
				synctest.Wait()
				if waited := time.Since(begun); waited < 30*time.Second || waited > 31*time.Second || fmt.Sprint(client.goAways) != "[responses are not taken]" {
					t.Errorf("GOAWAY says %v after %v", client.goAways, waited)
				}
				return
			}
			time.Sleep(time.Hour)
			st := client.call("/t.S/Echo", "still there")
			client.do(func(f *http2.Framer) { f.WriteWindowUpdate(st.id, 1000) })
			st.result().want(codes.OK, "", "still there")
		})
	}
}

// TestAccount_ManyLargeRequests has as many large requests at a time as there can be, half of each of which fits into the
// windows: they take turns, and all are served.
func TestAccount_ManyLargeRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 8 << 20}, handlers{"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			return rawOf(fmt.Sprint(len(request.Data))), nil
		})})
		client := s.dial()
		message := lpm(0, string(make([]byte, 130_000)))
		var wg sync.WaitGroup
		for range 300 {
			st := client.open("/t.S/M")
			st.sendPatiently(message[:65_000])
			wg.Go(func() {
				st.sendPatiently(message[65_000:])
				st.halfClose()
				st.result().want(codes.OK, "", "130000")
			})
		}
		wg.Wait()
		wantNothingHeld(t, s)
	})
}

// TestAccount_HandlersWaitForEachOther has a handler that takes nothing before another RPC has been served, whose request is
// large. The account is full of requests of the first.
func TestAccount_HandlersWaitForEachOther(t *testing.T) {
	for _, second := range []string{"Unary", "Stream"} {
		runInBubble(t, second, func(t *testing.T) {
			free := make(chan struct{})
			s := newTestServer(t, ServerOptions{MaxConnectionBytes: 2 << 20}, handlers{
				"Waits": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
					<-free
					return countRequests(requests)
				}),
				"Unary": UnaryUnary(func(context.Context, *raw) (*raw, error) { close(free); return rawOf("free"), nil }),
				"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
					_, err := requests.Next()
					close(free)
					return rawOf("free"), err
				}),
			})
			client := s.dial()
			first := client.open("/t.S/Waits")
			large := lpm(0, string(make([]byte, 400_000)))
			first.sendPatiently(large)
			other := client.open("/t.S/" + second)
			other.sendPatiently(large)
			other.halfClose()
			other.result().want(codes.OK, "", "free")
			first.halfClose()
			first.result().want(codes.OK, "", "1")
			wantNothingHeld(t, s)
		})
	}
}

// TestAccount_HeldRPCsShareWorkers has one connection that was congested, and one that never was, on one worker: once the
// first is not congested any more, its RPCs have their turns as the others do.
func TestAccount_HeldRPCsShareWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		served := map[string]int{}
		s := newTestServer(t, ServerOptions{Workers: 1, MaxConnectionBytes: heldBackLimit, Connections: ConnectionOptions{MinPingInterval: -1}}, handlers{
			"Large": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, heldBackResponse)}, nil }),
			"Small": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
				mu.Lock()
				defer mu.Unlock()
				served[InvocationMetadata(ctx).Get("who")]++
				return rawOf(""), nil
			}),
		})
		congested := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		var large []*testStream
		for range 2 {
			large = append(large, congested.call("/t.S/Large", ""))
			congested.ping()
			synctest.Wait()
		}
		call := func(c *testClient, who string) *testStream {
			st := c.open("/t.S/Small", "who", who)
			st.send("")
			st.halfClose()
			return st
		}
		for range 100 {
			call(congested, "congested")
		}
		congested.ping()
		synctest.Wait()
		if served["congested"] != 0 {
			t.Fatalf("%v were served; they should wait", served)
		}
		other := s.dial()
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 10 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						call(other, "other").result()
					}
				}
			})
		}
		congested.do(func(f *http2.Framer) {
			f.WriteWindowUpdate(0, 1<<24)
			for _, st := range large {
				f.WriteWindowUpdate(st.id, 1<<20)
			}
		})
		for _, st := range large {
			st.result()
		}
		mu.Lock()
		before := served["other"]
		mu.Unlock()
		for more := 0; ; {
			mu.Lock()
			done := served["congested"]
			more = served["other"] - before
			mu.Unlock()
			if done == 100 {
				break
			}
			if more > 2000 {
				t.Errorf("%d RPCs of the other connection went before %d of 100 that had waited", more, 100-done)
				break
			}
			other.ping()
		}
		close(stop)
		wg.Wait()
	})
}

// TestAccount_Server has a limit for all connections together: while one fills it, RPCs of another wait, until the first has
// lost its connection.
func TestAccount_Server(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxServerBytes: 4 << 20}, handlers{
			"Large": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 900_000)}, nil }),
			"Echo":  echo(),
		})
		greedy := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 10 {
			greedy.call("/t.S/Large", "")
		}
		greedy.ping()
		synctest.Wait()
		if held := s.Stats().HeldResponseBytes; held < 2<<20 || held > 4<<20 {
			t.Errorf("%d octets are held", held)
		}
		begun := time.Now()
		s.dial().call("/t.S/Echo", "at last").result().want(codes.OK, "", "at last")
		if waited := time.Since(begun); waited < 30*time.Second || waited > 31*time.Second {
			t.Errorf("the other connection has waited for %v", waited)
		}
		greedy.waitEnd()
		synctest.Wait()
		if n := s.account.Used(budget.Requests) + s.account.Used(budget.Responses); n != 0 {
			t.Errorf("%d octets are left", n)
		}
	})
}

// TestAccount_StreamPinsNoWorker has streams that take nothing occupy all workers. Another client's call is served once they
// have done so for WriteTimeout; and as long as nobody waits, they may take their time.
func TestAccount_StreamPinsNoWorker(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Workers: 2, Connections: ConnectionOptions{MinPingInterval: -1}}, handlers{
			"Stream": UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
				for {
					if err := responses.Send(&raw{Data: make([]byte, 100_000)}); err != nil {
						return err
					}
				}
			}),
			"Echo": echo(),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		streams := []*testStream{client.call("/t.S/Stream", ""), client.call("/t.S/Stream", "")}
		time.Sleep(time.Hour)
		client.ping()
		begun := time.Now()
		s.dial().call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
		if waited := time.Since(begun); waited > 30*time.Second {
			t.Errorf("the other client has waited for %v", waited)
		}
		synctest.Wait() // for the client's reader
		ended := 0
		for _, st := range streams {
			client.Lock()
			if st.ended {
				ended++
			}
			client.Unlock()
		}
		if ended == 0 {
			t.Error("no stream has ended")
		}
	})
}

// TestAccount_MetadataLimits has clients that permit small field sections only. What is too large for them costs no more than
// its own stream, and a text is cut.
func TestAccount_MetadataLimits(t *testing.T) {
	const limit = 1000
	long := strings.Repeat("ä", 5000)
	tests := []struct {
		name     string
		behavior func(ctx context.Context) error
		code     codes.Code // OK: the stream is reset
		begins   string
	}{
		{"LongText", func(context.Context) error { return status.Error(codes.Aborted, long) }, codes.Aborted, "ää"},
		{"Details", func(context.Context) error {
			st, _ := status.New(codes.Aborted, "short").WithDetails(status.New(codes.OK, long).Proto())
			return st.Err()
		}, codes.Aborted, "short"},
		{"TrailingMetadata", func(ctx context.Context) error {
			return SetTrailingMetadata(ctx, Pairs("k", strings.Repeat("x", 2000)))
		}, codes.OK, ""},
		{"TrailingMetadataOfAnError", func(ctx context.Context) error {
			check(t, SetTrailingMetadata(ctx, Pairs("k", strings.Repeat("x", 2000))))
			return status.Error(codes.Aborted, "x")
		}, codes.OK, ""},
		{"InitialMetadata", func(ctx context.Context) error {
			return SendInitialMetadata(ctx, Pairs("k", strings.Repeat("x", 2000)))
		}, codes.Internal, "gogreeter: the initial metadata is larger than the client permits"},
	}
	for _, tt := range tests {
		for _, c := range cardinalities {
			runInBubble(t, tt.name+c.name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
					if c.responseStreaming && tt.name != "InitialMetadata" {
						check(t, call.send(rawOf("first")))
					} else if !c.responseStreaming {
						check(t, call.send(rawOf("only")))
					}
					return tt.behavior(call.ctx)
				}), "Echo": echo()})
				client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: limit})
				st := client.call("/t.S/M", "")
				if tt.code == codes.OK {
					client.wait("RST_STREAM", func() bool { return st.reset && st.code == http2.ErrCodeInternal })
				} else {
					r := st.result()
					size := 0
					for _, f := range r.trailers {
						size += len(f.Name) + len(f.Value) + 32
					}
					code, details := r.status()
					if code != tt.code || !strings.HasPrefix(details, tt.begins) || size > limit {
						t.Errorf("got %v %.50q in a section of %d octets", code, details, size)
					}
				}
				client.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
			})
		}
	}
}

// TestQueue_KeepsOrder has requests wait for their handler, of sizes that are packed, and of some that are not.
func TestQueue_KeepsOrder(t *testing.T) {
	for seed := range uint64(20) {
		runInBubble(t, fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			proceed := make(chan int)
			var got []string
			s := newTestServer(t, ServerOptions{}, handlers{"M": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				for n := range proceed {
					for range n {
						r, err := requests.Next()
						if err != nil {
							return nil, err
						}
						got = append(got, string(r.Data))
						defer func(before string) {
							if string(r.Data) != before {
								t.Error("a request changes after it was taken")
							}
						}(string(r.Data))
					}
				}
				_, err := requests.Next()
				if err != io.EOF {
					return nil, err
				}
				return rawOf("done"), nil
			})})
			client := s.dial()
			st := client.open("/t.S/M", "grpc-encoding", "gzip")
			var want []string
			waiting := 0
			for range 200 {
				size := random.IntN([]int{2, 20, 600, 2000}[random.IntN(4)])
				message := strings.Repeat(string(rune('a'+random.IntN(26))), size)
				want = append(want, message)
				if random.IntN(3) == 0 {
					st.sendPatiently(lpm(1, compress(t, Gzip, message)))
				} else {
					st.sendPatiently(lpm(0, message))
				}
				if waiting++; random.IntN(8) == 0 {
					n := random.IntN(waiting + 1)
					waiting -= n
					proceed <- n
				}
			}
			proceed <- waiting
			close(proceed)
			st.halfClose()
			st.result().want(codes.OK, "", "done")
			if !equal(got, want) {
				t.Error("the requests are not those that were sent")
			}
			wantNothingHeld(t, s)
		})
	}
}

func equal(a, b []string) bool {
	return fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b)
}

// TestQueue_StaysSmall has a handler that never catches up with its client, and one for which many small requests wait.
func TestQueue_StaysSmall(t *testing.T) {
	var q requestQueue
	tab := &requestMemory{account: budget.New(-1, nil, nil)}
	one := func() message { return message{data: bytes.Repeat([]byte("x"), 1000)} }
	take := func() { tab.releaseRequest(q.take(tab)) }
	q.add(one(), tab)
	for range 100_000 {
		q.add(one(), tab)
		take()
	}
	if n := cap(q.waiting); n > 16 {
		t.Errorf("the queue has room for %d requests, and there is one", n)
	}
	take()
	const small = 13_000 // as many as a window of 64 KiB lets come
	for range small {
		q.add(message{}, tab)
	}
	if held := tab.held.Load(); held > 80_000 {
		t.Errorf("%d octets are held for %d empty requests", held, small)
	}
	for range small {
		take()
	}
	if !q.isEmpty() || q.unpacked != 0 || tab.held.Load() != 0 {
		t.Errorf("%d requests are left", len(q.waiting))
	}
}

// TestStream_ManySlowHandlers has small requests queue for handlers that are slow, on all streams that there can be.
func TestAccount_ManySlowHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var sum atomic.Int64
		free := make(chan struct{})
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 4 << 20}, handlers{"M": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
			<-free
			for r, err := range requests.All() {
				if err != nil {
					return nil, err
				}
				sum.Add(int64(len(r.Data)))
			}
			return rawOf(""), nil
		})})
		client := s.dial()
		var all []*testStream
		for range 200 {
			st := client.open("/t.S/M")
			for range 6 {
				st.sendPatiently(lpm(0, string(make([]byte, 10_000))))
			}
			all = append(all, st)
		}
		client.ping()
		close(free)
		for _, st := range all {
			st.halfClose()
			st.result().want(codes.OK, "", "")
		}
		if sum.Load() != 200*6*10_000 {
			t.Error(sum.Load())
		}
		wantNothingHeld(t, s)
	})
}

// TestHandler_WithMaxReceiveMessageBytes bounds the requests of a method, as they come and after inflating.
func TestHandler_WithMaxReceiveMessageBytes(t *testing.T) {
	for _, c := range cardinalities {
		for name, options := range map[string]ServerOptions{"Plain": {}, "Behind": passing(ServerOptions{})} {
			runInBubble(t, c.name+name, func(t *testing.T) {
				s := newTestServer(t, options, handlers{"M": handlerOf(c, func(call *testCall) error {
					requests, err := call.drain()
					if err != nil {
						return err
					}
					return call.send(rawOf(fmt.Sprint(len(requests[0]))))
				}).WithMaxReceiveMessageBytes(1000)})
				client := s.dial()
				for _, tt := range []struct {
					size       int
					compressed bool
					code       codes.Code
				}{{1000, false, codes.OK}, {1001, false, codes.ResourceExhausted}, {1000, true, codes.OK}, {1001, true, codes.ResourceExhausted}, {1 << 20, true, codes.ResourceExhausted}} {
					st := client.open("/t.S/M", "grpc-encoding", "gzip")
					message := lpm(0, string(make([]byte, tt.size)))
					if tt.compressed {
						message = lpm(1, compress(t, Gzip, string(make([]byte, tt.size))))
					}
					st.sendData(message)
					st.halfClose()
					if code, details := st.result().status(); code != tt.code {
						t.Errorf("%+v: got %v %q", tt, code, details)
					}
				}
			})
		}
	}
}

// TestAccount_InitialMetadataWaits has handlers send large initial metadata, by itself, with a response or with a status, to a
// client that does not read.
func TestAccount_InitialMetadataWaits(t *testing.T) {
	md := Pairs("k", strings.Repeat("x", 48<<10))
	for name, handler := range map[string]func(ctx context.Context) error{
		"Send":          func(ctx context.Context) error { return SendInitialMetadata(ctx, md) },
		"SetAndRespond": func(ctx context.Context) error { return SetInitialMetadata(ctx, md) },
		"SetAndFail": func(ctx context.Context) error {
			return errors.Join(SetInitialMetadata(ctx, md), status.Error(codes.Aborted, ""))
		},
		"SetAndSend": func(ctx context.Context) error {
			return errors.Join(SetInitialMetadata(ctx, md), SendInitialMetadata(ctx, nil))
		},
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{MaxConnectionBytes: 4 << 20}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				return request, handler(ctx)
			})})
			nc := s.listener.dial()
			all := &sink{}
			w := newFramePeer(t, all)
			w.Preface()
			for i := range uint32(400) {
				w.call(2*i+1, "/t.S/M")
			}
			go nc.Write(all.written)
			synctest.Wait()
			a := accountOf(t, s)
			if held := a.Used(budget.Responses); held > 4<<20 || held < 1<<20 {
				t.Errorf("%d octets are held", held)
			}
			nc.Close()
			synctest.Wait()
		})
	}
}

// sink is a connection that keeps what is written.
type sink struct {
	net.Conn
	written []byte
}

func (s *sink) Write(p []byte) (int, error) {
	s.written = append(s.written, p...)
	return len(p), nil
}
