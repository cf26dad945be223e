package runtime

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// rpcsOf returns the RPCs of the server's only connection.
func rpcsOf(t *testing.T, s *testServer) []RPCInfo {
	t.Helper()
	connections := slices.Collect(s.Connections())
	if len(connections) != 1 {
		t.Fatalf("connections: %v", connections)
	}
	return slices.Collect(s.RPCs(connections[0].ID))
}

// TestServer_RPCStates brings an RPC into each state that there is.
func TestServer_RPCStates(t *testing.T) {
	ignorant := make(chan struct{}) // a handler that does not heed its context ends with it
	large := UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 100_000)}, nil })
	stream := UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
		for ctx.Err() == nil {
			if err := responses.Send(&raw{Data: make([]byte, 50_000)}); err != nil {
				return err
			}
		}
		return nil
	})
	passes := []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }}
	call := func(_ *testServer, c *testClient) { c.call("/t.S/M", "ping") }
	starve := func(_ *testServer, c *testClient) {
		c.thrifty = true
		call(nil, c)
	}
	twice := func(_ *testServer, c *testClient) {
		call(nil, c)
		synctest.Wait()
		call(nil, c)
	}
	tests := []struct {
		name    string
		options ServerOptions
		method  *MethodHandler
		play    func(s *testServer, c *testClient)
		want    []RPCState
	}{
		{"NoRequest", ServerOptions{}, echo(), func(_ *testServer, c *testClient) { c.open("/t.S/M") }, []RPCState{RPCReceiving}},
		{"NextRequest", ServerOptions{}, drainAndCount(cardinalities[2]), func(_ *testServer, c *testClient) { c.open("/t.S/M").send("1") }, []RPCState{RPCReceiving}},
		{"Intercepted", ServerOptions{Interceptors: passes}, echo(), func(_ *testServer, c *testClient) { c.open("/t.S/M") }, []RPCState{RPCReceiving}},
		{"Queued", ServerOptions{Workers: 1}, blockUntilOver(), twice, []RPCState{RPCRunning, RPCQueued}},
		{"QueuedIntercepted", ServerOptions{Workers: 1, Interceptors: passes}, blockUntilOver(), twice, []RPCState{RPCRunning, RPCQueued}},
		{"HeldBack", ServerOptions{}, echo(), func(s *testServer, c *testClient) {
			c.ping()
			account := s.clients.all()[0].account
			account.Add(budget.Responses, account.Limit())
			s.t.Cleanup(func() { account.Sub(budget.Responses, account.Limit()) })
			call(s, c)
		}, []RPCState{RPCHeldBack}},
		{"Running", ServerOptions{}, blockUntilOver(), call, []RPCState{RPCRunning}},
		{"Blocked", ServerOptions{}, stream, starve, []RPCState{RPCBlocked}},
		{"BlockedAfterHandler", ServerOptions{}, large, starve, []RPCState{RPCBlocked}},
		{"Over", ServerOptions{}, UnaryUnary(func(context.Context, *raw) (*raw, error) { <-ignorant; return nil, nil }), func(_ *testServer, c *testClient) {
			st := c.call("/t.S/M", "ping")
			synctest.Wait()
			st.cancel()
		}, []RPCState{RPCOver}},
		{"OverBeforeItsTurn", ServerOptions{Workers: 1}, blockUntilOver(), func(_ *testServer, c *testClient) {
			call(nil, c)
			synctest.Wait()
			c.call("/t.S/M", "ping").cancel()
		}, []RPCState{RPCRunning, RPCOver}},
		{"Done", ServerOptions{}, echo(), call, nil},
		{"Failed", ServerOptions{}, blockUntilOver(), func(_ *testServer, c *testClient) {
			st := c.call("/t.S/M", "ping")
			synctest.Wait()
			st.cancel()
		}, nil},
		{"Refused", ServerOptions{}, echo(), func(_ *testServer, c *testClient) {
			c.openFields(request("/t.S/M", "!content-type", "text/plain"), false)
		}, nil},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			ignorant = make(chan struct{})
			s := newTestServer(t, tt.options, handlers{"M": tt.method})
			tt.play(s, s.dial())
			synctest.Wait()
			var got []RPCState
			for _, info := range rpcsOf(t, s) {
				got = append(got, info.State)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("states: %q, want %q", got, tt.want)
			}
			close(ignorant)
			synctest.Wait()
			for _, c := range s.clients.all() {
				for _, r := range c.unreleased.all() {
					if r.isReleased() {
						t.Error("an RPC lingers that has been released")
					}
				}
			}
		})
	}
}

// TestServer_RPCSending has a client that gives windows, and does not read.
func TestServer_RPCSending(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			return &raw{Data: make([]byte, 3<<20)}, nil
		})})
		nc := s.listener.dial()
		w := newFramePeer(t, nc)
		w.Preface()
		w.WriteSettings(h2test.InitialWindowSize, uint32(1<<30))
		w.WriteWindowUpdate(0, 1<<30)
		w.open(1, false, "/t.S/M")
		w.WriteData(1, true, lpm(0, "ping"))
		synctest.Wait()
		if got := rpcsOf(t, s); len(got) != 1 || got[0].State != RPCSending {
			t.Errorf("RPCs: %+v", got)
		}
		nc.Close()
	})
}

