package runtime

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// The tests of this file are for the race detector too: applications append to what they are given, print it, and keep it.

// TestContract_Append has RPCs with the same field block append to their metadata: none may meet what another has
// appended.
func TestContract_Append(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		fields := []string{"a", "1", "x-bin", "AAE,AAI", "b", "2"}
		check := func(where string, md Metadata) {
			if cap(md) != len(md) || len(md) != 4 {
				t.Errorf("%s: %d entries in room for %d", where, len(md), cap(md))
			}
			for range 10 {
				with := append(md, Pair{"mine", where})
				if got := with.Get("mine"); got != where {
					t.Errorf("%s: found what %s has appended", where, got)
				}
			}
		}
		s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
			check("interceptor", InvocationMetadata(ctx))
			return next(ctx, call)
		}}}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			check("handler", InvocationMetadata(ctx))
			return request, nil
		})})
		if err := s.AddGenericHandler(genericHandler(func(details HandlerCallDetails) *MethodHandler {
			check("generic handler", details.InvocationMetadata)
			return echo()
		})); err != nil {
			t.Fatal(err)
		}
		c := s.dial()
		for _, path := range []string{"/t.S/M", "/t.S/Other"} {
			var calls []*testStream
			c.cork()
			for range 20 {
				st := c.open(path, fields...)
				st.send("x")
				st.halfClose()
				calls = append(calls, st)
			}
			c.uncork()
			for _, st := range calls {
				st.result().want(codes.OK, "", "x")
			}
		}
	})
}

// genericHandler is a function as a GenericHandler.
type genericHandler func(details HandlerCallDetails) *MethodHandler

func (f genericHandler) Service(details HandlerCallDetails) *MethodHandler { return f(details) }

// TestContract_Copies changes what the API hands out, and checks that whoever asks next gets what was there.
func TestContract_Copies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			if err := SetTrailingMetadata(ctx, Pairs("a", "1")); err != nil {
				t.Error(err)
			}
			TrailingMetadata(ctx)[0].Value = "changed"
			if got := TrailingMetadata(ctx).Get("a"); got != "1" {
				t.Errorf("the trailing metadata has %q", got)
			}
			md := InvocationMetadata(ctx)
			md.Values("k")[0] = "changed"
			md.MD()["k"][0] = "changed"
			if got := md.Get("k"); got != "v" {
				t.Errorf("the metadata has %q", got)
			}
			return request, nil
		})})
		call := func() {
			st := s.dial().open("/t.S/M", "k", "v")
			st.send("x")
			st.halfClose()
			st.result().want(codes.OK, "", "x")
		}
		call()
		synctest.Wait()
		services := s.Services()
		clear(services[0].Methods)
		services[0].Name = "t.Other"
		if again := s.Services(); again[0].Name != "t.S" || len(again[0].Methods) != 1 {
			t.Errorf("the services are %v", again)
		}
		stats := s.Stats()
		clear(stats.Methods["/t.S/M"].Handled)
		clear(stats.Rejected)
		call()
		synctest.Wait()
		if got := s.Stats().Methods["/t.S/M"].Handled[codes.OK]; got != 2 {
			t.Errorf("%d RPCs are counted", got)
		}
		if err := s.RemoveService("t.S"); err != nil {
			t.Error(err)
		}
		s.dial().call("/t.S/M", "x").result().want(codes.Unimplemented, "Method not found!")
	})
}

// TestContract_MethodOptions changes the options of a server that looks at them.
func TestContract_MethodOptions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options := ServerOptions{Methods: map[string]MethodOptions{"/t.S/Other": {}}}
		s := newTestServer(t, options, nil)
		if err := s.AddGenericHandler(genericHandler(func(HandlerCallDetails) *MethodHandler { return echo() })); err != nil {
			t.Fatal(err)
		}
		go func() {
			for i := range 1000 {
				options.Methods[fmt.Sprint(i)] = MethodOptions{}
			}
		}()
		c := s.dial()
		for range 20 {
			c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		}
	})
}

