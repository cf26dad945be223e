package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// passing returns options with an interceptor that does nothing.
func passing(options ServerOptions) ServerOptions {
	options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }}
	return options
}

// TestTurn_BehindInterceptors counts how many handlers run at a time, and in which order they begin, while their
// interceptors run at once.
func TestTurn_BehindInterceptors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		options  ServerOptions
		executor Executor
		want     int
	}{
		{"OneWorker", ServerOptions{Workers: 1}, nil, 1},
		{"Workers", ServerOptions{Workers: 3}, nil, 3},
		{"Executor", ServerOptions{Workers: 1}, NewExecutor(2), 2},
		{"Unbounded", ServerOptions{Workers: 1}, Unbounded, 12},
		{"AnyNumber", ServerOptions{}, nil, 12},
	} {
		for _, c := range cardinalities {
			runInBubble(t, tt.name+"/"+c.name, func(t *testing.T) {
				var running, most, intercepted atomic.Int32
				var mu sync.Mutex
				var order []string
				options := tt.options
				options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
					intercepted.Add(1)
					return next(ctx, call)
				}}
				h := handlerOf(c, func(call *testCall) error {
					most.Store(max(most.Load(), running.Add(1))) // the bubble's handlers begin one after another
					defer running.Add(-1)
					requests, err := call.drain()
					mu.Lock()
					order = append(order, strings.Join(requests, ","))
					mu.Unlock()
					time.Sleep(time.Second)
					if err != nil {
						return err
					}
					return call.send(rawOf("done"))
				})
				if tt.executor != nil {
					h = h.WithExecutor(tt.executor)
				}
				s := newTestServer(t, options, handlers{"M": h})
				client := s.dial()
				began := time.Now()
				var streams []*testStream
				var sent []string
				for i := range 12 {
					sent = append(sent, fmt.Sprintf("%02d", i))
					streams = append(streams, client.call("/t.S/M", sent[i]))
					synctest.Wait()
				}
				if n := intercepted.Load(); n != 12 {
					t.Errorf("%d of 12 RPCs have reached their interceptors", n)
				}
				if n := s.Stats().Queued; n != 12-tt.want {
					t.Errorf("%d are queued", n)
				}
				for _, st := range streams {
					st.result().want(codes.OK, "", "done")
				}
				if n := int(most.Load()); n != tt.want {
					t.Errorf("%d ran at a time, want %d", n, tt.want)
				}
				if took := time.Since(began); took != time.Duration(12/tt.want)*time.Second {
					t.Errorf("it took %v", took)
				}
				if tt.want == 1 && !slices.Equal(order, sent) {
					t.Errorf("they began in the order %q", order)
				}
				wantNoTurns(t, s)
			})
		}
	}
}

// wantNoTurns fails unless nobody occupies a place or waits for one.
func wantNoTurns(t *testing.T, s *testServer) {
	t.Helper()
	synctest.Wait()
	bounds := []*work.Bound{s.bound}
	for _, bound := range s.executors.Range {
		bounds = append(bounds, bound.(*work.Bound))
	}
	for _, bound := range bounds {
		if bound != nil && (bound.Running() != 0 || bound.Waiting() != 0) {
			t.Errorf("%d run and %d wait", bound.Running(), bound.Waiting())
		}
	}
	if n := s.active.Load(); n != 0 {
		t.Errorf("%d RPCs are still counted", n)
	}
}

// TestTurn_Ends has RPCs end in each way while they wait for their turn, and handlers in each way that have it.
func TestTurn_Ends(t *testing.T) {
	tests := []struct {
		name string
		end  func(s *testServer, st *testStream)
		code codes.Code
	}{
		{"Deadline", func(*testServer, *testStream) { time.Sleep(time.Second) }, codes.DeadlineExceeded},
		{"Cancel", func(_ *testServer, st *testStream) { st.cancel() }, codes.Canceled},
		{"Vanish", func(_ *testServer, st *testStream) { st.c.close() }, codes.Canceled},
		{"Stop", func(s *testServer, _ *testStream) { s.Stop(0) }, codes.Unavailable},
	}
	leave := map[string]func(){"Returns": func() {}, "Panics": func() { panic("x") }, "Exits": goruntime.Goexit}
	for _, c := range cardinalities {
		for _, tt := range tests {
			for how, leave := range leave {
				runInBubble(t, c.name+"/"+tt.name+"/"+how, func(t *testing.T) {
					var seen []error
					var mu sync.Mutex
					note := func(ctx context.Context, call *ServerCall, next ServerNext) error {
						err := next(ctx, call)
						mu.Lock()
						defer mu.Unlock()
						seen = append(seen, err)
						return err
					}
					release := make(chan struct{})
					options := intercept(note)
					options.Workers = 1
					s := newTestServer(t, options, handlers{
						"Occupy": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { <-release; leave(); return request, nil }),
						"M":      handlerOf(c, func(*testCall) error { t.Error("the handler was called"); return nil }),
						"Echo":   echo(),
					})
					occupant, client, last := s.dial(), s.dial(), s.dial()
					occupant.call("/t.S/Occupy", "x")
					synctest.Wait()
					st := client.open("/t.S/M", "grpc-timeout", "1S")
					st.send("x")
					st.halfClose()
					synctest.Wait()
					behind := last.call("/t.S/Echo", "y")
					synctest.Wait()
					tt.end(s, st)
					synctest.Wait()
					if len(seen) == 0 {
						t.Fatal("it still waits")
					}
					if got := status.Code(seen[0]); got != tt.code {
						t.Errorf("next returned %v, want %v", seen[0], tt.code)
					}
					close(release)
					if tt.name != "Stop" {
						behind.result().want(codes.OK, "", "y")
					}
					wantNoTurns(t, s)
				})
			}
		}
	}
}

