package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// An oracle answers what its asker should not know. To a client that the interceptors refuse, methods that exist and those
// that do not have to look the same: the same frames, after the same events. The test sends the same octets to both, step by
// step, and compares frame by frame what has come after each step.

// probe is a connection that sends frames in steps and notes what comes back.
type probe struct {
	framePeer
	*h2test.Inbox
	seen []seenFrame // guarded by the inbox
}

// seenFrame is a frame of the server's.
type seenFrame struct {
	stream uint32
	text   string
}

func newProbe(t *testing.T, s *testServer) *probe {
	p := &probe{framePeer: framePeer{h2test.NewPeer(t, s.listener.dial())}, Inbox: h2test.NewInbox()}
	p.MayFail = true
	p.Start(p.Conn, func(f http2.Frame) { p.seen = append(p.seen, seenFrame{f.Header().StreamID, describe(f)}) })
	p.Preface()
	synctest.Wait()
	p.take()
	return p
}

// describe says all that a client can see in a frame.
func describe(f http2.Frame) string {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return fmt.Sprintf("%v %q", f.Header(), f.Fields)
	case *http2.DataFrame:
		return fmt.Sprintf("%v %q", f.Header(), f.Data())
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%v +%d", f.Header(), f.Increment)
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%v %v", f.Header(), f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("%v %v %d %q", f.Header(), f.ErrCode, f.LastStreamID, f.DebugData())
	case *http2.PingFrame:
		return fmt.Sprintf("%v %q", f.Header(), f.Data)
	}
	return fmt.Sprint(f.Header())
}

// take returns what has come since the last call, stream by stream: workers may answer streams of one batch in any order.
func (p *probe) take() string {
	p.Lock()
	defer p.Unlock()
	if p.Err != nil {
		p.seen = append(p.seen, seenFrame{0, fmt.Sprint("the end: ", p.Err)})
	}
	slices.SortStableFunc(p.seen, func(a, b seenFrame) int { return int(a.stream) - int(b.stream) })
	var out strings.Builder
	for _, f := range p.seen {
		out.WriteString("\n    " + f.text)
	}
	p.seen = nil
	return out.String()
}

// A step is what a client sends in one write. The server reads it as one batch, since it fits into the read buffer: 32 KiB.
type step func(p *probe, path string)

// open sends a field block, and content if there is any.
func open(data string, endStream bool, fields ...string) step {
	return func(p *probe, path string) {
		p.open(1, endStream && data == "", path, fields...)
		if data != "" {
			p.WriteData(1, endStream, data)
		}
	}
}

// more sends content.
func more(data string, endStream bool) step {
	return func(p *probe, _ string) {
		for ; len(data) > 16384; data = data[16384:] {
			p.WriteData(1, false, data[:16384])
		}
		p.WriteData(1, endStream, data)
	}
}

func cancel(p *probe, _ string) { p.WriteFrame(h2test.RSTStream, 0, 1, h2test.Cancel) }

func pinging(p *probe, _ string) { p.WriteFrame(h2test.Ping, 0, 0, "\x01\x00\x00\x00\x00\x00\x00\x00") }

// trailers ends the request by a trailer section.
func trailers(p *probe, _ string) {
	p.WriteHeaders(1, true, "x", "y")
}

// other makes a request on another stream, for a method that no server has.
func other(p *probe, _ string) {
	p.open(3, false, "/t.S/Nowhere")
	p.WriteData(3, true, lpm(0, "x"))
}

// together sends steps in one write.
func together(steps ...step) step {
	return func(p *probe, path string) {
		for _, s := range steps {
			s(p, path)
		}
	}
}

// oracleShape is a request, well-formed or not.
type oracleShape struct {
	name  string
	steps []step
}

