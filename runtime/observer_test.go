package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// recorder is an observer that notes everything, and knows what must hold of it.
type recorder struct {
	mu          sync.Mutex
	connections []*recordedConnection // guarded by mu, as all that they have
}

type recordedConnection struct {
	recorder *recorder
	info     ConnectionInfo
	events   []ConnectionEvent
	rpcs     []*recordedRPC
}

type recordedRPC struct {
	recorder *recorder
	info     RPCInfo
	events   []RPCEvent
}

type recordedKey struct{}

func (o *recorder) ObserveConnection(info ConnectionInfo) ConnectionObserver {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := &recordedConnection{recorder: o, info: info}
	o.connections = append(o.connections, c)
	return c
}

func (c *recordedConnection) ObserveConnectionEvent(event ConnectionEvent) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.events = append(c.events, event)
}

func (c *recordedConnection) BeginRPC(ctx context.Context, info *RPCInfo) (context.Context, RPCObserver) {
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	r := &recordedRPC{recorder: c.recorder, info: *info}
	c.rpcs = append(c.rpcs, r)
	return context.WithValue(ctx, recordedKey{}, r), r
}

func (r *recordedRPC) ObserveRPCEvent(event RPCEvent) {
	r.recorder.mu.Lock()
	defer r.recorder.mu.Unlock()
	r.events = append(r.events, event)
}

// count returns how many events of a kind there are. mu is held.
func (r *recordedRPC) count(kind RPCEventKind) (n int) {
	for _, event := range r.events {
		if event.Kind == kind {
			n++
		}
	}
	return n
}

// inFlight reports whether an RPC has not ended. The last may have been answered, and not told yet.
func (o *recorder) inFlight() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		for _, r := range c.rpcs {
			if r.count(RPCEnded) == 0 {
				return true
			}
		}
	}
	return false
}

// check fails unless each RPC has ended once and each connection been closed once, now that the server has terminated and all
// handlers have returned.
func (o *recorder) check(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); o.inFlight() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		closed := 0
		for _, event := range c.events {
			if event.Kind == ConnectionClosed {
				closed++
			}
		}
		if closed != 1 || c.events[len(c.events)-1].Kind != ConnectionClosed {
			t.Errorf("connection %d was closed %d times: %v", c.info.ID, closed, c.events)
		} else if totals := c.events[len(c.events)-1].Totals; totals.RPCs != uint64(len(c.rpcs)) {
			t.Errorf("connection %d had %d RPCs, and says %d", c.info.ID, len(c.rpcs), totals.RPCs)
		}
		for _, r := range c.rpcs {
			entered, left := r.count(RPCHandlerEntered), r.count(RPCHandlerLeft)
			if n := r.count(RPCEnded); n != 1 || entered > 1 || left != entered || r.count(RPCHeadersSent) > 1 || r.count(RPCDispatched) > 1 {
				t.Errorf("RPC %v of %s has ended %d times: %s", r.info.ID, r.info.Method, n, r)
			}
		}
	}
}

// String returns what has happened, without what all the names have in common.
func (r *recordedRPC) String() string {
	var all []string
	for _, event := range r.events {
		name := strings.TrimPrefix(event.Kind.String(), "RPC")
		switch event.Kind {
		case RPCEnded:
			name += "(" + event.Code.String() + ")"
		case RPCMessageReceived, RPCMessageSent:
			name += fmt.Sprintf("(%d,%d)", event.Size, event.WireSize)
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// refusals are those of all connections.
func (o *recorder) refusals() (all []ConnectionEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		for _, event := range c.events {
			if event.Kind == ConnectionRefused {
				all = append(all, event)
			}
		}
	}
	return all
}

// rpcs are those of all connections, as String has them.
func (o *recorder) rpcs() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		for _, r := range c.rpcs {
			all = append(all, r.String())
		}
	}
	return all
}

