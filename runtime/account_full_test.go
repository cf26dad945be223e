package runtime

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// gated is a method whose handlers answer with heldBackResponse octets once proceed is closed. They begin while the account
// has room, and fill it later.
func gated(proceed <-chan struct{}) *MethodHandler {
	return UnaryUnary(func(context.Context, *raw) (*raw, error) {
		<-proceed
		return &raw{Data: make([]byte, heldBackResponse)}, nil
	}).WithExecutor(Unbounded)
}

// TestAccount_FullBehindInflation has the account become full while a compressed request waits for its turn to be inflated.
// It then waits for room as well, unless that keeps others from going on, who may be those that make room: a bounded number
// of workers, or the connection's reader.
func TestAccount_FullBehindInflation(t *testing.T) {
	for _, row := range []struct {
		name     string
		options  ServerOptions
		executor Executor
		waits    bool
	}{
		{"AnyNumberOfWorkers", ServerOptions{}, nil, true},
		{"InlineBehindInterceptors", passing(ServerOptions{}), Inline, true},
		{"OneWorker", ServerOptions{Workers: 1}, nil, false},
		{"Inline", ServerOptions{}, Inline, false},
	} {
		runInBubble(t, row.name, func(t *testing.T) {
			withPlaces(t, 1)
			proceed := make(chan struct{})
			var begun atomic.Int32
			row.options.MaxConnectionBytes = heldBackLimit
			s := newTestServer(t, row.options, handlers{
				"Large": gated(proceed),
				"Count": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
					begun.Add(1)
					return rawOf(fmt.Sprint(len(request.Data))), nil
				}).WithExecutor(row.executor),
			})
			client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			large := []*testStream{client.call("/t.S/Large", ""), client.call("/t.S/Large", "")}
			client.ping()
			inflating.Acquire(context.Background(), &work.Line{})
			count := client.open("/t.S/Count", "grpc-encoding", "gzip")
			count.sendData(lpm(1, compress(t, Gzip, string(make([]byte, 1000)))))
			count.halfClose()
			synctest.Wait() // from here on no time passes: a reader that waits is not replaced
			close(proceed)
			synctest.Wait()
			inflating.Release()
			synctest.Wait()
			if got := begun.Load() == 0; got != row.waits {
				t.Errorf("it waits for room: %v, want %v", got, row.waits)
			}
			for _, st := range append(large, count) {
				client.do(func(f *http2.Framer) {
					f.WriteWindowUpdate(0, 1<<20)
					f.WriteWindowUpdate(st.id, 1<<20)
				})
				if code, details := st.result().status(); code != codes.OK {
					t.Errorf("got %v %q", code, details)
				}
			}
			if got := string(count.result().messages[0]); got != "1000" {
				t.Errorf("the request is taken to have %s octets", got)
			}
			wantNothingHeld(t, s)
		})
	}
}

// TestAccount_FullForLong has clients leave the account full for an hour, in which nothing waits for room. Then a response
// does, and for as long as WriteTimeout: that ends the connection which fills the room, its own or another.
func TestAccount_FullForLong(t *testing.T) {
	for _, row := range []struct {
		name    string
		options ServerOptions
		other   bool // the response that waits is another connection's
	}{
		{"ItsOwnConnection", ServerOptions{MaxConnectionBytes: heldBackLimit}, false},
		{"AnotherConnection", ServerOptions{MaxServerBytes: heldBackLimit}, true},
	} {
		runInBubble(t, row.name, func(t *testing.T) {
			first, second := make(chan struct{}), make(chan struct{})
			row.options.Connections.MinPingInterval = -1
			s := newTestServer(t, row.options, handlers{"First": gated(first), "Second": gated(second)})
			greedy := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			greedy.call("/t.S/First", "")
			greedy.call("/t.S/First", "")
			waits := greedy
			if row.other {
				waits = s.dial()
			}
			last := waits.call("/t.S/Second", "")
			synctest.Wait()
			close(first)
			time.Sleep(time.Hour)
			greedy.ping() // it has not ended
			close(second)
			begun := time.Now()
			if row.other {
				last.result().want(codes.OK, "", string(make([]byte, heldBackResponse)))
			}
			greedy.waitEnd()
			if waited := time.Since(begun); waited < 30*time.Second || waited > 31*time.Second {
				t.Errorf("the connection ended after %v", waited)
			}
			if got := fmt.Sprint(greedy.goAways); got != "[responses are not taken]" {
				t.Errorf("GOAWAY says %v", got)
			}
			greedy.close()
			synctest.Wait()
		})
	}
}
