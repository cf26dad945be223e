package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
)

// pages is a protocol that answers requests by itself, by their path.
type pages map[string]func(ctx context.Context, s protocol.Stream)

func (p pages) route(request *fields.Section) *protocol.Route {
	if serve := p[request.Path]; serve != nil {
		return &protocol.Route{Serve: serve}
	}
	return nil
}

// newPageServer starts a server that has pages, and one method.
func newPageServer(t testing.TB, options ServerOptions, p pages) *testServer {
	t.Helper()
	s := newTestServer(t, options, handlers{"M": echo()})
	protocol.Install(s.Server, &protocol.Protocol{Route: p.route})
	return s
}

// get opens a stream for a page.
func (c *testClient) get(path string, endStream bool, more ...string) *testStream {
	return c.openFields(request(path, append([]string{":method", "GET", "content-type", missing}, more...)...), endStream)
}

// post opens a stream for a page that gets content.
func (c *testClient) post(path string) *testStream {
	return c.openFields(request(path, "content-type", "text/plain"), false)
}

// wantPage checks the answer of a page. Nothing of it may be of gRPC.
func (r *testResult) wantPage(status string, content string) {
	r.t.Helper()
	head := r.headers
	if head == nil {
		head = r.trailers // which is what testClient makes of a head with END_STREAM
	}
	declined := r.reset && r.code == http2.ErrCodeNo // the rest of the request
	if got, _ := field(head, ":status"); got != status || !r.ended || r.reset && !declined {
		r.t.Errorf("status %q, ended %v, reset %v (%v); want status %q", got, r.ended, r.reset, r.code, status)
	}
	if got := r.content(); got != content {
		r.t.Errorf("the content is %.100q (%d octets), want %.100q (%d)", got, len(got), content, len(content))
	}
	if _, ok := field(append(r.headers, r.trailers...), "grpc-status"); ok {
		r.t.Error("the answer has grpc-status")
	}
}

// content is all content, whether it looks like messages or not.
func (r *testResult) content() string {
	var all strings.Builder
	for i, m := range r.messages {
		all.Write(lpm(r.flags[i], m))
	}
	return all.String() + string(r.rest)
}

func hello(_ context.Context, s protocol.Stream) {
	s.Head(200, fields.Field{Name: "content-type", Value: "text/plain"})
	io.WriteString(s, "hello")
	s.End()
}

// copyBack answers with what it gets, piece by piece.
func copyBack(_ context.Context, s protocol.Stream) {
	if _, err := io.Copy(s, s); err == nil {
		s.End(fields.Field{Name: "copied", Value: "yes"})
	}
}

// TestProtocol_Answers has a protocol answer requests of all forms by itself.
func TestProtocol_Answers(t *testing.T) {
	for _, intercepted := range []bool{false, true} {
		runInBubble(t, fmt.Sprintf("intercepted %v", intercepted), func(t *testing.T) {
			options := ServerOptions{Workers: 1}
			if intercepted {
				options.Interceptors = []ServerInterceptor{func(context.Context, *ServerCall, ServerNext) error {
					t.Error("the interceptor was called")
					return nil
				}}
			}
			s := newPageServer(t, options, pages{
				"/hello": hello, "/copy": copyBack,
				"/empty":  func(_ context.Context, s protocol.Stream) { s.End() },
				"/absent": func(_ context.Context, s protocol.Stream) { s.Head(404); s.End() },
			})
			c := s.dial()
			r := c.get("/hello", true).result()
			r.wantPage("200", "hello")
			if contentType, _ := field(r.headers, "content-type"); contentType != "text/plain" {
				t.Errorf("content-type is %q", contentType)
			}
			c.get("/empty", true).result().wantPage("200", "")
			c.get("/absent", true).result().wantPage("404", "")
			for _, end := range []func(st *testStream){
				(*testStream).halfClose,
				func(st *testStream) { st.sendTrailers("x", "y") },
			} {
				st := c.post("/copy")
				synctest.Wait()
				for _, piece := range []string{"a", "bc", strings.Repeat("d", 100_000)} {
					st.sendPatiently([]byte(piece))
				}
				end(st)
				r := st.result()
				r.wantPage("200", "abc"+strings.Repeat("d", 100_000))
				if copied, _ := field(r.trailers, "copied"); copied != "yes" {
					t.Errorf("the trailers are %v", r.trailers)
				}
			}
			st := c.post("/copy")
			st.sendTrailers("x", "y") // without content
			st.result().wantPage("200", "")
			wantNothingHeld(t, s)
			if stats := s.Stats(); stats.Active != 0 || len(stats.Methods)+len(stats.Rejected) != 0 {
				t.Errorf("counted are %+v", stats)
			}
		})
	}
}