// observedServer starts a server that a recorder observes, and checks what that has noted when the test is over.
func observedServer(t testing.TB, options ServerOptions, methods handlers) (*testServer, *recorder) {
	t.Helper()
	o := &recorder{}
	t.Cleanup(func() { o.check(t) })
	options.Observers = append(options.Observers, o)
	return newTestServer(t, options, methods), o
}

// TestObserver_EachEnd is about all ways in which an RPC ends: what an observer is told, in this order, and that it is told of
// the end once.
func TestObserver_EachEnd(t *testing.T) {
	unary := func(f func(ctx context.Context) (*raw, error)) handlers {
		return handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) { return f(ctx) })}
	}
	waits := handlers{"M": blockUntilOver()}
	sends := handlers{"M": UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
		for range 2 {
			if err := responses.Send(rawOf("pong")); err != nil {
				return err
			}
		}
		return nil
	})}
	passes := []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }}
	call := func(_ *testServer, c *testClient) { c.call("/t.S/M", "ping") }
	open := func(fields ...string) func(*testServer, *testClient) {
		return func(_ *testServer, c *testClient) { c.open("/t.S/M", fields...) }
	}
	data := func(content ...byte) func(*testServer, *testClient) {
		return func(_ *testServer, c *testClient) {
			st := c.open("/t.S/M")
			st.sendData(content)
			st.halfClose()
		}
	}
	const began = "Dispatched HandlerEntered MessageReceived(4,9) "
	tests := []struct {
		name    string
		options ServerOptions
		methods handlers
		play    func(s *testServer, c *testClient)
		want    string // "~": in any order, since handler and end are on goroutines of their own; empty: it is refused
	}{
		{"Ok", ServerOptions{}, handlers{"M": echo()}, call, began + "HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)"},
		{"Inline", ServerOptions{}, handlers{"M": echo().WithExecutor(Inline)}, call, began + "HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)"},
		{"Workers", ServerOptions{Workers: 1}, handlers{"M": echo()}, call, began + "HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)"},
		{"Intercepted", ServerOptions{Interceptors: passes}, handlers{"M": echo()}, call, began + "HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)"},
		{"Stream", ServerOptions{}, sends, call, began + "HeadersSent MessageSent(4,9) MessageSent(4,9) HandlerLeft Ended(OK)"},
		{
			"Metadata", ServerOptions{}, unary(func(ctx context.Context) (*raw, error) {
				return rawOf("pong"), SendInitialMetadata(ctx, Pairs("a", "b"))
			}), call, began + "HeadersSent HandlerLeft MessageSent(4,9) Ended(OK)",
		},
		{
			"WaitingMetadata", ServerOptions{}, unary(func(ctx context.Context) (*raw, error) {
				return rawOf("pong"), SetInitialMetadata(ctx, Pairs("a", "b"))
			}), call, began + "HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)",
		},
		{
			"WaitingMetadataAndStatus", ServerOptions{}, unary(func(ctx context.Context) (*raw, error) {
				check(t, SetInitialMetadata(ctx, Pairs("a", "b")))
				return nil, status.Error(codes.NotFound, "")
			}), call, began + "HandlerLeft HeadersSent Ended(NotFound)",
		},
		{"Empty", ServerOptions{}, handlers{"M": handlerOf(cardinality{name: "StreamStream", requestStreaming: true, responseStreaming: true}, func(c *testCall) error {
			_, err := c.drain()
			return err
		})}, func(_ *testServer, c *testClient) { c.call("/t.S/M") }, "Dispatched HandlerEntered HandlerLeft Ended(OK)"},
		{"Error", ServerOptions{}, unary(func(context.Context) (*raw, error) { return nil, status.Error(codes.NotFound, "") }), call, began + "HandlerLeft Ended(NotFound)"},
		{"Nothing", ServerOptions{}, unary(func(context.Context) (*raw, error) { return nil, nil }), call, began + "HandlerLeft Ended(Internal)"},
		{"Panic", ServerOptions{}, unary(func(context.Context) (*raw, error) { panic("on purpose") }), call, began + "HandlerLeft Ended(Unknown)"},
		{"Goexit", ServerOptions{}, unary(func(context.Context) (*raw, error) { goruntime.Goexit(); return nil, nil }), call, began + "HandlerLeft Ended(Unknown)"},
		{
			"InlineGoexit",
			ServerOptions{},
			handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) { goruntime.Goexit(); return nil, nil }).WithExecutor(Inline)},
			call, began + "HandlerLeft Ended(Unknown)",
		},
		{
			"InterceptorRefuses",
			ServerOptions{Interceptors: []ServerInterceptor{func(context.Context, *ServerCall, ServerNext) error { return status.Error(codes.PermissionDenied, "") }}},
			handlers{"M": echo()},
			call, "Dispatched Ended(PermissionDenied)",
		},
		{
			"InterceptorPanics",
			ServerOptions{Interceptors: []ServerInterceptor{func(context.Context, *ServerCall, ServerNext) error { panic("on purpose") }}},
			handlers{"M": echo()},
			call, "Dispatched Ended(Unknown)",
		},
		{
			"InterceptorResponds",
			ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, _ ServerNext) error {
				return call.Respond(ctx, rawOf("instead"))
			}}},
			handlers{"M": echo()},
			call, "Dispatched HeadersSent MessageSent(7,12) Ended(OK)",
		},
		{"Unknown", ServerOptions{}, handlers{}, call, "Ended(Unimplemented)"},
		{"UnknownIntercepted", ServerOptions{Interceptors: passes}, handlers{}, call, "Dispatched Ended(Unimplemented)"},
		{"TimeoutIsZero", ServerOptions{}, handlers{"M": echo()}, open("grpc-timeout", "0n"), "Ended(DeadlineExceeded)"},
		{"Deadline", ServerOptions{}, waits, func(_ *testServer, c *testClient) {
			st := c.open("/t.S/M", "grpc-timeout", "1S")
			st.send("ping")
			st.halfClose()
			time.Sleep(2 * time.Second)
		}, "~" + began + "HandlerLeft Ended(DeadlineExceeded)"},
		{"DeadlineBeforeRequest", ServerOptions{}, handlers{"M": echo()}, func(_ *testServer, c *testClient) {
			c.open("/t.S/M", "grpc-timeout", "1S")
			time.Sleep(2 * time.Second)
		}, "Ended(DeadlineExceeded)"},
		{"Reset", ServerOptions{}, waits, func(_ *testServer, c *testClient) {
			st := c.call("/t.S/M", "ping")
			synctest.Wait()
			st.cancel()
		}, "~" + began + "HandlerLeft Ended(Canceled)"},
		{"ResetBeforeRequest", ServerOptions{}, handlers{"M": echo()}, func(_ *testServer, c *testClient) { c.open("/t.S/M").cancel() }, "Ended(Canceled)"},
		{"ConnectionLost", ServerOptions{}, waits, func(_ *testServer, c *testClient) {
			c.call("/t.S/M", "ping")
			synctest.Wait()
			c.close()
		}, "~" + began + "HandlerLeft Ended(Canceled)"},
		{"Stop", ServerOptions{}, waits, func(s *testServer, c *testClient) {
			c.call("/t.S/M", "ping")
			synctest.Wait()
			s.Stop(0)
		}, "~" + began + "HandlerLeft Ended(Unavailable)"},
		{"Grace", ServerOptions{}, waits, func(s *testServer, c *testClient) {
			c.call("/t.S/M", "ping")
			synctest.Wait()
			<-s.Stop(time.Second)
		}, "~" + began + "HandlerLeft Ended(Unavailable)"},
		{"Cancel", ServerOptions{}, unary(func(ctx context.Context) (*raw, error) { return rawOf("late"), Cancel(ctx) }), call, began + "Ended(Canceled) HandlerLeft"},
		{"BadFlag", ServerOptions{}, handlers{"M": echo()}, data(lpm(9, "ping")...), "Ended(Internal)"},
		{"HalfMessage", ServerOptions{}, handlers{"M": echo()}, data(lpm(0, "ping")[:6]...), "Ended(Internal)"},
		{"NoMessage", ServerOptions{}, handlers{"M": echo()}, data(), "Ended(Unimplemented)"},
		{"TwoMessages", ServerOptions{}, handlers{"M": echo()}, data(append(lpm(0, "a"), lpm(0, "b")...)...), "Ended(Unimplemented)"},
		{"TooLarge", ServerOptions{MaxReceiveMessageBytes: 3}, handlers{"M": echo()}, call, "Ended(ResourceExhausted)"},
		{"Undecodable", ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *undecodableRequest) (*raw, error) { return nil, nil })}, call, began + "HandlerLeft Ended(Internal)"},
		{"TooLong", ServerOptions{MaxSendMessageBytes: 3}, handlers{"M": echo()}, call, began + "HandlerLeft Ended(ResourceExhausted)"},
		{"Limit", ServerOptions{MaxConcurrentRPCs: 1}, waits, func(_ *testServer, c *testClient) {
			st := c.call("/t.S/M", "ping")
			c.call("/t.S/M", "ping").result()
			st.cancel()
		}, "~" + began + "HandlerLeft Ended(Canceled)"},
		{"NotGRPC", ServerOptions{}, handlers{"M": echo()}, open("!content-type", "text/plain"), ""},
		{"BadTimeout", ServerOptions{}, handlers{"M": echo()}, open("grpc-timeout", "1"), ""},
		{"Malformed", ServerOptions{}, handlers{"M": echo()}, open("Upper", "case"), ""},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s, o := observedServer(t, tt.options, tt.methods)
			tt.play(s, s.dial())
			synctest.Wait()
			got := o.rpcs()
			switch want, unordered := strings.CutPrefix(tt.want, "~"); {
			case want == "" && (len(got) > 0 || len(o.refusals()) != 1):
				t.Errorf("RPCs: %q, refusals: %v", got, o.refusals())
			case want != "" && (len(got) != 1 || got[0] != want && !(unordered && sorted(got[0]) == sorted(want))):
				t.Errorf("told:\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func sorted(words string) string {
	all := strings.Fields(words)
	slices.Sort(all)
	return strings.Join(all, " ")
}

// undecodableRequest is a message whose code always fails.
type undecodableRequest struct{}

func (*undecodableRequest) SizeVT() int                                { return 0 }
func (*undecodableRequest) MarshalToSizedBufferVT([]byte) (int, error) { return 0, errors.New("no") }
func (*undecodableRequest) UnmarshalVT([]byte) error                   { return errors.New("no") }

// TestObserver_Refusals is about requests that do not become RPCs.
func TestObserver_Refusals(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		reason RefusalReason
		code   codes.Code
	}{
		{"NotGRPC", []string{"!content-type", "text/plain"}, RefusedNotGRPC, codes.Unknown},
		{"Get", []string{"!:method", "GET"}, RefusedNotGRPC, codes.Unknown},
		{"BadTimeout", []string{"grpc-timeout", "1"}, RefusedMalformed, codes.Internal},
		{"BadBinary", []string{"a-bin", "?"}, RefusedMalformed, codes.Internal},
		{"Compression", []string{"grpc-encoding", "snappy"}, RefusedCompression, codes.Unimplemented},
		{"Metadata", []string{"a", strings.Repeat("a", 2000)}, RefusedMetadata, codes.ResourceExhausted},
		{"Malformed", []string{"Upper", "case"}, RefusedMalformed, codes.Internal},
		{"Streams", nil, RefusedStream, codes.Unavailable},
		{"Limit", nil, RefusedConcurrency, codes.ResourceExhausted},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			options := ServerOptions{MaxMetadataBytes: 1000, MaxConcurrentStreams: 2}
			if tt.name == "Limit" {
				options.MaxConcurrentRPCs = 2
			}
			s, o := observedServer(t, options, handlers{"M": blockUntilOver()})
			clients := []*testClient{s.dial(), s.dial()}
			path := "/t.S/M"
			if tt.fields == nil {
				clients[0].call(path, "ping")
				clients[0].call(path, "ping")
				synctest.Wait()
			}
			if tt.name == "Limit" {
				clients[0] = clients[1]
			}
			clients[0].open(path, tt.fields...)
			synctest.Wait()
			got := o.refusals()
			if len(got) != 1 || got[0].Reason != tt.reason || got[0].Code != tt.code || status.Code(got[0].Err) != tt.code || got[0].Details.Method != path {
				t.Errorf("refused: %v", got)
			}
		})
	}
}

