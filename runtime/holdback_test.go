package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// Of heldBack's responses two fit into a connection's account, and then no RPC begins.
const (
	heldBackResponse = 600_000
	heldBackLimit    = 1_900_000
)

// heldBack is a server whose responses a client has left unread, as far as its account has room for them.
type heldBack struct {
	*testServer
	client *testClient
	exact  bool         // there is one worker; otherwise some more handlers may begin before the first is noticed
	begun  atomic.Int32 // handlers
	first  []*testStream
}

func newHeldBack(t *testing.T, options ServerOptions, executor Executor, window uint32) *heldBack {
	t.Helper()
	h := &heldBack{exact: options.Workers == 1 && executor == nil}
	options.MaxConnectionBytes, options.Connections.MinPingInterval = heldBackLimit, -1
	h.testServer = newTestServer(t, options, handlers{
		"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			h.begun.Add(1)
			return &raw{Data: make([]byte, heldBackResponse)}, nil
		}).WithExecutor(executor),
	})
	h.client = newTestClient(t, h.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	h.client.do(func(*http2.Framer) { h.client.thrifty = true })
	for range 2 {
		h.first = append(h.first, h.client.call("/t.S/M", ""))
		h.client.ping()
		synctest.Wait()
	}
	if n := h.begun.Load(); n != 2 {
		t.Errorf("%d handlers have begun of the first two", n)
	}
	return h
}

// wantBegun waits for all that can happen, and then that so many handlers have begun.
func (h *heldBack) wantBegun(want int32) {
	h.t.Helper()
	h.client.ping()
	synctest.Wait()
	if n := h.begun.Load(); n < want || h.exact && n != want {
		h.t.Errorf("%d handlers have begun, want %d", n, want)
	}
}

// begunOn reports whether a response has begun.
func (h *heldBack) begunOn(st *testStream) bool {
	h.client.Lock()
	defer h.client.Unlock()
	return st.headers != nil
}

// take lets a response come.
func (h *heldBack) take(st *testStream) {
	h.t.Helper()
	h.client.do(func(f *http2.Framer) {
		f.WriteWindowUpdate(0, heldBackResponse+wire.PrefixLen)
		f.WriteWindowUpdate(st.id, heldBackResponse+wire.PrefixLen)
	})
	r := st.result()
	if code, details := r.status(); code != codes.OK || len(r.messages[0]) != heldBackResponse {
		h.t.Errorf("got %v %q", code, details)
	}
}

var holdbackRows = []struct {
	name     string
	options  ServerOptions
	executor Executor
}{
	{"Worker", ServerOptions{}, nil},
	{"OneWorker", ServerOptions{Workers: 1}, nil},
	{"Executor", ServerOptions{}, NewExecutor(2)},
	{"Unbounded", ServerOptions{Workers: 1}, Unbounded},
	{"Inline", ServerOptions{}, Inline},
}

// TestHoldback_WaitsForTheClient leaves responses unread: further RPCs wait, and go on in their order when the client
// reads.
func TestHoldback_WaitsForTheClient(t *testing.T) {
	for _, row := range holdbackRows {
		runInBubble(t, row.name, func(t *testing.T) {
			h := newHeldBack(t, row.options, row.executor, 0)
			var more []*testStream
			for range 50 {
				more = append(more, h.client.call("/t.S/M", ""))
			}
			h.wantBegun(2)
			if n := h.begun.Load(); n != 2 {
				t.Errorf("%d handlers have begun", n)
			}
			other := h.dial() // is not concerned
			other.call("/t.S/M", "").result()
			h.begun.Add(-1)
			left := append(h.first, more...)
			for i := range len(left) {
				h.wantBegun(int32(min(2+i, 52)))
				at := slices.IndexFunc(left, h.begunOn)
				if at < 0 || h.exact && at > 0 {
					t.Fatalf("RPC %d of those left is the first to begin", at)
				}
				h.take(left[at])
				left = slices.Delete(left, at, at+1)
			}
			h.wantBegun(52)
			if active := h.active.Load(); active != 0 {
				t.Errorf("%d RPCs are still counted", active)
			}
		})
	}
}