// sendTrailers ends the request with a field block.
func (st *testStream) sendTrailers(lines ...string) {
	var block []hpack.HeaderField
	for i := 0; i < len(lines); i += 2 {
		block = append(block, hpack.HeaderField{Name: lines[i], Value: lines[i+1]})
	}
	st.c.do(func(framer *http2.Framer) {
		st.c.block.Reset()
		for _, f := range block {
			st.c.encoder.WriteField(f)
		}
		framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: st.id, BlockFragment: st.c.block.Bytes(), EndStream: true, EndHeaders: true,
		})
	})
}

// TestProtocol_OthersAreServedAsBefore has requests that are gRPC's, and those that no protocol takes.
func TestProtocol_OthersAreServedAsBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newPageServer(t, ServerOptions{}, pages{"/hello": hello, "/t.S/M": hello})
		protocol.Install(s.Server, &protocol.Protocol{Route: pages{"/hello": copyBack, "/second": hello}.route})
		c := s.dial()
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		c.call("/hello", "x").result().want(codes.Unimplemented, "Method not found!")
		c.get("/t.S/M", true).result().wantPage("200", "hello")
		c.get("/hello", true).result().wantPage("200", "hello") // the first is asked first
		c.get("/second", true).result().wantPage("200", "hello")
		c.get("/none", true).result().wantPage("405", "gRPC requests are POST, not GET\n")
		c.openFields(request("/none", "content-type", "text/html"), true).result().wantPage("415", "content-type \"text/html\" is not application/grpc\n")
		large := c.get("/hello", true, "x", strings.Repeat("x", 20_000)).result()
		large.want(codes.ResourceExhausted, "received initial metadata size exceeds limit")
		check(t, s.RemoveService("t.S")) // the protocols stay
		c.get("/hello", true).result().wantPage("200", "hello")
	})
}

// TestProtocol_InstalledLater installs a protocol on a connection that has been refused before.
func TestProtocol_InstalledLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, nil)
		c := s.dial()
		for range 2 {
			c.get("/hello", true).result().wantPage("405", "gRPC requests are POST, not GET\n")
		}
		protocol.Install(s.Server, &protocol.Protocol{Route: pages{"/hello": hello}.route})
		for range 2 {
			c.get("/hello", true).result().wantPage("200", "hello")
		}
	})
}

// TestProtocol_FlowOfRequest has content wait for a handler: no more of it comes than the window has room for, and each octet that
// is taken makes room for one.
func TestProtocol_FlowOfRequest(t *testing.T) {
	for _, tt := range []struct {
		piece int // octets of a DATA frame
		limit int // MaxReceiveMessageBytes, which is not for content
	}{{1, 0}, {7, 3}, {1000, 0}, {16_384, 0}, {16_384, 100}} {
		runInBubble(t, fmt.Sprint(tt), func(t *testing.T) {
			if testing.Short() && tt.piece < 100 {
				t.Skip("hundreds of thousands of frames take seconds")
			}
			taken := make(chan int)
			s := newPageServer(t, ServerOptions{
				MaxReceiveMessageBytes: tt.limit, Floods: FloodOptions{Empties: Rate{Burst: -1}}, Connections: ConnectionOptions{StreamWindow: streamWindow},
			}, pages{
				"/take": func(_ context.Context, s protocol.Stream) {
					for b := make([]byte, 1<<20); ; {
						n, ok := <-taken
						if !ok {
							return
						}
						if _, err := io.ReadFull(s, b[:n]); err != nil {
							t.Error(err)
						}
					}
				},
			})
			defer close(taken)
			c := s.dial()
			st := c.post("/take")
			fill := func() (sent int) {
				for {
					synctest.Wait()
					c.Lock()
					n := min(tt.piece, st.credits)
					if st.credits > 65_535 {
						t.Errorf("the window is %d", st.credits)
					}
					c.Unlock()
					if n == 0 {
						return sent
					}
					room := st.credits / n
					for range room {
						st.sendData(make([]byte, n))
					}
					sent += n * room
				}
			}
			if sent := fill(); sent != 65_535 {
				t.Errorf("%d octets were sent that nobody has taken", sent)
			}
			waiting := 65_535
			for range 2 {
				taken <- 50_000
				synctest.Wait()
				waiting += fill() - 50_000
				if waiting > 65_535+tt.piece { // the handler has a piece that it has not taken all of
					t.Errorf("%d octets wait", waiting)
				}
			}
			taken <- waiting
			synctest.Wait()
			c.Lock()
			window := st.credits
			c.Unlock()
			if window < 65_535-8192-32_767 { // less is not worth a frame
				t.Errorf("the window is %d when all is taken", window)
			}
			if used := accountOf(t, s).Used(budget.Requests); used != 2*budget.Weight {
				t.Errorf("%d octets are held", used)
			}
		})
	}
}