// TestObserver_Events is about what events have beside their kind.
func TestObserver_Events(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			time.Sleep(time.Second)
			SetCompression(ctx, Gzip)
			SetInitialMetadata(ctx, Pairs("waited", "0"))
			initial := Pairs("initial", "1")
			SendInitialMetadata(ctx, initial)
			clear(initial) // the caller's again
			SetTrailingMetadata(ctx, Pairs("trailing", "2"))
			return request, nil
		})})
		text := strings.Repeat("ping", 100)
		compressed := lpm(1, compress(t, Gzip, text))
		began := time.Now()
		st := s.dial().open("/t.S/M", "grpc-timeout", "5S", "grpc-encoding", "gzip", "grpc-accept-encoding", "gzip", "key", "value")
		st.sendData(compressed)
		st.halfClose()
		answer := st.result()
		synctest.Wait()

		r := o.connections[0].rpcs[0]
		info := r.info
		if info.Method != "/t.S/M" || !info.Registered || info.Cardinality != CardinalityUnaryUnary || info.Authority != "test" ||
			info.ID != (RPCID{1, 1}) || !info.Begun.Equal(began) || !info.Deadline.Equal(began.Add(5*time.Second)) || info.Peer == nil {
			t.Errorf("begun: %+v", info)
		}
		if info.InvocationMetadata.Get("key") != "value" {
			t.Errorf("metadata: %v", info.InvocationMetadata)
		}
		for _, event := range r.events {
			switch event.Kind {
			case RPCMessageReceived:
				if event.Size != len(text) || event.WireSize != len(compressed) || string(event.Message.(*raw).Data) != text {
					t.Errorf("received: %+v", event)
				}
			case RPCMessageSent:
				if octets := 5 + len(answer.messages[0]); event.Size != len(text) || event.WireSize != octets || string(event.Message.(*raw).Data) != text {
					t.Errorf("sent: %+v; came: %d octets", event, octets)
				}
			case RPCHeadersSent:
				if event.Metadata.Get("initial") != "1" || event.Metadata.Get("waited") != "0" {
					t.Errorf("headers: %+v", event)
				}
			case RPCEnded:
				if event.Metadata.Get("trailing") != "2" || event.Err != nil {
					t.Errorf("end: %+v", event)
				}
			}
		}
	})
}