// TestHoldback_ClientReads has as many responses at once as there can be, for a client that reads as it should.
func TestHoldback_ClientReads(t *testing.T) {
	for _, row := range holdbackRows {
		runInBubble(t, row.name, func(t *testing.T) {
			h := newHeldBack(t, row.options, row.executor, 30_000)
			var all []*testStream
			for range 150 {
				all = append(all, h.client.call("/t.S/M", ""))
			}
			h.client.do(func(*http2.Framer) {
				h.client.thrifty = false
				for _, st := range h.client.streams {
					h.client.credit(st)
				}
			})
			for _, st := range append(h.first, all...) {
				if code, details := st.result().status(); code != codes.OK {
					t.Fatal(code, details)
				}
			}
			h.wantBegun(152)
		})
	}
}

// TestHoldback_EndsWhileHeld has RPCs that end before they have begun.
func TestHoldback_EndsWhileHeld(t *testing.T) {
	for _, row := range holdbackRows {
		for _, end := range []string{"Deadline", "Cancel", "Reset", "ConnectionEnds", "Stop"} {
			runInBubble(t, row.name+"/"+end, func(t *testing.T) {
				h := newHeldBack(t, row.options, row.executor, 0)
				third := h.client.open("/t.S/M", "grpc-timeout", "10S")
				third.send("")
				third.halfClose()
				fourth := h.client.call("/t.S/M", "")
				h.wantBegun(2)
				switch end {
				case "Deadline":
					third.result().want(codes.DeadlineExceeded, outcomeDeadline.Message)
				case "Cancel":
					third.cancel()
				case "Reset": // of what is not read
					h.first[0].cancel()
					h.wantBegun(3)
					h.first[1].cancel()
					h.wantBegun(4)
					return
				case "ConnectionEnds":
					h.client.close()
					synctest.Wait()
					if n, active := h.begun.Load(), h.active.Load(); n != 2 || active != 0 {
						t.Errorf("%d handlers have begun; %d RPCs are still counted", n, active)
					}
					return
				case "Stop":
					<-h.Stop(0)
					synctest.Wait()
					if n, active := h.begun.Load(), h.active.Load(); n != 2 || active != 0 {
						t.Errorf("%d handlers have begun; %d RPCs are still counted", n, active)
					}
					return
				}
				h.take(h.first[0])
				h.wantBegun(3)
				h.take(fourth)
				h.take(h.first[1])
			})
		}
	}
}

// TestHoldback_ClientTakesNothing is about a client that leaves the connection above the limit.
func TestHoldback_ClientTakesNothing(t *testing.T) {
	runInBubble(t, "Nothing", func(t *testing.T) {
		h := newHeldBack(t, ServerOptions{}, nil, 0)
		h.client.call("/t.S/M", "") // is held back; otherwise nothing would be wrong
		h.wantBegun(2)
		time.Sleep(29 * time.Second)
		h.client.ping() // this alone is no reason to keep it
		h.client.waitEnd()
		h.client.close()
		synctest.Wait()
		if got := fmt.Sprint(h.client.goAways); got != "[responses are not taken]" || len(h.log.lines("ENHANCE_YOUR_CALM: responses are not taken")) != 1 {
			t.Errorf("GOAWAY says %v; the log is %s", got, h.log)
		}
	})
	runInBubble(t, "LittleByLittle", func(t *testing.T) {
		h := newHeldBack(t, ServerOptions{}, nil, 0)
		h.client.call("/t.S/M", "")
		for range 100 {
			time.Sleep(25 * time.Second)
			h.client.do(func(f *http2.Framer) { f.WriteWindowUpdate(h.first[0].id, 1) })
			h.client.ping()
		}
	})
	runInBubble(t, "BelowTheLimit", func(t *testing.T) {
		h := newHeldBack(t, ServerOptions{}, nil, 0)
		time.Sleep(25 * time.Second)
		h.take(h.first[0])
		time.Sleep(time.Hour)
		h.take(h.first[1])
	})
	runInBubble(t, "NoBound", func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: -1}, handlers{"M": UnaryUnary(
			func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 1<<18)}, nil },
		)})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for range 100 {
			client.call("/t.S/M", "")
		}
		client.ping()
		time.Sleep(time.Hour)
		client.ping()
		if active := s.active.Load(); active != 0 {
			t.Errorf("%d RPCs are still running", active)
		}
	})
}

