package runtime

import (
	"context"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
)

// answer is a unary method that answers with a text.
func answer(text string) *MethodHandler {
	return UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(text), nil })
}

// genericFunc is a generic handler.
type genericFunc func(details HandlerCallDetails) *MethodHandler

func (f genericFunc) Service(details HandlerCallDetails) *MethodHandler { return f(details) }

// TestDispatch_Paths calls paths that are not methods.
func TestDispatch_Paths(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"ok": echo(), "absent": nil})
		client := s.dial()
		for _, path := range []string{
			"/t.S/nope", "/t.X/ok", "nope", "/", "//", "/a", "/t.S/", "t.S/ok", "/t.S/ok/", "/T.S/ok", "/t.S/OK", "/t.S/ok?x=1",
			"//t.S/ok", "/t.S//ok", "*", "/t.S/absent", "/%74.S/ok",
		} {
			for range 2 {
				client.call(path, "x").result().want(codes.Unimplemented, "Method not found!")
			}
		}
		client.call("/t.S/ok", "x").result().want(codes.OK, "", "x")
		if log := s.log.String(); log != "" {
			t.Errorf("logged %s", log)
		}
	})
}

// TestDispatch_NoHandlers is a server without any.
func TestDispatch_NoHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		newTestServer(t, ServerOptions{}, nil).dial().call("/t.S/M", "x").result().want(codes.Unimplemented, "Method not found!")
	})
}

// TestDispatch_BadServices registers what cannot be served.
func TestDispatch_BadServices(t *testing.T) {
	var noFunction func(context.Context, *raw) (*raw, error)
	tests := []struct {
		name    string
		service Service
		want    string
	}{
		{"NoName", Service{}, `"" is not the name of a service`},
		{"Slash", Service{Name: "/t.S"}, `"/t.S" is not the name of a service`},
		{"Space", Service{Name: "t S"}, `"t S" is not the name of a service`},
		{"Twice", Service{Name: "t.S", Methods: handlers{"New": echo()}}, `service "t.S" is already registered`},
		{"NoMethodName", Service{Name: "t.T", Methods: handlers{"": echo()}}, `service "t.T": "" is not the name of a method`},
		{"MethodSlash", Service{Name: "t.T", Methods: handlers{"a/b": echo()}}, `service "t.T": "a/b" is not the name of a method`},
		{"NilFunction", Service{Name: "t.T", Methods: handlers{"ok": echo(), "M": UnaryUnary(noFunction)}}, `service "t.T": method "M": its function is nil`},
		{"ZeroHandler", Service{Name: "t.T", Methods: handlers{"M": {}}}, `service "t.T": method "M": the handler was not made by UnaryUnary`},
		{
			"NotAMessage",
			Service{Name: "t.T", Methods: handlers{"M": UnaryUnary(func(context.Context, *int) (*raw, error) { return nil, nil })}},
			`service "t.T": method "M": type *int is neither a protobuf message nor *runtime.RawMessage`,
		},
		{
			"ResponseNotAMessage",
			Service{Name: "t.T", Methods: handlers{"M": UnaryUnary(func(context.Context, *raw) (*string, error) { return nil, nil })}},
			`service "t.T": method "M": type *string is neither`,
		},
	}
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"ok": echo()})
		client := s.dial()
		for _, tt := range tests {
			err := s.AddService(tt.service)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "gogreeter: ") {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
		}
		if err := s.AddGenericHandler(nil); err == nil {
			t.Error("a nil generic handler was taken")
		}
		for _, path := range []string{"/t.S/New", "/t.T/ok", "/t.T/M"} { // nothing of a service that was refused
			client.call(path, "x").result().want(codes.Unimplemented, "Method not found!")
		}
		client.call("/t.S/ok", "x").result().want(codes.OK, "", "x")
	})
}

// TestDispatch_Generic is about generic handlers: their order, and what they are told.
func TestDispatch_Generic(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": answer("dictionary"), "absent": nil})
		var asked []string
		add := func(name string, paths ...string) {
			err := s.AddGenericHandler(genericFunc(func(details HandlerCallDetails) *MethodHandler {
				asked = append(asked, name+details.InvocationMetadata.Get("n"))
				for _, path := range paths {
					if path == details.Method {
						return answer(name)
					}
				}
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
		}
		add("a", "/t.S/M", "/g/1", "/t.S/absent")
		add("b", "/g/1", "/g/2", "odd path")
		client := s.dial()
		for _, tt := range []struct{ path, want, asked string }{
			{"/t.S/M", "dictionary", ""},
			{"/g/1", "a", "a7"},
			{"/g/2", "b", "a7 b7"},
			{"/t.S/absent", "a", "a7"},
			{"odd path", "b", "a7 b7"},
		} {
			for range 3 {
				asked = nil
				st := client.open(tt.path, "n", "7")
				st.send("")
				st.halfClose()
				st.result().want(codes.OK, "", tt.want)
				if got := strings.Join(asked, " "); got != tt.asked {
					t.Errorf("%s: asked %q, want %q", tt.path, got, tt.asked)
				}
			}
		}
		client.call("/g/3", "").result().want(codes.Unimplemented, "Method not found!")
	})
}

// TestDispatch_GenericFails has generic handlers do what they should not. It concerns their RPC only.
func TestDispatch_GenericFails(t *testing.T) {
	var noFunction func(context.Context, *raw) (*raw, error)
	for name, fails := range map[string]genericFunc{
		"Panic":       func(HandlerCallDetails) *MethodHandler { panic("lookup") },
		"PanicNil":    func(HandlerCallDetails) *MethodHandler { panic(nil) },
		"ZeroHandler": func(HandlerCallDetails) *MethodHandler { return &MethodHandler{} },
		"NilFunction": func(HandlerCallDetails) *MethodHandler { return UnaryUnary(noFunction) },
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"ok": echo()})
			if err := s.AddGenericHandler(fails); err != nil {
				t.Fatal(err)
			}
			client := s.dial()
			client.call("/t.S/other", "x").result().want(codes.Unknown, "Error in service handler!")
			client.call("/t.S/ok", "x").result().want(codes.OK, "", "x")
			if got := len(s.log.lines(`msg="Exception servicing handler" method=/t.S/other `)); got != 1 {
				t.Errorf("%d records:\n%v", got, s.log)
			}
		})
	}
}

