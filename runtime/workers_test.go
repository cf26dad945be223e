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
)

// TestWorkers_SlowHandlerDelaysNobody has one handler blocked, and fast ones before, with, and behind it in one batch.
func TestWorkers_SlowHandlerDelaysNobody(t *testing.T) {
	for _, workers := range []int{0, 2} {
		runInBubble(t, fmt.Sprintf("Workers=%d", workers), func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Workers: workers}, handlers{"Slow": blockUntilOver(), "Fast": echo()})
			client := s.dial()
			for range 20 {
				client.cork()
				var fast []*testStream
				for i := range 7 {
					if i == 3 && workers == 0 || i == 3 && len(client.streams) == 3 { // with 2 workers, one can be slow
						client.call("/t.S/Slow", "")
					}
					fast = append(fast, client.call("/t.S/Fast", "x"))
				}
				client.uncork()
				for _, st := range fast {
					st.result().want(codes.OK, "", "x")
				}
			}
		})
	}
}

// TestWorkers_Bound counts how many handlers run at a time, and in which order they begin.
func TestWorkers_Bound(t *testing.T) {
	for _, tt := range []struct{ workers, clients, want int }{{1, 1, 1}, {1, 3, 1}, {3, 1, 3}, {3, 3, 3}, {0, 3, 30}} {
		runInBubble(t, fmt.Sprintf("Workers=%d/%dclients", tt.workers, tt.clients), func(t *testing.T) {
			var mu sync.Mutex
			var order []string
			var running, most atomic.Int32
			s := newTestServer(t, ServerOptions{Workers: tt.workers}, handlers{"M": UnaryUnary(
				func(_ context.Context, request *raw) (*raw, error) {
					n := running.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					mu.Lock()
					order = append(order, string(request.Data))
					mu.Unlock()
					time.Sleep(time.Second)
					running.Add(-1)
					return request, nil
				})})
			var streams []*testStream
			var want []string
			for range tt.clients {
				client := s.dial()
				client.cork()
				for range 30 / tt.clients {
					name := fmt.Sprintf("%02d", len(want))
					want = append(want, name)
					streams = append(streams, client.call("/t.S/M", name))
				}
				client.uncork()
				synctest.Wait()
			}
			began := time.Now()
			for i, st := range streams {
				st.result().want(codes.OK, "", want[i])
			}
			if n := int(most.Load()); n != tt.want {
				t.Errorf("%d handlers ran at a time, want %d", n, tt.want)
			}
			if took, n := time.Since(began), time.Duration(30/tt.want); took != n*time.Second {
				t.Errorf("it took %v, want %v", took, n*time.Second)
			}
			if tt.workers == 1 && !slices.Equal(order, want) {
				t.Errorf("the handlers began in the order %q", order)
			}
		})
	}
}

// TestWorkers_ExecutorOfOptions has options name methods, services, both, and neither.
func TestWorkers_ExecutorOfOptions(t *testing.T) {
	one, two, own := NewExecutor(1), NewExecutor(1), NewExecutor(1)
	for _, tt := range []struct {
		name    string
		options map[string]MethodOptions
		want    Executor
	}{
		{"Nothing", nil, own},
		{"Method", map[string]MethodOptions{"/t.S/M": {Executor: one}}, one},
		{"Service", map[string]MethodOptions{"/t.S/*": {Executor: one}}, one},
		{"MethodBeforeService", map[string]MethodOptions{"/t.S/M": {Executor: one}, "/t.S/*": {Executor: two}}, one},
		{"MethodWithoutExecutor", map[string]MethodOptions{"/t.S/M": {}, "/t.S/*": {Executor: two}}, two},
		{"Others", map[string]MethodOptions{"/t.S/N": {Executor: one}, "/t.T/*": {Executor: two}, "/t.*": {Executor: two}}, own},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(ServerOptions{Methods: tt.options})
			m := &method{MethodHandler: echo().WithExecutor(own), path: "/t.S/M"}
			if got := s.executorOf(m); got != tt.want {
				t.Errorf("got the executor %p, want %p", got, tt.want)
			}
			other, err := s.newOtherMethod("/t.S/M", m.MethodHandler)
			if err != nil || s.executorOf(other) != tt.want {
				t.Errorf("the method of a generic handler has another executor, %v", err)
			}
		})
	}
}