// TestObserver_Values has observers substitute the context: the handler has the values of all of them, and the RPC's own
// deadline and cancellation.
func TestObserver_Values(t *testing.T) {
	type key int
	for _, intercepted := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			adds := func(k key) Observer {
				return observerFunc(func(ctx context.Context) context.Context {
					if k == 2 && ctx.Value(key(1)) != "1" {
						t.Error("the second observer does not see the value of the first")
					}
					ctx, cancel := context.WithCancelCause(context.WithValue(ctx, k, fmt.Sprint(k)))
					cancel(errors.New("the observer's"))
					return ctx
				})
			}
			options := ServerOptions{Observers: []Observer{adds(1), adds(2), observerFunc(func(context.Context) context.Context { return nil })}}
			if intercepted {
				options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
					if ctx.Value(key(1)) != "1" {
						t.Error("an interceptor does not see the value")
					}
					return next(ctx, call)
				}}
			}
			s, _ := observedServer(t, options, handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
				got := fmt.Sprintln(ctx.Value(key(1)), ctx.Value(key(2)), ctx.Value(key(3)), ctx.Err(), Method(ctx), ctx.Value(recordedKey{}) != nil)
				return rawOf(got), nil
			}), "Cause": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
				if Cancel(ctx); context.Cause(ctx) != context.Canceled {
					t.Errorf("the cause of the end is %v", context.Cause(ctx))
				}
				return nil, nil
			})})
			client := s.dial()
			client.call("/t.S/M", "ping").result().want(codes.OK, "", "1 2 <nil> <nil> /t.S/M true\n")
			client.call("/t.S/Cause", "ping").result().want(codes.Canceled, "CANCELLED")
			synctest.Wait()
		})
	}
}