// TestProtocol_FlowOfResponse has a client that takes its response little by little.
func TestProtocol_FlowOfResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const size = 500_000
		written := 0
		s := newPageServer(t, ServerOptions{MaxSendMessageBytes: 1000}, pages{
			"/large": func(_ context.Context, s protocol.Stream) {
				for piece := make([]byte, 10_000); written < size; written += len(piece) {
					if n, err := s.Write(piece); n != len(piece) || err != nil {
						t.Errorf("wrote %d octets: %v", n, err)
					}
				}
				s.End(fields.Field{Name: "the", Value: "end"})
			},
		})
		c := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		c.thrifty = true
		st := c.get("/large", true)
		window := 1000
		for window < size {
			synctest.Wait()
			c.Lock()
			had := len(st.data)
			c.Unlock()
			if had != window || written > had+64<<10+20_000 {
				t.Fatalf("%d octets have come through a window of %d, of %d written", had, window, written)
			}
			c.do(func(framer *http2.Framer) {
				framer.WriteWindowUpdate(0, 30_000)
				framer.WriteWindowUpdate(st.id, 30_000)
			})
			window += 30_000
		}
		r := st.result()
		r.wantPage("200", string(make([]byte, size)))
		if end, _ := field(r.trailers, "the"); end != "end" {
			t.Errorf("the trailers are %v", r.trailers)
		}
		wantNothingHeld(t, s)
	})
}

// TestProtocol_Flush has the head, and content, leave before the handler goes on.
func TestProtocol_Flush(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s := newPageServer(t, ServerOptions{}, pages{"/events": func(_ context.Context, s protocol.Stream) {
			s.Head(200, fields.Field{Name: "x", Value: "y"})
			s.Flush()
			<-goOn
			io.WriteString(s, "event")
			s.Flush()
			s.Head(500) // comes too late
			<-goOn
			s.End()
		}})
		st := s.dial().get("/events", true)
		st.c.wait("the head", func() bool { return st.headers != nil })
		goOn <- struct{}{}
		st.c.wait("content", func() bool { return len(st.data) > 0 })
		goOn <- struct{}{}
		st.result().wantPage("200", "event")
	})
}

// TestProtocol_ClientGoesAway has the client reset the stream, or drop its connection, while the handler reads, writes, or waits.
func TestProtocol_ClientGoesAway(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context, s protocol.Stream) error{
		"reads":  func(_ context.Context, s protocol.Stream) error { _, err := io.ReadAll(s); return err },
		"writes": func(_ context.Context, s protocol.Stream) error { _, err := s.Write(make([]byte, 1<<20)); return err },
		"waits": func(ctx context.Context, s protocol.Stream) error {
			<-ctx.Done()
			_, err := s.Write(make([]byte, 1))
			return errors.Join(err, ctx.Err())
		},
	} {
		for _, drops := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/%v", name, drops), func(t *testing.T) {
				ended := make(chan error, 1)
				s := newPageServer(t, ServerOptions{}, pages{"/wait": func(ctx context.Context, s protocol.Stream) {
					err := wait(ctx, s)
					s.Head(200) // what comes now is of no use, and does no harm
					s.Flush()
					s.End()
					ended <- err
				}})
				c := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
				c.thrifty = true
				st := c.post("/wait")
				st.sendData([]byte("content"))
				synctest.Wait()
				if drops {
					c.close()
				} else {
					st.cancel()
				}
				if err := <-ended; status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled) {
					t.Errorf("the handler learns of %v", err)
				}
				synctest.Wait()
				if n := s.Stats().Active; n != 0 {
					t.Errorf("%d are active", n)
				}
			})
		}
	}
}

