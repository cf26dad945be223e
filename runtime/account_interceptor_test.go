package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// TestAccount_WaitsWithoutPlace has the response of a handler that has ended wait for its client, while other RPCs wait for
// the only worker. It occupies none, and is there as soon as the client has taken others.
func TestAccount_WaitsWithoutPlace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const size = 200 << 10
		full, release := make(chan struct{}), make(chan struct{})
		options := passing(ServerOptions{Workers: 1, MaxConnectionBytes: 1 << 20, Connections: ConnectionOptions{MinPingInterval: -1}})
		s := newTestServer(t, options, handlers{
			"Unbounded": answering(&raw{Data: make([]byte, size)}).WithExecutor(Unbounded),
			"Bounded": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				<-full
				return &raw{Data: make([]byte, size)}, nil
			}),
			"Blocks": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				<-release
				return &raw{}, nil
			}),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		client.do(func(*http2.Framer) { client.thrifty = true })
		st := client.call("/t.S/Bounded", "")
		client.ping()
		var others []*testStream
		for range 3 {
			others = append(others, client.call("/t.S/Unbounded", ""))
		}
		client.ping()
		synctest.Wait()
		account := accountOf(t, s)
		close(full)
		synctest.Wait()
		if n := account.Waiting(budget.ForResponses); n != 1 {
			t.Errorf("%d responses wait for room, want 1", n)
		}
		other := s.dial()
		blocking := []*testStream{other.call("/t.S/Blocks", ""), other.call("/t.S/Blocks", "")} // the second waits
		for range 100 {
			time.Sleep(time.Second)
			client.do(func(f *http2.Framer) { f.WriteWindowUpdate(others[0].id, 10) })
		}
		close(release)
		client.do(func(f *http2.Framer) {
			f.WriteWindowUpdate(0, 10*size)
			for _, st := range append(others, st) {
				f.WriteWindowUpdate(st.id, 2*size)
			}
		})
		for _, st := range append(others, st) {
			if code, details := st.result().status(); code != codes.OK {
				t.Errorf("%v %q", code, details)
			}
		}
		for _, st := range blocking {
			st.result().want(codes.OK, "", "")
		}
	})
}

// TestAccount_SenderOutlivesHandler has a handler leave a goroutine behind that sends, and waits for its client. The race
// detector looks at it.
func TestAccount_SenderOutlivesHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, passing(ServerOptions{}), handlers{
			"M": UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
				go responses.Send(&raw{Data: make([]byte, 100_000)})
				time.Sleep(time.Second)
				return nil
			}),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		st := client.call("/t.S/M", "")
		time.Sleep(2 * time.Second)
		client.do(func(f *http2.Framer) { f.WriteWindowUpdate(st.id, 200_000) })
		st.result().want(codes.OK, "", string(make([]byte, 100_000)))
	})
}

// TestAccount_TakenRequest has handlers take the only request of an RPC, and go on. With interceptors, the request is queued
// before. What was held for it is given back as the handler takes it, in either case: others may need the room.
func TestAccount_TakenRequest(t *testing.T) {
	for name, options := range map[string]ServerOptions{"Plain": {}, "Intercepted": passing(ServerOptions{})} {
		runInBubble(t, name, func(t *testing.T) {
			release := make(chan struct{})
			s := newTestServer(t, options, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				<-release
				return &raw{}, nil
			})})
			client := s.dial()
			st := client.open("/t.S/M")
			st.sendPatiently(lpm(0, string(make([]byte, 200_000))))
			st.halfClose()
			synctest.Wait()
			if n := accountOf(t, s).Used(budget.Requests); n > 2*budget.Weight {
				t.Errorf("%d octets are held for a request that the handler has taken", n)
			}
			close(release)
			st.result().want(codes.OK, "", "")
		})
	}
}