// TestHoldback_LargeResponses has handlers that were there before anything was known return large responses at once.
func TestHoldback_LargeResponses(t *testing.T) {
	for name, options := range map[string]ServerOptions{"AnyNumber": {}, "TenWorkers": {Workers: 10}} {
		runInBubble(t, name, func(t *testing.T) {
			options.MaxConnectionBytes = 1 << 20
			started := make(chan bool, 100)
			proceed := make(chan bool)
			s := newTestServer(t, options, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				started <- true
				<-proceed
				return &raw{Data: make([]byte, 300_000)}, nil
			})})
			client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			client.do(func(*http2.Framer) { client.thrifty = true })
			var all []*testStream
			for range 10 {
				all = append(all, client.call("/t.S/M", ""))
			}
			for range 10 {
				<-started
			}
			close(proceed)
			synctest.Wait()
			h := &heldBack{testServer: s, client: client}
			begun := 0
			for _, st := range all {
				if h.begunOn(st) {
					begun++
				}
			}
			// The account has room for two; or there are as many as there are workers, which do not wait.
			if options.Workers == 0 && begun != 2 || options.Workers > 0 && begun != 10 {
				t.Errorf("%d responses have been encoded", begun)
			}
			for range all {
				synctest.Wait()
				at := slices.IndexFunc(all, h.begunOn)
				if at < 0 {
					t.Fatal("no response is there")
				}
				client.do(func(f *http2.Framer) {
					f.WriteWindowUpdate(0, 400_000)
					f.WriteWindowUpdate(all[at].id, 400_000)
				})
				if code, details := all[at].result().status(); code != codes.OK {
					t.Error(code, details)
				}
				all = slices.Delete(all, at, at+1)
			}
			synctest.Wait()
			if held := accountOf(t, s).Used(budget.Responses); held != 0 {
				t.Errorf("%d octets are still held", held)
			}
		})
	}
}

// TestCall_RespondsWithLargeResponses has an interceptor replace a response, which together with the new one is beyond the
// limit: it does not wait for itself.
func TestCall_RespondsWithLargeResponses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{
			MaxConnectionBytes: 256 << 10,
			Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
				if err := next(ctx, call); err != nil {
					return err
				}
				return call.Respond(ctx, &raw{Data: make([]byte, 120_000)})
			}},
		}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			return &raw{Data: make([]byte, 120_000)}, nil
		})})
		client := s.dial()
		client.call("/t.S/M", "").result().want(codes.OK, "", string(make([]byte, 120_000)))
	})
}

// TestHoldback_OtherDispatchers has the first that may go on wait for a worker which another connection keeps busy. That
// holds up nobody who needs none of these workers.
func TestHoldback_OtherDispatchers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		free := make(chan struct{})
		var begun atomic.Int32
		s := newTestServer(t, ServerOptions{Workers: 1, MaxConnectionBytes: 256 << 10}, handlers{
			"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				begun.Add(1)
				return &raw{Data: make([]byte, 200_000)}, nil
			}),
			"Long":   UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) { <-free; return rawOf(""), nil }),
			"Health": echo().WithExecutor(Unbounded),
		})
		a := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		a.do(func(*http2.Framer) { a.thrifty = true })
		first := a.call("/t.S/M", "")
		a.ping()
		synctest.Wait()
		a.call("/t.S/M", "") // held
		a.ping()
		synctest.Wait()
		if begun.Load() != 1 {
			t.Fatal(begun.Load())
		}
		b := s.dial()
		long := b.call("/t.S/Long", "") // takes the worker
		b.ping()
		synctest.Wait()
		a.do(func(f *http2.Framer) { f.WriteWindowUpdate(0, 1<<20); f.WriteWindowUpdate(first.id, 300_000) })
		first.result()
		synctest.Wait()
		h := a.call("/t.S/Health", "x")
		a.do(func(f *http2.Framer) { f.WriteWindowUpdate(h.id, 1000) })
		time.Sleep(time.Minute)
		synctest.Wait()
		a.Lock()
		ended := h.ended
		a.Unlock()
		if !ended {
			t.Error("the RPC has not been answered")
		}
		close(free)
		long.result()
	})
}