// TestWorkers_NoWorkers refuses methods that no worker could run.
func TestWorkers_NoWorkers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options map[string]MethodOptions
		handler Executor
		refused bool
	}{
		{"One", nil, NewExecutor(1), false},
		{"Inline", nil, Inline, false},
		{"Unbounded", nil, Unbounded, false},
		{"None", nil, NewExecutor(0), true},
		{"Negative", nil, NewExecutor(-1), true},
		{"NoneInOptions", map[string]MethodOptions{"/t.S/*": {Executor: NewExecutor(0)}}, nil, true},
		{"OverruledByOptions", map[string]MethodOptions{"/t.S/M": {Executor: NewExecutor(1)}}, NewExecutor(0), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(ServerOptions{Methods: tt.options})
			err := s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo().WithExecutor(tt.handler)}})
			if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), `service "t.S": method "M": its executor has`) {
				t.Errorf("AddService returned %v", err)
			}
			if n := len(s.Services()); (n == 0) != tt.refused {
				t.Errorf("the server has %d services", n)
			}
		})
	}
}

// TestWorkers_Executors has methods run elsewhere than the others.
func TestWorkers_Executors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		own := NewExecutor(1)
		s := newTestServer(t, ServerOptions{Workers: 1, Methods: map[string]MethodOptions{"/g/M": {Executor: own}}}, handlers{
			"Block":     blockUntilOver(),
			"BlockOwn":  blockUntilOver().WithExecutor(own),
			"Unbounded": echo().WithExecutor(Unbounded),
			"Inline":    echo().WithExecutor(Inline),
			"InlineStream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				return requests.Next()
			}).WithExecutor(Inline),
			"Own": echo().WithExecutor(own), "Default": echo(),
		})
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return echo() })))
		client := s.dial()
		block := client.call("/t.S/Block", "")
		client.ping()
		client.call("/t.S/Unbounded", "1").result().want(codes.OK, "", "1")
		client.call("/t.S/Own", "2").result().want(codes.OK, "", "2")
		client.call("/t.S/Inline", "3").result().want(codes.OK, "", "3")
		client.call("/g/M", "4").result().want(codes.OK, "", "4")
		waits := []*testStream{client.call("/t.S/Default", "5"), client.call("/t.S/InlineStream", "6"), client.call("/g/N", "7")}
		client.ping()
		if stats := s.Stats(); stats.Queued != 3 || stats.Active != 4 {
			t.Errorf("%d RPCs are queued and %d active", stats.Queued, stats.Active)
		}
		block.cancel()
		for i, st := range waits {
			st.result().want(codes.OK, "", fmt.Sprint(5+i))
		}
		block = client.call("/t.S/BlockOwn", "")
		client.ping()
		waiting := client.call("/g/M", "8")
		client.call("/t.S/Default", "9").result().want(codes.OK, "", "9")
		block.cancel()
		waiting.result().want(codes.OK, "", "8")
	})
}

// TestWorkers_GoHome counts the goroutines of workers that are not needed any more.
func TestWorkers_GoHome(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			time.Sleep(time.Second)
			return request, nil
		})})
		client := s.dial()
		for range 2 {
			var streams []*testStream
			for range 100 {
				streams = append(streams, client.call("/t.S/M", "x"))
			}
			synctest.Wait()
			if n := countWorkers(); n < 100 {
				t.Errorf("%d workers for 100 RPCs that wait", n)
			}
			for _, st := range streams {
				st.result().want(codes.OK, "", "x")
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := countWorkers(); n > 1 {
				t.Errorf("%d workers although there is nothing to do", n)
			}
		}
		wantClosed(t, "termination", s.Stop(0))
		synctest.Wait()
		if n := countWorkers(); n != 0 {
			t.Errorf("%d workers after Stop", n)
		}
	})
}

// countWorkers counts the goroutines that are workers.
func countWorkers() int {
	return strings.Count(allStacks(), "work.(*Pool).run(")
}

// allStacks returns the stacks of all goroutines.
func allStacks() string {
	stacks := make([]byte, 1<<20)
	for {
		n := goruntime.Stack(stacks, true)
		if n < len(stacks) {
			return string(stacks[:n])
		}
		stacks = make([]byte, 2*len(stacks))
	}
}

// TestWorkers_ManyInOneBatch sends a large batch at once.
func TestWorkers_ManyInOneBatch(t *testing.T) {
	for _, workers := range []int{0, 1, 7} {
		runInBubble(t, fmt.Sprintf("Workers=%d", workers), func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Workers: workers}, handlers{"M": echo()})
			client := s.dial()
			client.cork()
			var streams []*testStream
			for i := range 900 {
				streams = append(streams, client.call("/t.S/M", fmt.Sprint(i)))
			}
			client.uncork()
			for i, st := range streams {
				st.result().want(codes.OK, "", fmt.Sprint(i))
			}
		})
	}
}