// TestTurn_HalfOpen has clients begin RPCs whose only request does not come. They must not occupy one of the workers.
func TestTurn_HalfOpen(t *testing.T) {
	for _, method := range []string{"UnaryUnary", "UnaryStream"} {
		for _, executor := range []Executor{nil, NewExecutor(1), Inline} {
			runInBubble(t, method, func(t *testing.T) {
				h := handlerOf(cardinality{name: method}, func(call *testCall) error {
					request, err := call.next()
					if err != nil {
						return err
					}
					return call.send(request)
				})
				if executor != nil {
					h = h.WithExecutor(executor)
				}
				s := newTestServer(t, passing(ServerOptions{Workers: 1}), handlers{"M": h})
				client := s.dial()
				var open []*testStream
				for _, content := range []string{"", "\x00", string(lpm(0, "late"))[:7], string(lpm(0, "late"))} {
					for _, timeout := range []string{"1H", "1S"} {
						st := client.open("/t.S/M", "grpc-timeout", timeout)
						st.sendData([]byte(content))
						open = append(open, st)
					}
				}
				synctest.Wait()
				client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
				whole := lpm(0, "late")
				for i, have := range []int{0, 1, 7, len(whole)} {
					open[2*i].sendData(whole[have:])
					open[2*i].halfClose()
					open[2*i].result().want(codes.OK, "", "late")
					open[2*i+1].result().want(codes.DeadlineExceeded, "Deadline Exceeded")
				}
				wantNoTurns(t, s)
			})
		}
	}
}

// TestTurn_NotOneRequest is what interceptors learn of requests for methods that take one.
func TestTurn_NotOneRequest(t *testing.T) {
	for _, method := range []string{"UnaryUnary", "UnaryStream"} {
		for _, requests := range [][]string{nil, {"a", "b"}, {"a", "b", "c"}} {
			for _, halfClose := range []bool{true, false} {
				runInBubble(t, fmt.Sprintf("%s/%d/%v", method, len(requests), halfClose), func(t *testing.T) {
					if requests == nil && !halfClose {
						return // is none of these yet
					}
					var seen error
					options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
						seen = next(ctx, call)
						return seen
					})
					options.Workers = 1
					s := newTestServer(t, options, handlers{"M": handlerOf(cardinality{name: method}, func(*testCall) error {
						t.Error("the handler was called")
						return nil
					})})
					client := s.dial()
					for _, inOneBatch := range []bool{true, false} {
						if inOneBatch {
							client.cork()
						}
						st := client.open("/t.S/M")
						for _, request := range requests {
							st.send(request)
							if !inOneBatch {
								client.ping()
							}
						}
						if halfClose {
							st.halfClose()
						}
						client.uncork()
						want := wrongRequestCount("/t.S/M")
						st.result().want(want.Code, want.Message)
						synctest.Wait()
						wantStatus(t, seen, want.Code, want.Message)
					}
					wantNoTurns(t, s)
				})
			}
		}
	}
}

// TestTurn_OfAnotherMethod has an interceptor send RPCs to a method whose executor is another.
func TestTurn_OfAnotherMethod(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
			check(t, call.SetMethod("/t.S/To"))
			return next(ctx, call)
		})
		s := newTestServer(t, options, handlers{
			"From": echo(),
			"To": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
				<-release
				return request, nil
			}).WithExecutor(NewExecutor(1)),
		})
		client := s.dial()
		var streams []*testStream
		for range 3 {
			streams = append(streams, client.call("/t.S/From", "x"))
		}
		synctest.Wait()
		if n := s.Stats().Queued; n != 2 {
			t.Errorf("%d are queued, want 2", n)
		}
		close(release)
		for _, st := range streams {
			st.result().want(codes.OK, "", "x")
		}
		wantNoTurns(t, s)
	})
}

// TestTurn_LargeRequests has a large request wait for the only worker, whose handler waits for one for which there is no room
// meanwhile.
func TestTurn_LargeRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, passing(ServerOptions{Workers: 1, MaxConnectionBytes: 1 << 20}), handlers{
			"Unary":  echo(),
			"Stream": handlerOf(cardinality{name: "StreamUnary", requestStreaming: true}, func(call *testCall) error { call.drain(); return call.send(rawOf("done")) }),
		})
		client := s.dial()
		stream := client.open("/t.S/Stream")
		client.ping()
		synctest.Wait()
		large := strings.Repeat("x", 500_000)
		waiting := client.open("/t.S/Unary")
		waiting.sendPatiently(lpm(0, large))
		waiting.halfClose()
		client.ping()
		for range 3 {
			stream.sendPatiently(lpm(0, large[:100_000]))
		}
		stream.halfClose()
		stream.result().want(codes.OK, "", "done")
		waiting.result().want(codes.OK, "", large)
		wantNoTurns(t, s)
	})
}
