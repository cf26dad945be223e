package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// TestOptions_Extreme sets every option that is a number or a time to the largest and the smallest value there is. None
// of them means that messages arrive empty, that connections end at once, or that something hangs.
func TestOptions_Extreme(t *testing.T) {
	var test func(name string, options *ServerOptions, v reflect.Value)
	test = func(name string, options *ServerOptions, v reflect.Value) {
		for i := range v.NumField() {
			field, name := v.Field(i), name+v.Type().Field(i).Name
			switch field.Kind() {
			case reflect.Struct:
				test(name+".", options, field)
			case reflect.Int, reflect.Int64:
				largest, smallest := int64(math.MaxInt), int64(math.MinInt)
				if field.Kind() == reflect.Int64 {
					largest, smallest = math.MaxInt64, math.MinInt64
				}
				for way, value := range map[string]int64{"Largest": largest, "Smallest": smallest} {
					field.SetInt(value)
					if way == "Smallest" && options.check() != nil {
						continue // TestOptions_Negative has what comes of it
					}
					runInBubble(t, name+"/"+way, func(t *testing.T) { testExtremeOptions(t, *options) })
				}
				field.SetInt(0)
			}
		}
	}
	var options ServerOptions
	test("", &options, reflect.ValueOf(&options).Elem())
}

func testExtremeOptions(t *testing.T, options ServerOptions) {
	options.Compression = Gzip
	methods := drainAndCountAll()
	s := newTestServer(t, options, methods)
	for range 2 {
		client := s.dial()
		for _, c := range cardinalities {
			for _, request := range []string{"x", strings.Repeat("y", 100_000)} {
				compressed := compress(t, Gzip, request)
				for _, content := range [][]byte{lpm(0, request), lpm(1, compressed)} {
					st := client.open("/t.S/"+c.name, "grpc-encoding", "gzip", "key", "value")
					st.sendPatiently(content)
					st.halfClose()
					st.result().want(codes.OK, "", request)
				}
			}
		}
		time.Sleep(time.Second)
		client.call("/t.S/UnaryUnary", "again").result().want(codes.OK, "", "again")
	}
	drained := make(chan struct{})
	go func() {
		s.drain()
		close(drained)
	}()
	<-s.Stop(s.options.Grace)
	<-drained
}

// TestNewServer_Panics is about mistakes that the server can neither serve with nor leave out.
func TestNewServer_Panics(t *testing.T) {
	pass := func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }
	for want, options := range map[string]ServerOptions{
		"ServerOptions.Interceptors[1] is nil":                intercept(pass, nil),
		`ServerOptions.Compression: gogreeter: "br" is not a`: {Compression: "br"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "gogreeter: NewServer: "+want) {
					t.Errorf("panicked with %v, want %v", got, want)
				}
			}()
			NewServer(options)
		}()
	}
}

