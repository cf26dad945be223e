package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// TestConnection_BoundsMetadata has RPCs with large metadata, each with another. What they may hold is a quarter of the limit and,
// with what may come of their requests unasked, little more than the limit.
func TestConnection_BoundsMetadata(t *testing.T) {
	const rpcs = 60
	for _, tt := range []struct {
		name        string
		options     ServerOptions
		size        int
		least, most int // RPCs that are served
	}{
		{"AQuarter", ServerOptions{MaxConnectionBytes: 4 << 20, MaxMetadataBytes: 64 << 10}, 50_000, 18, 21},
		{"WithWindows", ServerOptions{MaxConnectionBytes: 1 << 20}, 10_000, 13, 16},
		{"Enough", ServerOptions{MaxMetadataBytes: 64 << 10}, 50_000, rpcs, rpcs},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, tt.options, handlers{"M": blockUntilOver()})
			client := s.dial()
			var all []*testStream
			for i := range rpcs {
				st := client.open("/t.S/M", "large", fmt.Sprint(i)+strings.Repeat("v", tt.size))
				st.send("")
				st.halfClose()
				all = append(all, st)
			}
			client.ping()
			synctest.Wait()
			refused := 0
			for _, st := range all {
				if r := st.snapshot(); r.reset && r.code == http2.ErrCodeRefusedStream {
					refused++
				}
			}
			if served := rpcs - refused; served < tt.least || served > tt.most || s.active.Load() != int64(served) {
				t.Errorf("%d RPCs are served, and %d are active, want %d to %d", served, s.active.Load(), tt.least, tt.most)
			}
		})
	}
}

// TestWorkers_WaitForWhoTakes has the only worker wait for a client to take its responses. It may do so for as long as nobody else
// needs the worker, or the client takes something; and then no longer than WriteTimeout.
func TestWorkers_WaitForWhoTakes(t *testing.T) {
	const timeout = 10 * time.Second
	inBubble(t, func(t *testing.T) {
		var ended atomic.Pointer[time.Time]
		s := newTestServer(t, ServerOptions{Workers: 1, WriteTimeout: timeout}, handlers{
			"M": UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
				defer func() { now := time.Now(); ended.Store(&now) }()
				for {
					if err := responses.Send(&raw{Data: make([]byte, 10_000)}); err != nil {
						return err
					}
				}
			}),
			"Echo": echo(),
		})
		client := s.dial()
		client.do(func(*http2.Framer) { client.thrifty = true })
		st := client.call("/t.S/M", "")
		time.Sleep(5 * timeout)
		if ended.Load() != nil {
			t.Fatal("the RPC was ended although nobody needed its worker")
		}
		other := s.dial().call("/t.S/Echo", "x")
		for range 10 {
			client.do(func(f *http2.Framer) { f.WriteWindowUpdate(0, 100); f.WriteWindowUpdate(1, 100) })
			time.Sleep(timeout / 2)
		}
		if ended.Load() != nil {
			t.Fatal("the RPC was ended although its client took something")
		}
		began := time.Now()
		other.result().want(codes.OK, "", "x")
		synctest.Wait()
		if took := ended.Load().Sub(began); took > 2*timeout {
			t.Errorf("the RPC has occupied its worker for %v", took)
		}
		if code, details := st.result().status(); code != outcomeNotTaken.Code || details != outcomeNotTaken.Message {
			t.Errorf("the RPC has ended with %v %q", code, details)
		}
	})
}

// TestRPC_ManySmallRequests sends more than the window of a stream holds, of which no request asks for its rest.
func TestRPC_ManySmallRequests(t *testing.T) {
	const n = 3000
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
			return countRequests(requests)
		})})
		st := s.dial().open("/t.S/M")
		message := lpm(0, strings.Repeat("x", 95))
		for range n {
			st.sendPatiently(message)
		}
		st.halfClose()
		st.result().want(codes.OK, "", fmt.Sprint(n))
	})
}
