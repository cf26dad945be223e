package runtime

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// hexCodec is RPCs of all kinds whose content is that of gRPC in hexadecimal, with the status behind it: as gRPC-Web's text is in
// base64, and so larger than what it stands for.
type hexCodec struct {
	half    []byte // half of an octet
	content []byte
}

const hexType = "application/hex"

// hexCall makes an RPC of a request for hexCodec.
func hexCall(request *fields.Section) *protocol.Route {
	if contentTypeOf(request) != hexType {
		return nil
	}
	return &protocol.Route{RPC: callOf(request, request.Path), Codec: &hexCodec{}}
}

func contentTypeOf(request *fields.Section) string {
	i := slices.IndexFunc(request.Fields, func(f fields.Field) bool { return f.Name == "content-type" })
	if i < 0 {
		return ""
	}
	return request.Fields[i].Value
}

// callOf is a request as gRPC's clients make it.
func callOf(request *fields.Section, path string) *fields.Section {
	call := *request
	call.Method, call.Path = "POST", path
	call.Fields = []fields.Field{{Name: "content-type", Value: "application/grpc"}}
	for _, f := range request.Fields {
		if f.Name != "content-type" {
			call.Fields = append(call.Fields, f)
		}
	}
	return &call
}

func (c *hexCodec) DecodeContent(content []byte, last bool, feed func(messages ...[]byte)) error {
	content = append(c.half, content...)
	whole := len(content) &^ 1
	c.half = slices.Clone(content[whole:])
	decoded, err := hex.AppendDecode(c.content[:0], content[:whole])
	if err != nil || last && len(c.half) > 0 {
		return outcome{Code: codes.InvalidArgument, Message: "not hexadecimal"}.Err()
	}
	c.content = decoded
	feed(decoded)
	return nil
}

func (c *hexCodec) EncodeHead(encoding string, metadata iter.Seq2[string, string]) []byte {
	block := fields.AppendField(fields.AppendStatus(nil, 200), "content-type", hexType)
	block = fields.AppendField(block, "encoding", encoding)
	for name, value := range metadata {
		block = fields.AppendField(block, name, value)
	}
	return block
}

func (c *hexCodec) EncodeMessage(message []byte) []byte { return hex.AppendEncode(nil, message) }

func (c *hexCodec) EncodeEnd(status wire.Status, message []byte, metadata iter.Seq2[string, string]) protocol.End {
	content := hex.AppendEncode(nil, message)
	content = fmt.Appendf(content, "!%d %s", status.Code, status.Message)
	for name, value := range metadata {
		content = fmt.Appendf(content, ";%s=%s", name, value)
	}
	return protocol.End{Content: content}
}

// bareCodec is unary RPCs whose content is the message and nothing else, as Connect's: the head waits for the status.
type bareCodec struct {
	prefix []byte // of a request that has not begun; nil: there has been one
	query  []byte // the message, if that is in the query
	head   []byte // initial metadata
}

const bareType = "application/bare"

// bareCall makes an RPC of a request for bareCodec: with content whose length is declared, or a GET with a query.
func bareCall(request *fields.Section) *protocol.Route {
	path, query, ok := strings.Cut(request.Path, "?m=")
	switch message, err := url.QueryUnescape(query); {
	case request.Method == "GET" && ok && err == nil:
		return &protocol.Route{RPC: callOf(request, path), Codec: &bareCodec{query: lpm(0, message)}}
	case contentTypeOf(request) == bareType && request.ContentLength >= 0:
		prefix := wire.AppendPrefix(nil, false, int(request.ContentLength))
		return &protocol.Route{RPC: callOf(request, path), Codec: &bareCodec{prefix: prefix}}
	}
	return nil
}

func (c *bareCodec) DecodeContent(content []byte, last bool, feed func(messages ...[]byte)) error {
	if c.query != nil && last {
		feed(c.query)
		return nil
	}
	feed(c.prefix, content)
	c.prefix = nil
	return nil
}

func (c *bareCodec) EncodeHead(_ string, metadata iter.Seq2[string, string]) []byte {
	for name, value := range metadata {
		c.head = fields.AppendField(c.head, name, value)
	}
	return nil
}

func (c *bareCodec) EncodeMessage([]byte) []byte { panic("bareCodec is for unary RPCs") }

func (c *bareCodec) EncodeEnd(status wire.Status, message []byte, metadata iter.Seq2[string, string]) protocol.End {
	head, content := fields.AppendStatus(nil, 200), []byte(nil)
	if status.Code == codes.OK {
		content = message[wire.PrefixLen:] // the very octets
	} else {
		head, content = fields.AppendStatus(nil, 400), []byte(status.Code.String()+": "+status.Message)
	}
	head = append(head, c.head...)
	for name, value := range metadata {
		head = fields.AppendField(head, "trailer-"+name, value)
	}
	return protocol.End{Head: head, Content: content}
}

