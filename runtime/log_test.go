package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// badLog is a slog.Handler with mistakes in it.
type badLog struct{ enabled, handle func() }

func (l badLog) Enabled(context.Context, slog.Level) bool {
	l.enabled()
	return true
}

func (l badLog) Handle(context.Context, slog.Record) error {
	l.handle()
	return nil
}

func (l badLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l badLog) WithGroup(string) slog.Handler      { return l }

func slogOf(h slog.Handler) *slog.Logger { return slog.New(h) }

// TestServer_LogFails logs a panic by a handler that panics as well: the RPC gets its answer, and the server lives.
func TestServer_LogFails(t *testing.T) {
	fine := func() {}
	for name, f := range map[string]func(){
		"Panic":    func() { panic("no log") },
		"PanicNil": func() { panic(nil) },
		"Goexit":   goruntime.Goexit,
	} {
		for where, l := range map[string]badLog{"Enabled": {f, fine}, "Handle": {fine, f}} {
			for _, executor := range []Executor{Unbounded, Inline} {
				runInBubble(t, name+"In"+where, func(t *testing.T) {
					s := NewServer(ServerOptions{Logger: slog.New(l)})
					broken := UnaryUnary(func(context.Context, *raw) (*raw, error) { panic("boom") })
					check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": broken.WithExecutor(executor), "Echo": echo()}}))
					pipe := newPipeListener()
					check(t, s.AddListener(pipe))
					check(t, s.Start())
					c := newTestClient(t, pipe.dial())
					c.call("/t.S/M", "").result().want(codes.Unknown, "Exception calling application: boom")
					c.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
					<-s.Stop(0)
				})
			}
		}
	}
}

// records is a slog.Handler that keeps the messages of what is logged, and the lengths of the attributes.
type records struct {
	slog.Handler // nil

	mu sync.Mutex
	// Guarded by mu.
	messages []string
	longest  int // octets in an attribute that is no stack
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, record.Message)
	record.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" {
			r.longest = max(r.longest, len(a.Value.Resolve().String()))
		}
		return true
	})
	return nil
}

// TestLog_TextsOfOthers has handlers, and clients, put what they like into the log. It is never the message, which
// slog's default handler does not quote, and never long.
func TestLog_TextsOfOthers(t *testing.T) {
	forged := "boom\n2000/01/01 00:00:00 ERROR forged " + strings.Repeat("x", 10_000)
	fails := func() { panic(forged) }
	long := "/" + strings.Repeat("y", 10_000)
	for _, tt := range []struct {
		name, path string
		method     *MethodHandler
		generic    genericFunc
		messages   []string
	}{
		{
			"Handler", "/t.S/M", UnaryUnary(func(context.Context, *raw) (*raw, error) { fails(); return nil, nil }), nil,
			[]string{"Exception calling application"},
		},
		{
			"Callback", "/t.S/M",
			UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				AddCallback(ctx, fails)
				return request, nil
			}), nil,
			[]string{"Exception calling callback!"},
		},
		{
			"Generic", long, echo(), func(HandlerCallDetails) *MethodHandler { fails(); return nil },
			[]string{"Exception servicing handler"},
		},
		{
			"GenericIsWrong", long, echo(), func(HandlerCallDetails) *MethodHandler { return &MethodHandler{} },
			[]string{"Exception servicing handler"},
		},
		{
			"Decode", long, echo(), func(HandlerCallDetails) *MethodHandler {
				return UnaryUnary(func(_ context.Context, m *lyingMessage) (*lyingMessage, error) { return m, nil })
			},
			[]string{"Exception deserializing message!"},
		},
		{
			"Encode", long, echo(), func(HandlerCallDetails) *MethodHandler {
				return UnaryUnary(func(context.Context, *raw) (*lyingMessage, error) { return &lyingMessage{forged}, nil })
			},
			[]string{"Exception serializing message!"},
		},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			log := &records{}
			s := NewServer(ServerOptions{Logger: slog.New(log), MaxMetadataBytes: 1 << 20})
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": tt.method}}))
			if tt.generic != nil {
				check(t, s.AddGenericHandler(tt.generic))
			}
			l := newPipeListener()
			check(t, s.AddListener(l))
			check(t, s.Start())
			newTestClient(t, l.dial()).call(tt.path, forged).result()
			<-s.Stop(0)
			synctest.Wait()
			log.mu.Lock()
			defer log.mu.Unlock()
			if !slices.Equal(log.messages, tt.messages) {
				t.Errorf("the messages are %.300q, want %q", log.messages, tt.messages)
			}
			if log.longest > 600 {
				t.Errorf("there is an attribute of %d octets", log.longest)
			}
		})
	}
}