// TestProtocol_HandlerFails has handlers that do not end their response, in every way. Half of an answer must not pass for a
// whole one.
func TestProtocol_HandlerFails(t *testing.T) {
	fails := map[string]func(){
		"returns": func() {},
		"panics":  func() { panic("a bug") },
		"exits":   goruntime.Goexit,
	}
	begins := map[string]func(s protocol.Stream){
		"nothing":      func(protocol.Stream) {},
		"head":         func(s protocol.Stream) { s.Head(200) },
		"flushed head": func(s protocol.Stream) { s.Head(200); s.Flush() },
		"content":      func(s protocol.Stream) { io.WriteString(s, "half") },
	}
	for fail, end := range fails {
		for begin, before := range begins {
			runInBubble(t, fail+"/"+begin, func(t *testing.T) {
				s := newPageServer(t, ServerOptions{}, pages{"/hello": hello, "/fail": func(_ context.Context, s protocol.Stream) {
					before(s)
					end()
				}})
				c := s.dial()
				if r := c.get("/fail", true).result(); !r.reset || r.code != http2.ErrCodeInternal || r.ended {
					t.Errorf("got %+v", r)
				}
				c.get("/hello", true).result().wantPage("200", "hello")
				wantNothingHeld(t, s)
				if logged := s.log.lines("Exception calling application"); (len(logged) == 1) != (fail != "returns") {
					t.Errorf("logged %s", logged)
				}
				if n := s.Stats().Active; n != 0 {
					t.Errorf("%d are active", n)
				}
			})
		}
	}
}

// TestProtocol_GoesOnAfterTheEnd has a handler that ends its response long before it returns. It counts as active.
func TestProtocol_GoesOnAfterTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newPageServer(t, ServerOptions{MaxConcurrentRPCs: 1}, pages{"/hello": hello, "/slow": func(ctx context.Context, s protocol.Stream) {
			s.End()
			if ctx.Err() == nil {
				t.Error("the context is not done")
			}
			time.Sleep(time.Second)
			panic("late")
		}})
		c := s.dial()
		c.post("/slow").result().wantPage("200", "") // its request has not ended, and is declined
		r := c.get("/hello", true).result()
		r.wantPage("503", "") // the limit holds for both kinds
		c.call("/t.S/M", "x").result().want(codes.ResourceExhausted, "Concurrent RPC limit exceeded!")
		time.Sleep(time.Second)
		synctest.Wait()
		c.get("/hello", true).result().wantPage("200", "hello")
		if n := s.Stats().Rejected[codes.ResourceExhausted]; n != 2 {
			t.Errorf("%d were rejected", n)
		}
	})
}

// TestProtocol_RefusedWithContent has content come for a request that was refused: it is read to its end.
func TestProtocol_RefusedWithContent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newPageServer(t, ServerOptions{MaxConcurrentRPCs: 1}, pages{"/copy": copyBack})
		c := s.dial()
		occupying := c.post("/copy")
		st := c.post("/copy")
		c.wait("the refusal", func() bool { return st.ended })
		st.sendPatiently(make([]byte, 300_000))
		st.halfClose()
		c.ping()
		r := st.result()
		if r.wantPage("503", ""); r.reset {
			t.Error("the request was declined")
		}
		occupying.halfClose()
		occupying.result().wantPage("200", "")
	})
}

// TestProtocol_LargeHead has fields count that a protocol may keep.
func TestProtocol_LargeHead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newPageServer(t, ServerOptions{}, pages{"/copy": copyBack})
		st := s.dial().get("/copy", false, "x", strings.Repeat("x", 10_000))
		synctest.Wait()
		if used := accountOf(t, s).Used(budget.Requests); used < 10_000 {
			t.Errorf("%d octets are held", used)
		}
		st.halfClose()
		st.result().wantPage("200", "")
		wantNothingHeld(t, s)
	})
}