// observerFunc is an observer that substitutes the context and cares for nothing else.
type observerFunc func(ctx context.Context) context.Context

func (f observerFunc) ObserveConnection(ConnectionInfo) ConnectionObserver { return f }
func (f observerFunc) ObserveConnectionEvent(ConnectionEvent)              {}
func (f observerFunc) BeginRPC(ctx context.Context, _ *RPCInfo) (context.Context, RPCObserver) {
	return f(ctx), nil
}

// failing is an observer that fails wherever it is called.
type failing struct{ fail func() }

func (f failing) ObserveConnection(info ConnectionInfo) ConnectionObserver {
	if info.ID == 1 {
		return f
	}
	f.fail()
	return nil
}
func (f failing) ObserveConnectionEvent(ConnectionEvent) { f.fail() }
func (f failing) ObserveRPCEvent(RPCEvent)               { f.fail() }
func (f failing) BeginRPC(ctx context.Context, info *RPCInfo) (context.Context, RPCObserver) {
	if info.Method == "/t.S/Begin" {
		f.fail()
	}
	return ctx, f
}

// TestObserver_Panics has an observer panic at each call. RPCs and the other observer know nothing of it.
func TestObserver_Panics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{Observers: []Observer{failing{func() { panic("on purpose") }}}}, handlers{"M": echo(), "Begin": echo()})
		client := s.dial()
		client.call("/t.S/M", "ping").result().want(codes.OK, "", "ping")
		client.call("/t.S/Begin", "ping").result().want(codes.OK, "", "ping")
		client.call("/t.S/Unknown", "ping").result().want(codes.Unimplemented, "Method not found!")
		synctest.Wait()
		want := "Dispatched HandlerEntered MessageReceived(4,9) HandlerLeft HeadersSent MessageSent(4,9) Ended(OK)"
		if got := o.rpcs(); !slices.Equal(got, []string{want, want, "Ended(Unimplemented)"}) {
			t.Errorf("the other observer was told %q", got)
		}
		if n := len(s.log.lines("Exception in an observer")); n < 10 {
			t.Errorf("the log has %d panics", n)
		}
	})
}