// TestServer_Infos is about what infos have beside the state, with and without an observer.
func TestServer_Infos(t *testing.T) {
	for _, observed := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			options := ServerOptions{}
			if observed {
				options.Observers = []Observer{&recorder{}}
			}
			s := newTestServer(t, options, handlers{"M": StreamStream(func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
				for request, err := range requests.All() {
					if err != nil {
						return err
					}
					responses.Send(request)
				}
				return nil
			})})
			began := time.Now()
			client := s.dial()
			st := client.open("/t.S/M", "grpc-timeout", "5S", "key", "value")
			st.send("one", "three")
			st.next(2)
			time.Sleep(time.Second)
			connection := slices.Collect(s.Connections())[0]
			if connection.ID != 1 || connection.Peer == nil || !connection.Opened.Equal(began) || connection.Active != 1 ||
				connection.ReceivedBytes == 0 || connection.SentBytes == 0 {
				t.Errorf("connection: %+v", connection)
			}
			want := MessageCount{}
			observed := observed || observeAll
			if observed {
				want = MessageCount{2, 18}
			}
			info := rpcsOf(t, s)[0]
			if info.ID != (RPCID{1, 1}) || info.Method != "/t.S/M" || info.Cardinality != CardinalityStreamStream || info.Authority != "test" ||
				info.InvocationMetadata.Get("key") != "value" || info.Peer == nil || !info.Deadline.Equal(began.Add(5*time.Second)) ||
				info.Begun.Equal(began) != observed || info.Received != want || info.Sent != want || !info.Registered {
				t.Errorf("RPC: %+v", info)
			}
			for range s.RPCs(1) {
				break
			}
			for range s.Connections() {
				break
			}
			if n := len(slices.Collect(s.RPCs(2))); n != 0 {
				t.Errorf("a connection that is not there has %d RPCs", n)
			}
			client.close()
			synctest.Wait()
			if n := len(slices.Collect(s.Connections())) + len(slices.Collect(s.RPCs(1))); n != 0 {
				t.Errorf("%d connections and RPCs are left", n)
			}
		})
	}
}

// TestServer_CancelRPC cancels RPCs by their number.
func TestServer_CancelRPC(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": blockUntilOver(), "Echo": echo()})
		first, second := s.dial(), s.dial()
		for _, c := range []*testClient{first, second} {
			c.call("/t.S/Echo", "x").result()
		}
		kept, ended := first.call("/t.S/M", "ping"), second.call("/t.S/M", "ping")
		synctest.Wait()
		for _, id := range []RPCID{{}, {2, 1}, {2, 5}, {3, 3}, {2, 3 + 1<<32}, {2, math.MaxUint64}} {
			if s.CancelRPC(id) {
				t.Errorf("%v was cancelled", id)
			}
		}
		if !s.CancelRPC(RPCID{2, 3}) {
			t.Error("an RPC that runs was not cancelled")
		}
		ended.result().want(codes.Canceled, "CANCELLED")
		if s.CancelRPC(RPCID{2, 3}) {
			t.Error("an RPC that is over was cancelled")
		}
		if r := kept.snapshot(); r.ended || r.reset {
			t.Error("the RPC of another connection has ended")
		}
	})
}

// TestServer_InspectedUnderLoad looks at a server all the time that makes RPCs begin and end in all ways.
func TestServer_InspectedUnderLoad(t *testing.T) {
	s := newTestServer(t, ServerOptions{Workers: 2}, fuzzMethods())
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for c := range s.Connections() {
				for r := range s.RPCs(c.ID) {
					if r.State == "" || r.Method == "" || r.ID.Connection != c.ID {
						t.Errorf("RPC: %+v", r)
					}
					if r.Method == "/t.S/Block" {
						s.CancelRPC(r.ID)
					}
				}
			}
		}
	})
	for range 20 {
		client := s.dial()
		var all []*testStream
		for _, path := range []string{"/t.S/Echo", "/t.S/Block", "/t.S/Inline", "/t.S/Fail", "/t.S/Panic", "/t.S/Download", "/t.S/Unknown"} {
			all = append(all, client.call(path, "x"))
		}
		client.open("/t.S/Chat").cancel()
		for _, st := range all {
			st.result()
		}
		client.close()
	}
	close(stop)
	wg.Wait()
}

// TestLingering is about an RPC that is released while it is being added.
func TestLingering(t *testing.T) {
	var l unreleasedRPCs
	running, released := releasedOrNot(false), releasedOrNot(true)
	l.add(&running)
	l.add(&released)
	if all := l.all(); len(all) != 1 || all[0] != &running {
		t.Errorf("lingering: %v", all)
	}
	l.remove(&running)
	l.remove(&released)
	if all := l.all(); len(all) != 0 {
		t.Errorf("lingering: %v", all)
	}
}

type releasedOrNot bool

func (r *releasedOrNot) isReleased() bool { return bool(*r) }