func oracleShapes() []oracleShape {
	message := string(lpm(0, "request"))
	part, rest := message[:8], message[8:]
	large := string(lpm(0, strings.Repeat("x", 100_000)))
	medium := string(lpm(0, strings.Repeat("x", 15_000)))
	return []oracleShape{
		{"complete", []step{open(message, true)}},
		{"complete, field block first", []step{open("", false), more(message, true)}},
		{"complete, END_STREAM later", []step{open(message, false), more("", true)}},
		{"complete, END_STREAM in a frame of its own", []step{together(open(message, false), more("", true))}},
		{"complete, with trailers", []step{together(open(message, false), trailers)}},
		{"complete, with trailers later", []step{open(message, false), trailers}},
		{"complete, in pieces", []step{
			open(message[:1], false), more(message[1:5], false), more(message[5:6], false), more(message[6:], true),
		}},
		{"empty message", []step{open(string(lpm(0, "")), true)}},
		{"half-open without message", []step{open("", false)}},
		{"half-open behind a message", []step{open(message, false)}},
		{"half a message", []step{open(part, false)}},
		{"half a prefix", []step{open(message[:3], false)}},
		{"half a message, and later the rest", []step{open(part, false), more(rest, true)}},
		{"half a message and END_STREAM", []step{open(part, true)}},
		{"half a message, and later END_STREAM", []step{open(part, false), more("", true)}},
		{"half a prefix and END_STREAM", []step{open(message[:3], true)}},
		{"END_STREAM without message", []step{open("", true)}},
		{"END_STREAM without message, later", []step{open("", false), more("", true)}},
		{"two messages", []step{open(message+message, true)}},
		{"two messages, half-open", []step{open(message+message, false)}},
		{"two messages, one by one", []step{open(message, false), more(message, false), more("", true)}},
		{"one message and a half", []step{open(message+part, false), more(rest, true)}},
		{"ten messages", []step{open(message, false), more(strings.Repeat(message, 9), false)}},
		{"oversize message", []step{open("\x00\x7f\xff\xff\xff", false)}},
		{"oversize message, later", []step{open("", false), more("\x00\x7f\xff\xff\xff", false)}},
		{"oversize message behind another", []step{open(message+"\x00\x7f\xff\xff\xff", false)}},
		{"bad prefix", []step{open("\x09\x00\x00\x00\x01x", true)}},
		{"bad prefix, later", []step{open("", false), more("\x09\x00\x00\x00\x01x", false)}},
		{"compressed flag without encoding", []step{open("\x01\x00\x00\x00\x01x", true)}},
		{"compressed flag without encoding, later", []step{open("", false), more("\x01\x00\x00\x00\x01x", true)}},
		{"compressed, and not in truth", []step{open("\x01\x00\x00\x00\x01x", true, "grpc-encoding", "gzip")}},
		{"large message under way", []step{
			open(large[:15_000], false), more(large[15_000:40_000], false), more(large[40_000:60_000], false),
		}},
		{"much of the window", []step{open(medium, false), more(medium, false), more(medium, false), pinging}},
		{"reset", []step{open(message, true), cancel}},
		{"reset at once", []step{together(open(message, true), cancel)}},
		{"reset half-open", []step{open("", false), cancel}},
		{"reset half-open at once", []step{together(open(part, false), cancel)}},
		{"deadline", []step{open(message, true, "grpc-timeout", "100m")}},
		{"deadline half-open", []step{open(part, false, "grpc-timeout", "100m")}},
		{"deadline without message", []step{open("", false, "grpc-timeout", "2S")}},
		{"deadline that has passed", []step{open(message, true, "grpc-timeout", "0S")}},
		{"deadline that has passed half-open", []step{open("", false, "grpc-timeout", "0n")}},
		{"bad timeout", []step{open(message, true, "grpc-timeout", "soon")}},
		{"bad encoding", []step{open(message, true, "grpc-encoding", "snappy")}},
		{"bad binary metadata", []step{open(message, true, "x-bin", "!")}},
		{"too much metadata", []step{open(message, true, "x", strings.Repeat("y", 20_000))}},
		{"not gRPC", []step{open(message, true, "content-type", "text/html")}},
		{"not POST", []step{open(message, false, ":method", "PUT")}},
		{"wrong content-length", []step{open(message, true, "content-length", "3")}},
		{"in front of another", []step{together(open(message, true), other)}},
		{"behind another", []step{together(other, open(message, true))}},
		{"in front of a PING", []step{together(open(message, true), pinging), pinging}},
	}
}

// oracleLimit is an option that has RPCs wait, or refuses them, and may do so for some methods.
type oracleLimit struct {
	name     string
	options  ServerOptions
	executor Executor // of all methods
	occupy   bool     // a client with authority occupies what there is
}

