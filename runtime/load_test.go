package runtime

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// TestServer_UnderLoad has 1,000 RPCs of all sorts in flight while the server starts, changes its dictionary, and stops.
func TestServer_UnderLoad(t *testing.T) {
	const clients, streams, rounds = 10, 100, 3
	for _, tt := range []struct {
		name    string
		options ServerOptions
	}{
		{"Default", ServerOptions{}},
		{"Workers", ServerOptions{Workers: 8}},
		{"Limited", ServerOptions{MaxConcurrentRPCs: 300}},
		{"Interceptors", ServerOptions{Interceptors: []ServerInterceptor{
			func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) },
		}}},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := &testServer{t: t, Server: NewServer(tt.options), listener: newPipeListener()}
			var blocked atomic.Int64
			block := UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				blocked.Add(1)
				<-ctx.Done()
				return request, nil
			})
			methods := handlers{"Block": block.WithExecutor(Unbounded), "Inline": echo().WithExecutor(Inline)}
			for _, c := range cardinalities {
				methods[c.name] = drainAndCount(c)
			}
			check(t, s.AddService(Service{Name: "t.S", Methods: methods}))
			check(t, s.AddListener(s.listener))

			ctx, stopChanging := context.WithCancel(context.Background())
			var changing, calling sync.WaitGroup
			changing.Go(func() { changeDictionary(t, ctx, s.Server) })
			var counts sync.Map // of codes
			for range clients {
				client := s.dialLater()
				calling.Go(func() {
					c := newTestClient(t, <-client)
					for range rounds {
						for _, st := range openMany(c, streams, false) {
							countResult(&counts, st)
						}
					}
					last := openMany(c, streams, true)
					for i, st := range last {
						if i%7 == 0 {
							st.cancel()
							continue
						}
						countResult(&counts, st)
					}
				})
			}
			check(t, s.Start())
			// The last RPCs block until the server stops.
			for blocked.Load() < 250 {
				time.Sleep(10 * time.Microsecond)
			}
			synctest.Wait()
			stopChanging()
			changing.Wait()
			first := s.Stop(time.Second)
			second := s.Stop(10 * time.Second)
			calling.Wait()
			wantClosed(t, "termination", first)
			wantClosed(t, "termination", second)
			synctest.Wait()
			if n := s.active.Load(); n != 0 {
				t.Errorf("%d RPCs are still counted", n)
			}
			counts.Range(func(code, n any) bool {
				t.Logf("%v: %d", code, n.(*atomic.Int64).Load())
				return true
			})
			if _, ok := counts.Load("OK"); !ok {
				t.Error("no RPC succeeded")
			}
		})
	}
}

// dialLater connects once the server accepts.
func (s *testServer) dialLater() <-chan net.Conn {
	ch := make(chan net.Conn, 1)
	go func() { ch <- s.listener.dial() }()
	return ch
}

// openMany sends calls of all kinds in one piece; some of them block, if asked to.
func openMany(c *testClient, n int, block bool) (streams []*testStream) {
	c.cork()
	defer c.uncork()
	for i := range n {
		path := "/t.S/" + cardinalities[i%len(cardinalities)].name
		switch {
		case i%6 == 4:
			path = "/t.S/Inline"
		case block:
			path = "/t.S/Block"
		case i%6 == 5:
			path = "/late.S/M"
		}
		streams = append(streams, c.call(path, "x"))
	}
	return streams
}

// changeDictionary adds and removes services until ctx is done.
func changeDictionary(t *testing.T, ctx context.Context, s *Server) {
	for i := 0; ctx.Err() == nil; i++ {
		if err := s.AddService(Service{Name: "late.S", Methods: handlers{"M": echo()}}); err != nil {
			t.Error(err)
		}
		if i < 20 {
			if err := s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return nil })); err != nil {
				t.Error(err)
			}
		}
		s.Stats()
		time.Sleep(time.Microsecond) // lets the bubble's clients go on
		if err := s.RemoveService("late.S"); err != nil {
			t.Error(err)
		}
	}
}

// countResult counts how RPCs end: with a status, or refused by a server that stops.
func countResult(counts *sync.Map, st *testStream) {
	r := st.result()
	name := "refused"
	if _, ok := field(r.trailers, "grpc-status"); ok {
		code, _ := r.status()
		name = code.String()
		if code != codes.OK && code != codes.Unavailable && code != codes.Unimplemented && code != codes.ResourceExhausted {
			r.t.Errorf("an RPC ended with %v", code)
		}
	} else if !st.refused() {
		r.t.Errorf("an RPC ended without a status: %+v", r)
	}
	n, _ := counts.LoadOrStore(name, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// refused reports whether the server has said that it has not looked at the RPC.
func (st *testStream) refused() bool {
	st.c.Lock()
	defer st.c.Unlock()
	return st.reset && st.code == http2.ErrCodeRefusedStream || len(st.c.goAways) > 0 && st.id > st.c.lastID
}