// lyingMessage is a message whose code fails, with a text of the client's.
type lyingMessage struct{ text string }

func (m *lyingMessage) SizeVT() int                                { return 0 }
func (m *lyingMessage) MarshalToSizedBufferVT([]byte) (int, error) { return 0, errors.New(m.text) }
func (m *lyingMessage) UnmarshalVT(b []byte) error                 { return errors.New(string(b)) }

// TestLog_SmallFieldSections has clients take no status at all. One that is not let in must not fill the log by it; that a
// handler's trailing metadata is more than clients usually take is worth a line.
func TestLog_SmallFieldSections(t *testing.T) {
	refuse := func(context.Context, *ServerCall, ServerNext) error { return status.Error(codes.Unauthenticated, "no") }
	trail := func(size int) *MethodHandler {
		return UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			return request, SetTrailingMetadata(ctx, Pairs("a", strings.Repeat("x", size)))
		})
	}
	for _, tt := range []struct {
		name    string
		options ServerOptions
		method  *MethodHandler
		want    int
	}{
		{"Refused", ServerOptions{Interceptors: []ServerInterceptor{refuse}}, echo(), 0},
		{"SomeMetadata", ServerOptions{}, trail(1000), 0},
		{"MuchMetadata", ServerOptions{}, trail(10_000), 3},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, tt.options, handlers{"M": tt.method})
			p := newProbe(t, s)
			p.Together(func() {
				p.WriteSettings(h2test.MaxHeaderListSize, 1)
				for id := uint32(1); id < 6; id += 2 {
					p.open(id, false, "/t.S/M")
					p.WriteData(id, true, lpm(0, "x"))
				}
			})
			synctest.Wait()
			if seen := p.take(); strings.Count(seen, "RST_STREAM") != 3 {
				t.Errorf("the answers are%s", seen)
			}
			if lines := s.log.lines("level=ERROR"); len(lines) != tt.want {
				t.Errorf("the log is %q", lines)
			}
			p.Conn.Close()
		})
	}
}

// TestServer_LogExits has a slog.Handler end the goroutine that logs (runtime.Goexit), which is the server's: a handshake
// that panics, an accept that fails, an end of the grace, a connection that ends by an error. The server goes on, and can stop.
func TestServer_LogExits(t *testing.T) {
	certificate, pool := testCertificate(t)
	for name, happens := range map[string]func(t *testing.T, s *Server, dial func() net.Conn){
		"HandshakePanics": func(t *testing.T, s *Server, _ func() net.Conn) {
			l := newPipeListener()
			check(t, s.AddSecureListener(l, &tls.Config{
				GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no certificate") },
			}))
			tls.Client(l.dial(), &tls.Config{ServerName: "test", NextProtos: []string{"h2"}}).Handshake()
		},
		"NoHTTP2": func(t *testing.T, s *Server, _ func() net.Conn) {
			l := newPipeListener()
			check(t, s.AddSecureListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
			tls.Client(l.dial(), &tls.Config{RootCAs: pool, ServerName: "test"}).Handshake()
		},
		"AcceptFails": func(t *testing.T, s *Server, _ func() net.Conn) {
			l := &failingListener{newPipeListener(), 3, syscall.EMFILE, nil}
			check(t, s.AddListener(l))
			newTestClient(t, l.dial()).call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
		},
		"ConnectionError": func(_ *testing.T, _ *Server, dial func() net.Conn) {
			dial().Write([]byte(http2.ClientPreface + "\x00\x00\x00\x01\x00\x00\x00\x00\x00"))
		},
		"ReadDeadlinePanics": func(t *testing.T, s *Server, _ func() net.Conn) {
			l := oddListener{newPipeListener(), func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("SetReadDeadline")} }}
			check(t, s.AddListener(l))
			newTestClient(t, l.dial()).call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
		},
		"WritePanics": func(t *testing.T, s *Server, _ func() net.Conn) {
			l := oddListener{newPipeListener(), func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("Write")} }}
			check(t, s.AddListener(l))
			newTestClient(t, l.dial()).waitEnd()
		},
		"ReaderPanics": func(t *testing.T, s *Server, dial func() net.Conn) { // by a mistake of ours
			c := newTestClient(t, dial())
			c.ping()
			table := s.table.Swap(nil)
			c.call("/t.S/Echo", "")
			synctest.Wait()
			s.table.Store(table)
			c.close()
		},
		"CutOff": func(t *testing.T, s *Server, dial func() net.Conn) {
			c := newTestClient(t, dial())
			c.call("/t.S/Wait", "")
			c.ping()
			s.Stop(0)
		},
	} {
		runInBubble(t, name, func(t *testing.T) {
			logged := 0
			s := NewServer(ServerOptions{Logger: slog.New(badLog{func() {}, func() { logged++; goruntime.Goexit() }})})
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"Echo": echo(), "Wait": blockUntilOver()}}))
			l := newPipeListener()
			check(t, s.AddListener(l))
			check(t, s.Start())
			happens(t, s, l.dial)
			synctest.Wait()
			terminated := s.Stop(0)
			time.Sleep(time.Minute)
			if !isClosed(terminated) || logged != 1 {
				t.Errorf("terminated: %v; %d records were logged", isClosed(terminated), logged)
			}
		})
	}
}