// newCodecServer starts a server that speaks hex and bare.
func newCodecServer(t testing.TB, options ServerOptions, methods handlers) *testServer {
	t.Helper()
	s := newTestServer(t, options, methods)
	protocol.Install(s.Server, &protocol.Protocol{Route: hexCall})
	protocol.Install(s.Server, &protocol.Protocol{Route: bareCall})
	return s
}

func (c *testClient) openHex(path string, more ...string) *testStream {
	return c.open(path, append([]string{"content-type", hexType}, more...)...)
}

// sendHex sends a message.
func (st *testStream) sendHex(message string) {
	st.sendPatiently(hex.AppendEncode(nil, lpm(0, message)))
}

// wantHex checks messages and status.
func (r *testResult) wantHex(status string, messages ...string) {
	r.t.Helper()
	content, end, _ := strings.Cut(r.content(), "!")
	want := ""
	for _, m := range messages {
		want += hex.EncodeToString(lpm(0, m))
	}
	if content != want || end != status || !r.ended {
		r.t.Errorf("got %.200q with status %q, want %.200q with %q; ended %v", content, end, want, status, r.ended)
	}
}

// TestCodec_Cardinalities has RPCs of all kinds made in another protocol, with metadata both ways.
func TestCodec_Cardinalities(t *testing.T) {
	for _, c := range cardinalities {
		for _, intercepted := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/%v", c.name, intercepted), func(t *testing.T) {
				options, seen := ServerOptions{Workers: 2}, 0
				if intercepted {
					options = intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
						seen++
						if call.Method() != "/t.S/M" || InvocationMetadata(ctx).Get("x-bin") != "\x00\xff" {
							t.Errorf("the interceptor sees %q with %v", call.Method(), InvocationMetadata(ctx))
						}
						return next(ctx, call)
					})
				}
				s := newCodecServer(t, options, handlers{"M": handlerOf(c, func(call *testCall) error {
					check(t, SetInitialMetadata(call.ctx, Pairs("initial", "i")))
					check(t, SetTrailingMetadata(call.ctx, Pairs("trailing-bin", "\x00")))
					requests, err := call.drain()
					if err != nil {
						return err
					}
					return call.send(rawOf(strings.Join(requests, "+")))
				})})
				st := s.dial().openHex("/t.S/M", "x-bin", "AP8")
				want := []string{"one", "two", ""}
				if !c.requestStreaming {
					want = []string{"one"}
				}
				for _, request := range want {
					st.sendHex(request)
				}
				st.halfClose()
				r := st.result()
				r.wantHex("0 ;trailing-bin=AA", strings.Join(want, "+"))
				if initial, _ := field(r.headers, "initial"); initial != "i" || (seen == 1) != intercepted {
					t.Errorf("the head is %v; the interceptor was called %d times", r.headers, seen)
				}
				wantNothingHeld(t, s)
				if n := s.Stats().Methods["/t.S/M"].Handled[codes.OK]; n != 1 {
					t.Errorf("%d RPCs are counted", n)
				}
			})
		}
	}
}

// TestCodec_Bare has unary RPCs made whose messages are bare, some of them larger than a window.
func TestCodec_Bare(t *testing.T) {
	for _, size := range []int{0, 1, 60_000, 65_530, 65_531, 65_535, 70_000, 3 << 20} {
		for _, delay := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%d/%v", size, delay), func(t *testing.T) {
				s := newCodecServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
					check(t, SetTrailingMetadata(ctx, Pairs("t", "u")))
					if delay {
						check(t, SendInitialMetadata(ctx, Pairs("i", "j"))) // has to wait all the same
						return request, nil
					}
					return request, SetInitialMetadata(ctx, Pairs("i", "j"))
				})})
				c, message := s.dial(), strings.Repeat("m", size)
				st := c.open("/t.S/M", "content-type", bareType, "content-length", fmt.Sprint(size))
				st.sendPatiently([]byte(message))
				st.halfClose()
				r := st.result()
				r.wantPage("200", message)
				head := r.headers
				if size == 0 {
					head = r.trailers // without content there is one field section
				}
				initial, _ := field(head, "i")
				if trailing, _ := field(head, "trailer-t"); initial != "j" || trailing != "u" {
					t.Errorf("the head is %v", head)
				}
				wantNothingHeld(t, s)
			})
		}
	}
}