// TestPeer_Clipped checks the slices of what a handshake has established, which the RPCs of a connection share.
func TestPeer_Clipped(t *testing.T) {
	roomy := func() []*x509.Certificate { return make([]*x509.Certificate, 1, 5) }
	chains := append(make([][]*x509.Certificate, 0, 5), roomy(), roomy())
	state := clipState(tls.ConnectionState{
		PeerCertificates: roomy(), VerifiedChains: chains, SignedCertificateTimestamps: make([][]byte, 1, 2),
		OCSPResponse: make([]byte, 1, 2), TLSUnique: make([]byte, 1, 2),
	})
	for what, spare := range map[string]int{
		"PeerCertificates":  cap(state.PeerCertificates) - len(state.PeerCertificates),
		"VerifiedChains":    cap(state.VerifiedChains) - len(state.VerifiedChains),
		"VerifiedChains[0]": cap(state.VerifiedChains[0]) - len(state.VerifiedChains[0]),
		"VerifiedChains[1]": cap(state.VerifiedChains[1]) - len(state.VerifiedChains[1]),
		"timestamps":        cap(state.SignedCertificateTimestamps) - len(state.SignedCertificateTimestamps),
		"OCSPResponse":      cap(state.OCSPResponse) - len(state.OCSPResponse),
		"TLSUnique":         cap(state.TLSUnique) - len(state.TLSUnique),
	} {
		if spare != 0 {
			t.Errorf("%s has room for %d more", what, spare)
		}
	}
	if len(state.VerifiedChains) != 2 || &state.VerifiedChains[0] == &chains[0] {
		t.Errorf("%d chains, or those of the connection", len(state.VerifiedChains))
	}
}

// printer prints values, again and again and in all ways, until it is stopped.
type printer struct {
	mu     sync.Mutex
	values map[string]any
}

func (p *printer) add(what string, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[what] = value
}

func (p *printer) all() map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.values)
}

// print prints all values once.
func (p *printer) print() {
	for _, value := range p.all() {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
			_ = fmt.Sprintf(verb, value)
		}
	}
}

// TestContract_Print prints all that the API hands out, from another goroutine, while it is used: fmt reads what it is
// given by reflection, without a lock.
func TestContract_Print(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			p := &printer{values: map[string]any{}}
			const messages = 50
			use := func(call *testCall) error {
				ctx := call.ctx
				p.add("context", ctx)
				p.add("child", context.WithValue(ctx, testKey{}, "x"))
				p.add("metadata", InvocationMetadata(ctx))
				p.add("peer", Peer(ctx))
				p.add("servicer context", servicerContextOf(ctx))
				p.add("Next", call.next)
				for i := 0; ; i++ {
					request, err := call.next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						return err
					}
					if err := SetTrailingMetadata(ctx, Pairs("n", fmt.Sprint(i))); err != nil {
						return err
					}
					AddCallback(ctx, func() {})
					context.AfterFunc(ctx, func() {})
					if err := call.send(request); err != nil {
						return err
					}
				}
				return nil
			}
			handler := handlerOf(c, use)
			if c.requestStreaming && c.responseStreaming { // with what handlerOf leaves out
				handler = StreamStream(func(ctx context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
					p.add("iterator", requests)
					p.add("sequence", requests.All())
					p.add("stream", responses)
					return use(&testCall{ctx, requests.Next, responses.Send})
				})
			}
			s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
				p.add("call", call)
				p.add("handler", call.Handler())
				p.add("descriptor", call.Descriptor())
				call.OnRequest(func(context.Context, any) error { return nil })
				call.OnResponse(func(context.Context, any) error { return nil })
				call.ShortenDeadline(time.Now().Add(time.Hour))
				check(t, call.SetMethod("/t.S/M"))
				return next(ctx, call)
			}}}, handlers{"M": handler})
			p.add("server", s.Server)
			p.add("services", s.Services())
			p.add("executor", NewExecutor(1))
			stop := make(chan struct{})
			var printing sync.WaitGroup
			printing.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						p.add("stats", s.Stats())
						p.print()
					}
				}
			})
			client := s.dial()
			for range 3 {
				st := client.open("/t.S/M", "k", "v", "grpc-timeout", "1H")
				for i := range messages {
					if i == 0 || c.requestStreaming {
						st.send("x")
					}
				}
				st.halfClose()
				if code, details := st.result().status(); code != codes.OK {
					t.Errorf("%v %q", code, details)
				}
			}
			st := client.open("/t.S/M") // and one that is cut off
			st.send("x")
			client.close()
			close(stop)
			printing.Wait()
			synctest.Wait()
			p.print() // what is kept when all is over
			if text := fmt.Sprint(p.all()["context"]); !strings.Contains(text, "/t.S/M") {
				t.Errorf("a context prints as %q", text)
			}
		})
	}
}