var oracleLimits = []oracleLimit{
	{name: "none"},
	{name: "MaxConcurrentRPCs", options: ServerOptions{MaxConcurrentRPCs: 1}, occupy: true},
	{name: "Workers", options: ServerOptions{Workers: 1}, occupy: true},
	{name: "Executor", executor: NewExecutor(1), occupy: true},
	{name: "Unbounded", options: ServerOptions{Workers: 1}, executor: Unbounded, occupy: true},
	{name: "Inline", executor: Inline},
	{name: "InlineAndWorkers", options: ServerOptions{Workers: 1}, executor: Inline, occupy: true},
	{name: "MaxMetadata", options: ServerOptions{MaxMetadataBytes: 400}},
}

// refusals are interceptors for clients without authority.
var refusals = map[string]ServerInterceptor{
	"AtOnce": func(context.Context, *ServerCall, ServerNext) error {
		return status.Error(codes.Unauthenticated, "not authenticated")
	},
	"Later": func(context.Context, *ServerCall, ServerNext) error {
		time.Sleep(time.Second) // it asks somebody
		return status.Error(codes.PermissionDenied, "you may not")
	},
	"Panics": func(context.Context, *ServerCall, ServerNext) error { panic("unforeseen") },
	"Exits":  func(context.Context, *ServerCall, ServerNext) error { goruntime.Goexit(); return nil },
	"Nil":    func(context.Context, *ServerCall, ServerNext) error { return nil },
}

// TestOracle asks servers whether methods exist, without authority, in every shape that a request can have.
func TestOracle(t *testing.T) {
	for _, limit := range oracleLimits {
		for name, refuse := range refusals {
			if limit.name != "none" && name != "AtOnce" && name != "Later" {
				continue // what they see does not depend on the limit
			}
			runInBubble(t, limit.name+"/"+name, func(t *testing.T) {
				s := newOracleServer(t, limit, refuse)
				for _, shape := range oracleShapes() {
					want := transcript(t, s, shape, "/t.S/Nowhere")
					for _, path := range oraclePaths {
						if got := transcript(t, s, shape, path); got != want {
							t.Errorf("%s: %s was answered with%s\na method that does not exist with%s", shape.name, path, got, want)
						}
					}
				}
			})
		}
	}
}

// oraclePaths are methods that exist, and paths at which generic handlers fail.
var oraclePaths = []string{
	"/t.S/UnaryUnary", "/t.S/UnaryStream", "/t.S/StreamUnary", "/t.S/StreamStream",
	"/g/Known", "/g/Panics", "/g/Exits", "/g/Broken",
}

func newOracleServer(t *testing.T, limit oracleLimit, refuse ServerInterceptor) *testServer {
	options := limit.options
	options.Interceptors = []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
		if InvocationMetadata(ctx).Get("authority") != "" {
			return next(ctx, call)
		}
		return refuse(ctx, call, func(context.Context, *ServerCall) error { panic("not reached") })
	}}
	methods := handlers{"Occupy": blockUntilOver()}
	for _, c := range cardinalities {
		methods[c.name] = handlerOf(c, func(*testCall) error {
			t.Error("a handler was reached")
			return nil
		})
	}
	generic := echo()
	if limit.executor != nil {
		for name, h := range methods {
			methods[name] = h.WithExecutor(limit.executor)
		}
		generic = generic.WithExecutor(limit.executor)
	}
	s := newTestServer(t, options, methods)
	check(t, s.AddGenericHandler(genericFunc(func(details HandlerCallDetails) *MethodHandler {
		switch details.Method {
		case "/g/Known":
			return generic
		case "/g/Panics":
			panic("looking up")
		case "/g/Exits":
			goruntime.Goexit()
		case "/g/Broken":
			return &MethodHandler{}
		}
		return nil
	})))
	if limit.occupy {
		st := s.dial().open("/t.S/Occupy", "authority", "yes")
		st.send("x")
		st.halfClose()
		synctest.Wait()
	}
	return s
}

// transcript sends a request and returns what was answered after each step, and in the ten seconds after the last.
func transcript(t *testing.T, s *testServer, shape oracleShape, path string) string {
	p := newProbe(t, s)
	defer func() {
		p.Conn.Close()
		synctest.Wait()
		time.Sleep(2 * time.Second) // interceptors go home
		synctest.Wait()
	}()
	var out strings.Builder
	for i, step := range shape.steps {
		p.Together(func() { step(p, path) })
		synctest.Wait()
		fmt.Fprintf(&out, "\n  step %d:%s", i, p.take())
	}
	for _, wait := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
		time.Sleep(wait)
		synctest.Wait()
		fmt.Fprintf(&out, "\n  after %v:%s", wait, p.take())
	}
	return out.String()
}