// TestCodec_Head has requests that have their message in the head, and none at all.
func TestCodec_Head(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{}, handlers{"M": echo(), "N": StreamUnary(
			func(_ context.Context, requests RequestIterator[raw]) (*raw, error) { return countRequests(requests) })})
		c := s.dial()
		c.get("/t.S/M?m=what+else", true).result().wantPage("200", "what else")
		c.get("/t.S/N?m=one", true).result().wantPage("200", "1")
		c.openFields(request("/t.S/N", "content-type", hexType), true).result().wantHex("0 ", "0")
		st := c.get("/t.S/M?m=x", false)
		st.sendTrailers("a", "b")
		st.result().wantPage("200", "x")
		c.openFields(request("/t.S/M", "content-type", hexType), true).result().
			wantHex(`12 "/t.S/M" requires exactly one request message.`)
	})
}

// TestCodec_GenericHandler has a generic handler supply the method. It sees the fields as the client has sent them.
func TestCodec_GenericHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{}, nil)
		check(t, s.AddGenericHandler(genericFunc(func(details HandlerCallDetails) *MethodHandler {
			if details.Method != "/g/M" || details.Fields().Get("te") != "trailers" {
				t.Errorf("asked for %q with %v", details.Method, details.Fields())
			}
			return echo()
		})))
		s.dial().get("/g/M?m=x", true).result().wantPage("200", "x")
	})
}

// TestCodec_Refused has requests that do not become RPCs, and RPCs that fail. The client is told in its own terms.
func TestCodec_Refused(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		more       []string
		content    string
		status     string
		bare       string
	}{
		{"unknown", "/t.S/Unknown", nil, "", "12 Method not found!", "Unimplemented: Method not found!"},
		{"timeout", "/t.S/M", []string{"grpc-timeout", "x"}, "", `13 malformed grpc-timeout "x"`, `Internal: malformed grpc-timeout "x"`},
		{"fails", "/t.S/Fail", nil, "0000000000", "9 no", "FailedPrecondition: no"},
		{"panics", "/t.S/Panic", nil, "0000000000", "2 Exception calling application: bug", "Unknown: Exception calling application: bug"},
		{"no hex", "/t.S/M", nil, "xy", "3 not hexadecimal", ""},
		{"half", "/t.S/M", nil, "000", "3 not hexadecimal", ""},
		{"no message", "/t.S/M", nil, "000000", "13 the request ended in the middle of a message", ""},
		{"large", "/t.S/M", nil, "0000ffffff", "8 Received message larger than max (16777215 vs. 1000)", "ResourceExhausted: Received message larger than max (1001 vs. 1000)"},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newCodecServer(t, ServerOptions{MaxReceiveMessageBytes: 1000}, handlers{
				"M": echo(),
				"Fail": UnaryUnary(func(context.Context, *raw) (*raw, error) {
					return nil, outcome{Code: codes.FailedPrecondition, Message: "no"}.Err()
				}),
				"Panic": UnaryUnary(func(context.Context, *raw) (*raw, error) { panic("bug") }),
			})
			c := s.dial()
			st := c.openHex(tt.path, tt.more...)
			st.sendData([]byte(tt.content))
			st.halfClose()
			r := st.result()
			r.wantHex(tt.status)
			if status, _ := field(r.headers, ":status"); status != "200" {
				t.Errorf("the head is %v", r.headers)
			}
			if tt.bare != "" {
				size := 10
				if tt.name == "large" {
					size = 1001
				}
				st := c.open(tt.path, append([]string{"content-type", bareType, "content-length", fmt.Sprint(size)}, tt.more...)...)
				st.sendData(make([]byte, size))
				st.halfClose()
				st.result().wantPage("400", tt.bare)
			}
			wantNothingHeld(t, s)
		})
	}
}

// TestCodec_Limit has more RPCs come than there may be, in one protocol and in the other.
func TestCodec_Limit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{MaxConcurrentRPCs: 1}, handlers{"M": echo()})
		c := s.dial()
		first := c.openHex("/t.S/M")
		st := c.openHex("/t.S/M")
		c.wait("the refusal", func() bool { return st.ended })
		st.sendPatiently(make([]byte, 300_000)) // is read to its end
		st.halfClose()
		st.result().wantHex("8 Concurrent RPC limit exceeded!")
		c.call("/t.S/M", "x").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		first.sendHex("x")
		first.halfClose()
		first.result().wantHex("0 ", "x")
	})
}