// TestContract_UseAfterEnd keeps all that an RPC hands out and uses it when the RPC is over: it says so, and neither
// this RPC nor others notice.
func TestContract_UseAfterEnd(t *testing.T) {
	for _, c := range cardinalities {
		for _, how := range []string{"Return", "Refused", "Cancel", "Deadline"} {
			runInBubble(t, c.name+"/"+how, func(t *testing.T) {
				var call *ServerCall
				var next ServerNext
				var ctx context.Context
				var handled testCall
				behavior := func(c *testCall) error {
					handled = *c
					if _, err := c.drain(); err != nil {
						return err
					}
					if how == "Return" {
						return c.send(rawOf("answer"))
					}
					<-c.ctx.Done()
					return c.ctx.Err()
				}
				s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(itsCtx context.Context, itsCall *ServerCall, itsNext ServerNext) error {
					if itsCall.Method() == "/t.S/Echo" {
						return itsNext(itsCtx, itsCall)
					}
					call, next, ctx = itsCall, itsNext, itsCtx
					if how == "Refused" {
						return errors.New("no")
					}
					return next(ctx, call)
				}}}, handlers{"M": handlerOf(c, behavior), "Echo": echo()})
				client := s.dial()
				st := client.open("/t.S/M", "grpc-timeout", "1S")
				st.send("x")
				st.halfClose()
				synctest.Wait()
				if how == "Cancel" {
					st.cancel()
				}
				if how == "Deadline" {
					st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
				}
				synctest.Wait()
				before := st.snapshot()
				secret := strings.Repeat("secret", 100)
				for range 3 {
					useAfterEnd(t, ctx, call, next)
					if handled.send != nil && c.responseStreaming && handled.send(rawOf("late")) == nil {
						t.Error("Send has sent something")
					}
					if handled.next != nil && c.requestStreaming {
						if _, err := handled.next(); err == nil {
							t.Error("Next has returned a request")
						}
					}
					var calls []*testStream
					for range 4 {
						calls = append(calls, client.call("/t.S/Echo", secret))
					}
					for _, st := range calls {
						st.result().want(codes.OK, "", secret)
					}
				}
				synctest.Wait()
				if after := st.snapshot(); !slices.Equal(before.messages, after.messages) || s.active.Load() != 0 {
					t.Errorf("got %q, and before %q; %d RPCs are left", after.messages, before.messages, s.active.Load())
				}
			})
		}
	}
}

// useAfterEnd uses what an interceptor is given, after its RPC.
func useAfterEnd(t *testing.T, ctx context.Context, call *ServerCall, next ServerNext) {
	t.Helper()
	if err := call.Respond(ctx, rawOf("late")); err == nil {
		t.Error("Respond has responded")
	}
	if err := next(ctx, call); err == nil {
		t.Error("next has called a handler")
	}
	if err := call.SetMethod("/t.S/Echo"); err == nil {
		t.Error("SetMethod has set a method")
	}
	call.ShortenDeadline(time.Now())
	call.OnRequest(func(context.Context, any) error { return errors.New("no") })
	call.OnResponse(func(context.Context, any) error { return errors.New("no") })
	_, _, _, _ = call.Method(), call.Handler(), call.Descriptor(), call.Response()
	for what, err := range map[string]error{
		"SendInitialMetadata": SendInitialMetadata(ctx, Pairs("a", "b")),
		"SetTrailingMetadata": SetTrailingMetadata(ctx, Pairs("a", "b")),
		"SetCompression":      SetCompression(ctx, Gzip),
	} {
		if err == nil {
			t.Errorf("%s has done something", what)
		}
	}
	if AddCallback(ctx, func() {}) || ctx.Err() == nil {
		t.Error("the RPC goes on")
	}
	if err := errors.Join(Cancel(ctx), DisableNextMessageCompression(ctx)); err != nil {
		t.Error(err)
	}
	if p := Peer(ctx); p == nil || Method(ctx) != "/t.S/M" || Stopping(ctx) == nil || InvocationMetadata(ctx) == nil {
		t.Error("the RPC has lost what was known of it")
	}
	TrailingMetadata(ctx)
	ctx.Deadline()
}