// TestDispatch_ReaderEnds has application code end the goroutine that reads the connection. Another has to go on.
func TestDispatch_ReaderEnds(t *testing.T) {
	exit := UnaryUnary(func(context.Context, *raw) (*raw, error) {
		goruntime.Goexit()
		return nil, nil
	})
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Methods: map[string]MethodOptions{"/t.S/Exit": {Executor: Inline}}}, handlers{
			"Wait": blockUntilOver(), "ok": echo(), "Exit": exit,
		})
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler {
			goruntime.Goexit()
			return nil
		})))
		client := s.dial()
		waits := client.call("/t.S/Wait", "")
		for range 3 {
			client.cork()
			exits, inline, after := client.call("/t.S/other", ""), client.call("/t.S/Exit", ""), client.call("/t.S/ok", "x")
			client.uncork()
			exits.result().want(codes.Unknown, "Error in service handler!")
			inline.result().want(codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)")
			after.result().want(codes.OK, "", "x")
		}
		check(t, s.RemoveService("t.S"))
		wantClosed(t, "termination", s.Stop(0))
		waits.result().want(codes.Unavailable, "Cancelling all calls")
		synctest.Wait() // the handler of a, for one
		if n := s.active.Load(); n != 0 {
			t.Errorf("%d RPCs are still counted", n)
		}
	})
}

// TestDispatch_WhileServing adds handlers and removes them while a connection repeats the same field block.
func TestDispatch_WhileServing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		client := s.dial()
		want := func(code codes.Code, details string, messages ...string) {
			t.Helper()
			for range 3 {
				client.call("/late.S/M", "x").result().want(code, details, messages...)
			}
		}
		want(codes.Unimplemented, "Method not found!")
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return answer("generic") })))
		want(codes.OK, "", "generic")
		methods := handlers{"M": answer("first")}
		check(t, s.AddService(Service{Name: "late.S", Methods: methods}))
		delete(methods, "M") // the server has its own
		want(codes.OK, "", "first")
		check(t, s.RemoveService("late.S"))
		want(codes.OK, "", "generic")
		check(t, s.AddService(Service{Name: "late.S", Methods: handlers{"M": answer("second")}}))
		want(codes.OK, "", "second")
		if err := s.RemoveService("no.S"); err == nil {
			t.Error("a service that is not there was removed")
		}
		var names []string
		for _, service := range s.Services() {
			names = append(names, service.Name)
		}
		if want := []string{"late.S", "t.S"}; !slices.Equal(names, want) {
			t.Errorf("there are the services %q, want %q", names, want)
		}
	})
}

// TestServer_MaxConcurrentRPCs counts running RPCs, and those whose client has given up.
func TestServer_MaxConcurrentRPCs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		var entered atomic.Int32
		s := newTestServer(t, ServerOptions{MaxConcurrentRPCs: 3}, handlers{"M": UnaryUnary(
			func(context.Context, *raw) (*raw, error) {
				entered.Add(1)
				<-release
				return rawOf("done"), nil
			})})
		first, second := s.dial(), s.dial()
		a := first.call("/t.S/M", "")
		b := second.call("/t.S/M", "")
		c := second.open("/t.S/M") // counts from its beginning
		first.ping()
		second.ping()
		if synctest.Wait(); entered.Load() != 2 {
			t.Fatalf("%d handlers run", entered.Load())
		}
		first.call("/t.S/M", "").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		first.call("/t.S/unknown", "").result().want(codes.Unimplemented, "Method not found!")
		a.cancel() // its handler runs on
		first.ping()
		first.call("/t.S/M", "").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		c.cancel() // has no handler
		second.ping()
		d := first.call("/t.S/M", "")
		first.ping()
		second.call("/t.S/M", "").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		close(release)
		b.result().want(codes.OK, "", "done")
		d.result().want(codes.OK, "", "done")
		for range 10 { // the answer is not seen before there is room
			for range 3 {
				first.call("/t.S/M", "").result().want(codes.OK, "", "done")
			}
		}
		synctest.Wait() // until the handler of the RPC that was cancelled has returned too
		if n := s.active.Load(); n != 0 {
			t.Errorf("%d RPCs are still counted", n)
		}
	})
}

// TestServer_LimitAndInterceptors checks that with interceptors, which may have secrets, there is no room for any method,
// known or not.
func TestServer_LimitAndInterceptors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		pass := func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }
		s := newTestServer(t, ServerOptions{MaxConcurrentRPCs: 1, Interceptors: []ServerInterceptor{pass}}, handlers{"Wait": blockUntilOver()})
		c := s.dial()
		st := c.call("/t.S/Wait", "")
		c.ping()
		for _, path := range []string{"/t.S/Wait", "/t.S/unknown"} {
			c.call(path, "").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		}
		st.cancel()
		c.ping()
		synctest.Wait()
		c.call("/t.S/unknown", "").result().want(codes.Unimplemented, "Method not found!")
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