// TestCodec_Ends has RPCs end from outside, before a response and behind one.
func TestCodec_Ends(t *testing.T) {
	for _, sends := range []bool{false, true} {
		runInBubble(t, fmt.Sprint(sends), func(t *testing.T) {
			var causes []error
			s := newCodecServer(t, ServerOptions{}, handlers{"Wait": UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
				if sends {
					check(t, responses.Send(rawOf("first")))
				}
				<-ctx.Done()
				causes = append(causes, ctx.Err())
				return nil
			})})
			c := s.dial()
			wait := func(more ...string) *testStream {
				st := c.openHex("/t.S/Wait", more...)
				st.sendHex("")
				st.halfClose()
				synctest.Wait()
				return st
			}
			var sent []string
			if sends {
				sent = []string{"first"}
			}
			began := time.Now()
			wait("grpc-timeout", "3S").result().wantHex("4 Deadline Exceeded", sent...)
			if took := time.Since(began); took != 3*time.Second {
				t.Errorf("the deadline has passed after %v", took)
			}
			st := wait()
			s.CancelRPC(RPCID{onlyConnection(t, s).id, uint64(st.id)})
			st.result().wantHex("1 CANCELLED", sent...)
			st = wait()
			st.cancel()
			synctest.Wait()
			st = wait()
			<-s.Stop(0)
			st.result().wantHex("14 Cancelling all calls", sent...)
			if len(causes) != 4 || causes[0] != context.DeadlineExceeded || causes[2] != context.Canceled {
				t.Errorf("the handlers learn of %v", causes)
			}
		})
	}
}

// TestCodec_EndsInMessage has an RPC be cancelled while half of a message waits for the client. A status in the content cannot follow
// that half: the stream is reset.
func TestCodec_EndsInMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{}, handlers{"M": UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
			check(t, responses.Send(rawOf("0123456789")))
			<-ctx.Done()
			return nil
		})})
		c := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7})
		c.thrifty = true
		st := c.openHex("/t.S/M")
		st.sendHex("")
		st.halfClose()
		synctest.Wait()
		s.CancelRPC(RPCID{onlyConnection(t, s).id, uint64(st.id)})
		c.do(func(framer *http2.Framer) { framer.WriteWindowUpdate(st.id, 1000) })
		if r := st.result(); !r.reset || len(r.content()) != 7 {
			t.Errorf("got %+v", r)
		}
		wantNothingHeld(t, s)
	})
}

// TestCodec_Large has messages whose rest has to be asked for: twice as many octets as the message has come.
func TestCodec_Large(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{MaxConnectionBytes: 8 << 20}, handlers{"M": StreamStream(
			func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
				for request, err := range requests.All() {
					if err == nil {
						err = responses.Send(request)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})})
		st := s.dial().openHex("/t.S/M")
		var want []string
		for _, size := range []int{100, 32_000, 66_000, 1 << 20, 3, 2 << 20} {
			want = append(want, strings.Repeat("m", size))
			st.sendHex(want[len(want)-1])
		}
		st.halfClose()
		st.result().wantHex("0 ", want...)
		wantNothingHeld(t, s)
	})
}

// TestCodec_RequestWaits has a client send more than its handler takes. What a translation makes of it is held to the window, too.
func TestCodec_RequestWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		take := make(chan struct{})
		s := newCodecServer(t, ServerOptions{}, handlers{"M": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
			<-take
			return countRequests(requests)
		})})
		c := s.dial()
		st := c.openHex("/t.S/M")
		message := hex.AppendEncode(nil, lpm(0, strings.Repeat("m", 995)))
		sent := 0
		for {
			synctest.Wait()
			c.Lock()
			room := min(st.credits, c.credits) >= len(message)
			c.Unlock()
			if !room {
				break
			}
			st.sendData(message)
			sent++
		}
		// The half that is only hexadecimal is given back at once, if that is worth a frame.
		if octets := sent * 1000; octets > 65_535 || octets < 30_000 {
			t.Errorf("%d octets of messages wait", octets)
		}
		if used := accountOf(t, s).Used(budget.Requests); used > 100_000 {
			t.Errorf("%d octets are held", used)
		}
		close(take)
		for range 200 {
			st.sendPatiently(message)
		}
		st.halfClose()
		st.result().wantHex("0 ", fmt.Sprint(sent+200))
	})
}