// TestObserver_Connections is about connections, from their handshake to their end.
func TestObserver_Connections(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, handlers{"M": echo()})
		client := s.dial()
		client.call("/t.S/M", "ping").result()
		client.close()
		client = s.dial()
		client.do(func(framer *http2.Framer) { framer.WriteData(0, false, nil) })
		client.waitEnd()
		synctest.Wait()
		if len(o.connections) != 2 || o.connections[0].info.ID != 1 || o.connections[1].info.ID != 2 {
			t.Fatalf("connections: %v", o.connections)
		}
		events := o.connections[0].events
		if len(events) != 2 || events[0].Kind != ConnectionOpened || events[0].Peer == nil || events[1].Kind != ConnectionClosed ||
			events[1].Totals.RPCs != 1 || events[1].Totals.ReceivedBytes == 0 || events[1].Totals.SentBytes == 0 {
			t.Errorf("events of a connection: %+v", events)
		}
		if events = o.connections[1].events; len(events) != 2 || events[1].Err == nil {
			t.Errorf("events of a connection that breaks the rules: %+v", events)
		}
	})
}

// TestObserver_Handshakes is about connections with TLS, and one whose handshake fails.
func TestObserver_Handshakes(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, handlers{"M": echo()})
		s.listener = newPipeListener()
		check(t, s.AddSecureListener(s.listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		newTestClient(t, s.listener.dial()).waitEnd() // speaks no TLS
		newTestClient(t, tls.Client(s.listener.dial(), &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"})).call("/t.S/M", "x").result()
		synctest.Wait()
		failed, opened := o.connections[0], o.connections[1]
		if len(failed.events) != 2 || failed.events[0].Kind != ConnectionHandshakeFailed || failed.events[0].Err == nil || failed.events[1].Err == nil {
			t.Errorf("events of a handshake that failed: %v", failed.events)
		}
		if _, ok := opened.events[0].Peer.AuthInfo.(credentials.TLSInfo); !ok || opened.info.Peer.AuthInfo != nil || opened.rpcs[0].info.Peer != opened.events[0].Peer {
			t.Errorf("peer %v, and before the handshake %v", opened.events[0].Peer, opened.info.Peer)
		}
	})
}

// TestObserver_CountsAsStats compares what an observer is told with what Stats counts.
func TestObserver_CountsAsStats(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, fuzzMethods())
		client := s.dial()
		for _, path := range fuzzPaths {
			for i := range len(fuzzFields) {
				st := client.open(path, fuzzFields[i][0], fuzzFields[i][1])
				st.send("x")
				st.halfClose()
				time.Sleep(time.Second)
				st.cancel()
			}
		}
		synctest.Wait()
		byCode := map[codes.Code]uint64{}
		for _, r := range o.connections[0].rpcs {
			for _, event := range r.events {
				if event.Kind == RPCEnded {
					byCode[event.Code]++
				}
			}
		}
		for _, event := range o.refusals() {
			byCode[event.Code]++
		}
		counts := s.Stats().Rejected
		for _, method := range s.Stats().Methods {
			for code, n := range method.Handled {
				counts[code] += n
			}
		}
		if fmt.Sprint(byCode) != fmt.Sprint(counts) {
			t.Errorf("observed %v, counted %v", byCode, counts)
		}
	})
}