// TestProtocol_Stop has a server stop while a protocol answers. It waits, says GOAWAY, and ends what is left.
func TestProtocol_Stop(t *testing.T) {
	for _, grace := range []time.Duration{time.Hour, time.Second, 0} {
		runInBubble(t, grace.String(), func(t *testing.T) {
			var cause error
			s := newPageServer(t, ServerOptions{}, pages{"/slow": func(ctx context.Context, s protocol.Stream) {
				select {
				case <-Stopping(ctx):
				case <-ctx.Done():
				}
				io.WriteString(s, "begun")
				select {
				case <-time.After(time.Minute):
					s.End()
				case <-ctx.Done():
					cause = ctx.Err()
				}
			}})
			c := s.dial()
			st := c.get("/slow", true)
			synctest.Wait()
			began := time.Now()
			<-s.Stop(grace)
			took, want := time.Since(began), min(grace, time.Minute)+time.Second // the client leaves it to the server to close
			if took != want {
				t.Errorf("the server has terminated after %v, want %v", took, want)
			}
			c.waitEnd()
			r := st.snapshot()
			switch {
			case grace > time.Minute:
				r.wantPage("200", "begun")
				if len(c.goAways) != 2 || c.lastID != st.id {
					t.Errorf("%d GOAWAY frames, the last of stream %d", len(c.goAways), c.lastID)
				}
			case r.ended || cause != context.Canceled:
				t.Errorf("ended %v, cause %v", r.ended, cause)
			}
		})
	}
}

// TestProtocol_Introspection looks at a request that a protocol answers, and cancels it.
func TestProtocol_Introspection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) })
		options.Workers = 1
		s, o := observedServer(t, options, handlers{"M": echo()})
		protocol.Install(s.Server, &protocol.Protocol{Route: pages{"/wait": func(ctx context.Context, s protocol.Stream) {
			s.Head(200)
			s.Flush()
			<-ctx.Done()
		}}.route})
		c := s.dial()
		st := c.get("/wait", true)
		c.wait("the head", func() bool { return st.headers != nil })
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x") // the only worker is free
		synctest.Wait()
		id := onlyConnection(t, s).id
		for info := range s.RPCs(id) {
			if info.Method != "/wait" || info.Registered || info.State != RPCRunning || info.Fields().Get("te") != "trailers" {
				t.Errorf("there is %+v", info)
			}
			if !s.CancelRPC(info.ID) {
				t.Error("it cannot be cancelled")
			}
		}
		if r := st.result(); !r.reset {
			t.Errorf("the answer is %+v", r)
		}
		synctest.Wait()
		o.mu.Lock()
		defer o.mu.Unlock()
		if n := len(o.connections[0].rpcs); n != 1 { // the other is none
			t.Errorf("observers were told of %d RPCs", n)
		}
	})
}

// TestProtocol_Peer has a protocol learn of its client as handlers do.
func TestProtocol_Peer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newPageServer(t, ServerOptions{}, pages{"/peer": func(ctx context.Context, s protocol.Stream) {
			io.WriteString(s, Method(ctx)+" "+Peer(ctx).Addr.String())
			s.End()
		}})
		s.dial().get("/peer", true).result().wantPage("200", "/peer pipe")
	})
}

// TestProtocol_Race has handlers and clients end requests at the same moments. newTestServer checks that nothing is left.
func TestProtocol_Race(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, nil)
	protocol.Install(s.Server, &protocol.Protocol{Route: pages{"/copy": copyBack, "/end": func(_ context.Context, s protocol.Stream) {
		go s.End()
		io.Copy(s, s)
	}}.route})
	c := newTestClient(t, nc)
	for i := range 300 {
		st := c.post([]string{"/copy", "/end"}[i%2])
		st.sendPatiently(make([]byte, i*100))
		switch i % 3 {
		case 0:
			st.cancel()
		case 1:
			st.halfClose()
			st.result()
		default:
			st.halfClose()
		}
	}
	c.ping()
}