// TestServer_LogEndsItsGoroutine has log handlers end their goroutine (runtime.Goexit) wherever the server logs something
// about an RPC: that ends, its connection goes on, and nothing is held for it.
func TestServer_LogEndsItsGoroutine(t *testing.T) {
	for _, tt := range []struct {
		name    string
		generic func() *MethodHandler
		method  *MethodHandler
		code    codes.Code
	}{
		{"GenericPanics", func() *MethodHandler { panic("no") }, nil, codes.Unknown},
		{"GenericIsWrong", func() *MethodHandler { return &MethodHandler{} }, nil, codes.Unknown},
		{"InlineBlocks", nil, UnaryUnary(func(context.Context, *raw) (*raw, error) {
			time.Sleep(10 * inlineLimit)
			return &raw{}, nil
		}).WithExecutor(Inline), codes.OK},
		{"Unserializable", nil, UnaryUnary(func(context.Context, *raw) (*largeLie, error) { return &largeLie{}, nil }), codes.Unknown},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := NewServer(ServerOptions{Logger: slog.New(badLog{func() {}, goruntime.Goexit})})
			check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": tt.method, "Echo": echo()}}))
			if tt.generic != nil {
				check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler { return tt.generic() })))
			}
			pipe := newPipeListener()
			check(t, s.AddListener(pipe))
			check(t, s.Start())
			client := newTestClient(t, pipe.dial())
			began := time.Now()
			st := client.call("/t.S/M", "")
			client.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
			if took := time.Since(began); took > 5*inlineLimit {
				t.Errorf("another RPC of the connection took %v", took)
			}
			if code, details := st.result().status(); code != tt.code {
				t.Errorf("the RPC ended with %v, %q, want %v", code, details, tt.code)
			}
			synctest.Wait()
			if got := s.Stats(); got.Active != 0 || got.HeldRequestBytes != 0 || got.HeldResponseBytes != 0 {
				t.Errorf("what is left is %+v", got)
			}
			<-s.Stop(0)
		})
	}
}

// largeLie is a message whose code fails when there is room for it.
type largeLie struct{ lyingMessage }

func (m *largeLie) SizeVT() int { return 1 << 20 }

// TestServer_CallbackPanicsWithoutLog has a callback panic, and the log end the goroutine that reports it. The next one is called.
func TestServer_CallbackPanicsWithoutLog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		called := false
		s := NewServer(ServerOptions{Logger: slog.New(badLog{func() {}, goruntime.Goexit})})
		check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			AddCallback(ctx, func() { panic("on purpose") })
			AddCallback(ctx, func() { called = true })
			return &raw{}, nil
		})}}))
		pipe := newPipeListener()
		check(t, s.AddListener(pipe))
		check(t, s.Start())
		newTestClient(t, pipe.dial()).call("/t.S/M", "").result().want(codes.OK, "", "")
		<-s.Stop(0)
		if synctest.Wait(); !called {
			t.Error("the second callback was not called")
		}
	})
}