// TestObserver_Uninterested is about observers that do not care.
func TestObserver_Uninterested(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Observers: []Observer{uninterested{}}}, handlers{"M": echo()})
		client := s.dial()
		client.call("/t.S/M", "ping").result().want(codes.OK, "", "ping")
		client.call("/t.S/Unknown", "ping").result().want(codes.Unimplemented, "Method not found!")
	})
	defer func() {
		if recover() == nil {
			t.Error("NewServer takes a nil observer")
		}
	}()
	NewServer(ServerOptions{Observers: []Observer{nil}})
}

type uninterested struct{}

func (uninterested) ObserveConnection(ConnectionInfo) ConnectionObserver { return nil }

// TestEventKinds_String is about the names of events.
func TestEventKinds_String(t *testing.T) {
	got := fmt.Sprint(RPCDispatched, RPCHandlerLeft, ConnectionOpened, ConnectionClosed, RPCEventKind(0), ConnectionEventKind(99), RPCID{3, 17})
	if want := "RPCDispatched RPCHandlerLeft ConnectionOpened ConnectionClosed RPCEventKind(0) ConnectionEventKind(99) 3/17"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestObserver_PanicsWithoutLog has an observer panic at each call, and the log end the goroutine that reports it. RPCs end, and the server
// can stop.
func TestObserver_PanicsWithoutLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := NewServer(ServerOptions{Logger: slogOf(badLog{func() {}, goruntime.Goexit}), Observers: []Observer{failing{func() { panic("on purpose") }}}})
		check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo(), "Wait": blockUntilOver()}}))
		l := newPipeListener()
		check(t, s.AddListener(l))
		check(t, s.Start())
		client := newTestClient(t, l.dial())
		client.call("/t.S/M", "ping").result().want(codes.OK, "", "ping")
		client.call("/t.S/Wait", "")
		client.ping()
		terminated := s.Stop(0)
		time.Sleep(time.Minute)
		if got := s.Stats(); !isClosed(terminated) || got.Active != 0 {
			t.Errorf("terminated: %v; %+v", isClosed(terminated), got)
		}
	})
}