// TestCodec_Compression has messages compressed both ways.
func TestCodec_Compression(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{Compression: Gzip}, handlers{"M": echo()})
		message := strings.Repeat("compressible ", 100)
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		io.WriteString(w, message)
		w.Close()
		st := s.dial().openHex("/t.S/M", "grpc-encoding", "gzip", "grpc-accept-encoding", "gzip")
		st.sendPatiently(hex.AppendEncode(nil, lpm(1, zipped.String())))
		st.halfClose()
		r := st.result()
		content, _, _ := strings.Cut(r.content(), "!")
		answer, err := hex.DecodeString(content)
		check(t, err)
		unzipped, err := gzip.NewReader(bytes.NewReader(answer[wire.PrefixLen:]))
		check(t, err)
		got, err := io.ReadAll(unzipped)
		if encoding, _ := field(r.headers, "encoding"); encoding != "gzip" || answer[0] != 1 || string(got) != message || err != nil {
			t.Errorf("encoding %q, flag %d, %q: %v", encoding, answer[0], got, err)
		}
	})
}

// TestCodec_Observed has observers told of an RPC as of one of gRPC.
func TestCodec_Observed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, o := observedServer(t, ServerOptions{}, handlers{"M": echo()})
		protocol.Install(s.Server, &protocol.Protocol{Route: bareCall})
		s.dial().get("/t.S/M?m=x", true).result().wantPage("200", "x")
		synctest.Wait()
		o.mu.Lock()
		defer o.mu.Unlock()
		rpc := o.connections[0].rpcs[0]
		var kinds []RPCEventKind
		for _, event := range rpc.events {
			kinds = append(kinds, event.Kind)
		}
		if rpc.info.Method != "/t.S/M" || !rpc.info.Registered || len(kinds) != 7 || kinds[6] != RPCEnded {
			t.Errorf("told are %+v and %v", rpc.info, kinds)
		}
	})
}

// TestCodec_Race has the ends of RPCs come at once, with content under way.
func TestCodec_Race(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, handlers{"M": StreamStream(
		func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
			for request, err := range requests.All() {
				if err = errors.Join(err, responses.Send(request)); err != nil {
					return err
				}
			}
			return nil
		})})
	protocol.Install(s.Server, &protocol.Protocol{Route: hexCall})
	c := newTestClient(t, nc)
	for i := range 200 {
		st := c.openHex("/t.S/M", "grpc-timeout", fmt.Sprintf("%du", i*20))
		st.sendHex(strings.Repeat("m", i*10))
		if i%3 == 0 {
			st.cancel()
			continue
		}
		st.halfClose()
		if i%3 == 1 {
			st.result()
		}
	}
	c.ping()
}

// TestCodec_SameFields has requests with the same field block side by side, whose content comes in turns.
func TestCodec_SameFields(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newCodecServer(t, ServerOptions{}, handlers{"M": echo()})
		protocol.Install(s.Server, &protocol.Protocol{Route: pages{"/copy": copyBack}.route})
		c := s.dial()
		for range 3 {
			var calls, copies []*testStream
			for range 3 { // one after the other: a block that is like the last is not decoded again
				calls = append(calls, c.openHex("/t.S/M"))
			}
			for range 3 {
				copies = append(copies, c.post("/copy"))
			}
			for i, call := range calls {
				call.sendData(hex.AppendEncode(nil, lpm(0, fmt.Sprint(i)))[:5]) // half of an octet
			}
			for i, call := range calls {
				call.sendData(hex.AppendEncode(nil, lpm(0, fmt.Sprint(i)))[5:])
				call.halfClose()
				call.result().wantHex("0 ", fmt.Sprint(i))
				copies[i].sendData([]byte(fmt.Sprint(i)))
				copies[i].halfClose()
				copies[i].result().wantPage("200", fmt.Sprint(i))
			}
		}
	})
}

// TestCodec_LargeWaits has large messages wait for room, one of them while its stream's window is used up.
func TestCodec_LargeWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		take := make(chan struct{})
		s := newCodecServer(t, ServerOptions{MaxConnectionBytes: 1 << 20}, handlers{"M": StreamUnary(
			func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				<-take
				return countRequests(requests)
			})})
		c := s.dial()
		message := hex.AppendEncode(nil, lpm(0, strings.Repeat("m", 500_000)))
		var streams []*testStream
		for range 3 {
			st := c.openHex("/t.S/M")
			st.sendPatiently(message[:60_000])
			synctest.Wait()
			streams = append(streams, st)
		}
		if n := accountOf(t, s).Waiting(budget.ForRequests); n != 2 || streams[1].credits != 5535 || streams[2].credits != 5535 {
			t.Errorf("%d requests wait for room; the windows are %d and %d", n, streams[1].credits, streams[2].credits)
		}
		close(take)
		var sending sync.WaitGroup
		for _, st := range streams {
			sending.Go(func() {
				st.sendPatiently(message[60_000:])
				st.halfClose()
			})
		}
		sending.Wait()
		for _, st := range streams {
			st.result().wantHex("0 ", "1")
		}
		wantNothingHeld(t, s)
	})
}