// TestOptions_Negative has a negative value in each option that is a number. It is none, or an error of Start.
func TestOptions_Negative(t *testing.T) {
	unsafe := []string{
		"MaxConcurrentStreams", "MaxMetadataBytes", "MaxMetadataFields", "SetupTimeout", "WriteTimeout",
		"Floods.Resets.PerSecond", "Floods.Controls.PerSecond", "Floods.Empties.PerSecond", "Connections.KeepaliveTimeout",
		"Connections.StreamWindow", "Connections.ConnectionWindow",
	}
	tried := 0
	var try func(v reflect.Value, options *ServerOptions, name string)
	try = func(v reflect.Value, options *ServerOptions, name string) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				try(v.Field(i), options, strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."))
			}
			return
		case reflect.Int, reflect.Int64:
			v.SetInt(-1)
		case reflect.Float64:
			v.SetFloat(-1)
		default:
			return
		}
		defer v.SetZero()
		tried++
		runInBubble(t, name, func(t *testing.T) {
			s := NewServer(*options)
			want := slices.Contains(unsafe, name)
			err := s.Start()
			if (err != nil) != want || want && !strings.Contains(err.Error(), "ServerOptions."+name+" is negative") {
				t.Errorf("Start returned %v", err)
			}
			<-s.Stop(0)
			if want {
				return
			}
			served := newTestServer(t, *options, handlers{"M": echo()})
			served.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
		})
	}
	options := &ServerOptions{}
	try(reflect.ValueOf(options).Elem(), options, "")
	if tried < 20 {
		t.Errorf("tried only %d options", tried)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestServer_MethodOptions has options for methods that are not there when the server starts.
func TestServer_MethodOptions(t *testing.T) {
	for _, generic := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			log := &testLog{}
			var s *Server
			asking := writerFunc(func(b []byte) (int, error) {
				s.Stats() // as a log may that says what the server does
				return log.Write(b)
			})
			s = NewServer(ServerOptions{Logger: slog.New(slog.NewTextHandler(asking, nil)), Methods: map[string]MethodOptions{
				"/t.S/M": {Executor: Inline}, "/t.S/*": {}, "/t.S/Misspelled": {}, "/t.Misspelled/*": {}, "t.S/M": {},
			}})
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo()}}))
			if generic {
				check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return nil })))
			}
			check(t, s.Start())
			<-s.Stop(0)
			lines := log.lines("ServerOptions.Methods names a method that no service has")
			if generic && len(lines) != 0 || !generic && (len(lines) != 3 || !strings.Contains(lines[0], "method=/t.Misspelled/*") ||
				!strings.Contains(lines[1], "method=/t.S/Misspelled")) {
				t.Errorf("generic handler %v: logged %q", generic, lines)
			}
		})
	}
}

// TestOptions_Floods sets each bound on floods to less and to more than the client sends.
func TestOptions_Floods(t *testing.T) {
	const sent = 3000
	for name, flood := range map[string]struct {
		bound func(o *FloodOptions) *Rate
		send  func(c *testClient)
	}{
		"Resets": {func(o *FloodOptions) *Rate { return &o.Resets }, func(c *testClient) {
			for range sent {
				c.open("/t.S/M").cancel()
			}
		}},
		"Controls": {func(o *FloodOptions) *Rate { return &o.Controls }, func(c *testClient) {
			c.do(func(f *http2.Framer) {
				for range sent {
					f.WritePing(false, [8]byte{})
				}
			})
		}},
		"Empties": {func(o *FloodOptions) *Rate { return &o.Empties }, func(c *testClient) {
			st := c.open("/t.S/M")
			c.do(func(f *http2.Framer) {
				for range sent {
					f.WriteData(st.id, false, nil)
				}
			})
		}},
	} {
		for way, rate := range map[string]Rate{"Bounded": {Burst: 10, PerSecond: 1}, "Larger": {Burst: sent + 10}, "NoBound": {Burst: -1}} {
			runInBubble(t, name+"/"+way, func(t *testing.T) {
				options := ServerOptions{Connections: ConnectionOptions{MinPingInterval: -1}}
				*flood.bound(&options.Floods) = rate
				s := newTestServer(t, options, handlers{"M": echo()})
				c := s.dial()
				c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
				flood.send(c)
				if way == "Bounded" {
					c.waitEnd()
					c.close()
					synctest.Wait()
					if len(s.log.lines("ENHANCE_YOUR_CALM")) != 1 {
						t.Errorf("the log is %v", s.log)
					}
					return
				}
				c.call("/t.S/M", "y").result().want(codes.OK, "", "y")
			})
		}
	}
}

// TestOptions_MaxMetadataFields has requests with more entries than the option allows, and with as many.
func TestOptions_MaxMetadataFields(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newTestServer(t, ServerOptions{MaxMetadataFields: 10}, handlers{"M": echo()}).dial()
		for _, tt := range []struct {
			more int
			code codes.Code
		}{{4, codes.OK}, {5, codes.ResourceExhausted}} {
			st := c.open("/t.S/M", slices.Repeat([]string{"k", "v"}, tt.more)...)
			st.send("x")
			st.halfClose()
			if code, details := st.result().status(); code != tt.code {
				t.Errorf("%d more: %v %s", tt.more, code, details)
			}
		}
	})
}