// TestObserver_ClosedWithoutLog has the log end the goroutine that reports why a connection has ended. The observer is told.
func TestObserver_ClosedWithoutLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &recorder{}
		s := NewServer(ServerOptions{Logger: slogOf(badLog{func() {}, goruntime.Goexit}), Observers: []Observer{o}})
		l := newPipeListener()
		check(t, s.AddListener(l))
		check(t, s.Start())
		l.dial().Write([]byte(http2.ClientPreface + "\x00\x00\x00\x01\x00\x00\x00\x00\x00"))
		time.Sleep(time.Minute)
		<-s.Stop(0)
		o.check(t)
	})
}

// forgetful is a connection with TLS that can tell its state once.
type forgetful struct {
	*tls.Conn
	asked bool
}

func (c *forgetful) ConnectionState() tls.ConnectionState {
	if c.asked {
		panic("on purpose")
	}
	c.asked = true
	return c.Conn.ConnectionState()
}

// TestObserver_PeerPanics has a connection of a user's type panic when it is asked who the client is. It is served, and the
// server can stop.
func TestObserver_PeerPanics(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s, _ := observedServer(t, ServerOptions{}, handlers{"M": echo()})
		config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}
		l := oddListener{newPipeListener(), func(nc net.Conn) net.Conn { return &forgetful{Conn: tls.Server(nc, config)} }}
		check(t, s.AddListener(l))
		client := newTestClient(t, tls.Client(l.dial(), &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}))
		client.call("/t.S/M", "ping").result().want(codes.OK, "", "ping")
	})
}

// observerOfRPCs is an observer that cares for the events of RPCs.
type observerOfRPCs func(RPCEvent)

func (f observerOfRPCs) ObserveConnection(ConnectionInfo) ConnectionObserver { return f }
func (f observerOfRPCs) ObserveConnectionEvent(ConnectionEvent)              {}
func (f observerOfRPCs) ObserveRPCEvent(event RPCEvent)                      { f(event) }
func (f observerOfRPCs) BeginRPC(ctx context.Context, _ *RPCInfo) (context.Context, RPCObserver) {
	return ctx, f
}

// TestObserver_ExitsAtEnd has an observer end the goroutine of a handler whose response waits for the client. What is held for the
// response is given back once; newTestServer checks that.
func TestObserver_ExitsAtEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const size = 200_000
		s := newTestServer(t, ServerOptions{Observers: []Observer{observerOfRPCs(func(event RPCEvent) {
			if event.Kind == RPCEnded {
				goruntime.Goexit()
			}
		})}}, handlers{"M": answering(&raw{Data: make([]byte, size)})})
		st := s.dial().call("/t.S/M", "")
		st.result().want(codes.OK, "", string(make([]byte, size)))
	})
}

// TestObserver_InitialMetadata has a handler use the metadata again that it has sent. An observer may have kept what it was told.
func TestObserver_InitialMetadata(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			md := Metadata{{Key: "k", Value: "sent"}}
			err := SendInitialMetadata(ctx, md)
			md[0].Value = "not sent"
			return &raw{}, err
		})})
		s.dial().call("/t.S/M", "").result()
		synctest.Wait()
		for _, event := range o.connections[0].rpcs[0].events {
			if event.Kind == RPCHeadersSent && event.Metadata[0].Value != "sent" {
				t.Errorf("the observer was told %v", event.Metadata)
			}
		}
	})
}
