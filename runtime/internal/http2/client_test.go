package http2

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// testClient is a client's connection that notes what it is told. What it serves as: the other end is a peer that speaks in
// frames, or the engine in its server's role.
type testClient struct {
	*Client
	t        *testing.T
	settings int // calls of HandleSettings
	away     []GoAwayError
	calls    []*testCall
	stop     error // what Serve returned
	stopped  atomic.Bool
}

func (c *testClient) EndBatch()                    {}
func (c *testClient) Panicked(reason any)          { panic(reason) }
func (c *testClient) HandleSettings()              { c.settings++ }
func (c *testClient) HandleGoAway(err GoAwayError) { c.away = append(c.away, err) }

func newTestClient(t *testing.T, nc net.Conn, config Config) *testClient {
	c := &testClient{t: t}
	c.Client = NewClient(nc, c, config.WithDefaults(), budget.New(-1, nil, nil))
	go c.serve()
	return c
}

// serve is the goroutine of the reader.
func (c *testClient) serve() {
	c.stop = c.Serve()
	c.stopped.Store(true)
}

// testCall is a stream of testClient's: the log has what it is told.
type testCall struct {
	Stream
	mu       sync.Mutex // of log: time that passes in a bubble orders nothing
	log      []string
	withhold bool // gives no window back
	got      int  // octets of content
	removed  atomic.Int32
	offence  string
}

func (st *testCall) note(format string, args ...any) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if n := len(st.log); n > 0 && strings.HasPrefix(st.log[n-1], "close") {
		st.offence = "something comes behind HandleClose"
	}
	st.log = append(st.log, fmt.Sprintf(format, args...))
}

func endOf(endStream bool) string {
	if endStream {
		return " END"
	}
	return ""
}

func lines(s *fields.Section) (all string) {
	for _, f := range s.Fields {
		all += " " + f.Name + "=" + f.Value
	}
	return all
}

func (st *testCall) HandleHead(head *fields.Section, endStream bool) {
	st.note("head %s%s%s", head.Status, lines(head), endOf(endStream))
}

func (st *testCall) HandleData(data []byte, endStream bool) {
	n := len(data)
	st.got += n
	if n > 20 {
		data = fmt.Appendf(nil, "%d octets", len(data))
	}
	st.note("data %s%s", data, endOf(endStream))
	if !st.withhold && st.Consumed(n) {
		st.conn.FlushAfterBatch()
	}
}

func (st *testCall) HandleTrailers(trailers *fields.Section) { st.note("trailers%s", lines(trailers)) }
func (st *testCall) HandleRemoved()                          { st.removed.Add(1) }

func (st *testCall) HandleClose(err error) {
	var reset ResetError
	var bad StreamError
	var away GoAwayError
	switch {
	case errors.As(err, &reset):
		st.note("close: reset %v", reset.Code)
	case errors.As(err, &bad):
		st.note("close: error %v", bad.Code)
	case errors.As(err, &away):
		st.note("close: GOAWAY %d", away.LastStream)
	default:
		st.note("close: %v", err)
	}
}

// requestBlock is the head of a request, with more field lines: name, value, name, value…
func requestBlock(more ...string) (block []byte) {
	for all := request(more...); len(all) > 0; all = all[2:] {
		block = fields.AppendField(block, all[0], all[1])
	}
	return block
}

// open opens a stream.
func (c *testClient) open() *testCall {
	c.t.Helper()
	st := new(testCall)
	st.Handler = st
	if err := c.Open(&st.Stream, requestBlock()); err != nil {
		c.t.Fatal(err)
	}
	c.calls = append(c.calls, st)
	c.Flush()
	return st
}

// call sends a whole request.
func (c *testClient) call(data string) *testCall {
	c.t.Helper()
	st := new(testCall)
	st.Handler = st
	if _, err := c.OpenMessage(&st.Stream, requestBlock(), []byte(data), 0); err != nil {
		c.t.Fatal(err)
	}
	c.calls = append(c.calls, st)
	c.Flush()
	return st
}

// want compares what a stream was told.
func (c *testClient) want(st *testCall, log ...string) {
	c.t.Helper()
	synctest.Wait()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !slices.Equal(st.log, log) {
		c.t.Errorf("stream %d was told\n%q, want\n%q", st.id, st.log, log)
	}
}

// check checks what has to be true of a connection that is over.
func (c *testClient) check() {
	c.t.Helper()
	for _, st := range c.calls {
		if st.removed.Load() != 1 || st.offence != "" {
			c.t.Errorf("stream %d was removed %d times, %s: %q", st.id, st.removed.Load(), st.offence, st.log)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams.open) > 0 || c.OpenStreams() != 0 {
		c.t.Errorf("%d streams are left, and %d counted", len(c.streams.open), c.OpenStreams())
	}
}

// pair is two engines that talk to each other.
type pair struct {
	*testClient
	server *Conn
	app    *testApp
	nc     *h2test.Pipe // the client's end
	ended  atomic.Bool  // the server's Serve has returned
}

// withPair runs a test in a bubble. Both connections are over in the end, and what they held is given back.
func withPair(t *testing.T, ofClient, ofServer Config, test func(p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := h2test.NewPipe()
		account := budget.New(-1, nil, nil)
		p := &pair{app: newTestApp(), nc: b}
		p.server = NewConn(a, p.app, ofServer.WithDefaults(), account)
		go func() {
			p.server.Serve()
			p.ended.Store(true)
		}()
		p.testClient = newTestClient(t, b, ofClient)
		defer b.Close()
		synctest.Wait()
		test(p)
		b.Close()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !p.ended.Load() || !p.stopped.Load() {
			t.Fatalf("Serve has not returned: the server's %v, the client's %v", !p.ended.Load(), !p.stopped.Load())
		}
		p.app.check(t)
		p.check()
		if held := account.Used(budget.Responses); held != 0 {
			t.Errorf("%d octets are held", held)
		}
	})
}

// TestClient_Exchanges has the two roles exchange a request and a response, of every shape.
func TestClient_Exchanges(t *testing.T) {
	answer := func(parts ...outgoing) func(st *testStream) {
		return func(st *testStream) {
			for _, o := range parts {
				st.write(o)
			}
		}
	}
	interim := fields.AppendField(fields.AppendStatus(nil, 103), "link", "x")
	ok := fields.AppendField(fields.AppendStatus(nil, 200), "a", "1")
	large := fields.AppendField(fields.AppendStatus(nil, 200), "a", strings.Repeat("v", 40_000))
	for _, row := range []struct {
		name   string
		answer func(st *testStream)
		log    []string
	}{
		{"head, data and trailers", answer(outgoing{Headers: ok, Data: []byte("abc"), Trailers: okTrailers}), []string{"head 200 a=1", "data abc", "trailers end=yes"}},
		{"head alone", answer(outgoing{Headers: ok, Finish: true}), []string{"head 200 a=1 END"}},
		{"head and trailers", answer(outgoing{Headers: ok, Trailers: okTrailers}), []string{"head 200 a=1", "trailers end=yes"}},
		{"no trailers", answer(outgoing{Headers: ok, Data: []byte("abc"), Finish: true}), []string{"head 200 a=1", "data abc", "data  END"}},
		{"interim responses", answer(outgoing{Headers: interim}, outgoing{Headers: interim}, outgoing{Headers: ok, Finish: true}), []string{"head 103 link=x", "head 103 link=x", "head 200 a=1 END"}},
		{"a head of three frames", answer(outgoing{Headers: large, Finish: true}), []string{"head 200 a=" + strings.Repeat("v", 40_000) + " END"}},
		{"in pieces", answer(outgoing{Headers: ok}, outgoing{Data: []byte("a")}, outgoing{Data: []byte("b")}, outgoing{Trailers: okTrailers}), []string{"head 200 a=1", "data a", "data b", "trailers end=yes"}},
		{"reset", func(st *testStream) { st.Reset(ErrCodeInternal); st.conn.FlushAfterBatch() }, []string{"close: reset INTERNAL_ERROR"}},
		{"reset behind the head", func(st *testStream) {
			st.write(outgoing{Headers: ok})
			st.Reset(ErrCodeCancel)
		}, []string{"head 200 a=1", "close: reset CANCEL"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPair(t, Config{MaxHeaderListBytes: 100_000}, Config{}, func(p *pair) {
				p.app.onRequest = func(st *testStream, endStream bool) bool { return true }
				p.app.onData = func(st *testStream, _ []byte, endStream bool) bool {
					if endStream {
						row.answer(st)
					}
					return true
				}
				for range 3 { // whole, and in pieces
					p.want(p.call("request"), row.log...)
					st := p.open()
					st.Data(nil, []byte("re"), 0, true)
					synctest.Wait()
					st.Message(nil, []byte("quest"), nil, 0)
					p.Flush()
					p.want(st, row.log...)
					trailed := p.open()
					trailed.Message(nil, []byte("request"), fields.AppendField(nil, "t", "1"), 0)
					p.Flush()
					p.want(trailed, row.log...)
				}
				if n := p.OpenStreams(); n != 0 {
					t.Errorf("%d streams are open", n)
				}
				for _, st := range p.app.all {
					if string(st.data) != "request" {
						t.Errorf("the server has got %q", st.data)
					}
				}
			})
		})
	}
}

// TestClient_ResponseBeforeRequest has a server answer before the request has ended: it declines the rest.
func TestClient_ResponseBeforeRequest(t *testing.T) {
	withPair(t, Config{}, Config{}, func(p *pair) {
		p.app.onRequest = func(st *testStream, _ bool) bool { st.replyWith([]byte("no")); return true }
		st := p.open()
		p.want(st, "head 200", "data no", "trailers end=yes", "close: reset NO_ERROR")
		if err := st.End(nil, false); err == nil {
			t.Error("the request can be written on")
		}
		p.app.accept = func(*fields.Section) bool { return false }
		p.want(p.call("refused"), "close: reset REFUSED_STREAM")
	})
}

// TestClient_Resets has the client give up its streams, at each stage.
func TestClient_Resets(t *testing.T) {
	for name, row := range map[string]struct {
		begin func(p *pair) *testCall
		log   []string
	}{
		"request open":   {func(p *pair) *testCall { return p.open() }, nil},
		"request ended":  {func(p *pair) *testCall { return p.call("") }, nil},
		"response begun": {func(p *pair) *testCall { return p.call("head") }, []string{"head 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			withPair(t, Config{}, Config{}, func(p *pair) {
				p.app.onRequest = func(st *testStream, _ bool) bool { return true }
				p.app.onData = func(st *testStream, _ []byte, endStream bool) bool {
					if endStream {
						st.write(outgoing{Headers: okHeaders})
					}
					return true
				}
				st := row.begin(p)
				synctest.Wait()
				st.Reset(ErrCodeCancel)
				p.Flush()
				p.want(st, row.log...)
				if err := p.app.streams[1].closedBy(t); err != (ResetError{ErrCodeCancel}) {
					t.Errorf("the server was told %v", err)
				}
				if st.removed.Load() != 1 {
					t.Error("the stream is still there")
				}
				p.app.streams[1].write(outgoing{Headers: okHeaders}) // is no offence, and does not arrive
				p.want(st, row.log...)
			})
		})
	}
}

// TestClient_StreamLimit opens as many streams as the server permits, and one more.
func TestClient_StreamLimit(t *testing.T) {
	withPair(t, Config{}, Config{MaxConcurrentStreams: 2}, func(p *pair) {
		if p.settings != 1 {
			t.Errorf("HandleSettings was called %d times", p.settings)
		}
		first := p.open()
		p.open()
		extra := new(testCall)
		extra.Handler = extra
		if err := p.Client.Open(&extra.Stream, requestBlock()); err != ErrStreamLimit {
			t.Errorf("a third stream: %v", err)
		}
		first.End(nil, false)
		p.Flush()
		p.want(first, "head 200", "trailers end=yes")
		p.want(p.call("x"), "head 200", "data x", "trailers end=yes")
	})
}

// TestClient_NotReady opens a stream before the server has said what it permits.
func TestClient_NotReady(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		st := new(testCall)
		st.Handler = st
		if err := c.Open(&st.Stream, requestBlock()); err != ErrNotReady {
			t.Errorf("got %v", err)
		}
		p.GreetClient(3, 0)
		if err := c.Open(&st.Stream, requestBlock()); err != ErrStreamLimit {
			t.Errorf("with SETTINGS_MAX_CONCURRENT_STREAMS 0: %v", err)
		}
		p.WriteSettings(3, 1)
		synctest.Wait()
		if c.settings != 2 {
			t.Errorf("HandleSettings was called %d times", c.settings)
		}
		p.Want(h2test.Settings)
		c.call("")
		p.WantHeaders(1, true)
	})
}

// TestClient_GoesAway shuts a connection down from either end, with a stream open and without.
func TestClient_GoesAway(t *testing.T) {
	const busy, idle = true, false
	for name, row := range map[string]struct {
		end  func(p *pair)
		busy bool
	}{
		"server, idle": {func(p *pair) { p.server.Shutdown() }, idle},
		"server, busy": {func(p *pair) { p.server.Shutdown() }, busy},
		"client, idle": {func(p *pair) { p.Client.Shutdown() }, idle},
		"client, busy": {func(p *pair) { p.Client.Shutdown() }, busy},
	} {
		t.Run(name, func(t *testing.T) {
			withPair(t, Config{}, Config{}, func(p *pair) {
				p.want(p.call("x"), "head 200", "data x", "trailers end=yes")
				var st *testCall
				if row.busy {
					st = p.open()
				}
				row.end(p)
				synctest.Wait()
				var away GoAwayError
				extra := new(testCall)
				extra.Handler = extra
				if err := p.Client.Open(&extra.Stream, requestBlock()); err != ErrConnClosed && !errors.As(err, &away) {
					t.Errorf("a stream of a connection that is shut down: %v", err)
				}
				if row.busy {
					if p.stopped.Load() {
						t.Fatal("the connection has ended although a stream is open")
					}
					st.Message(nil, []byte("still"), nil, 0)
					p.Flush()
					p.want(st, "head 200", "data still", "trailers end=yes")
				}
				time.Sleep(2 * shutdownPingTime)
				synctest.Wait()
				if !p.stopped.Load() || !p.ended.Load() || p.stop != nil {
					t.Errorf("the client has ended: %v, with %v; the server: %v", p.stopped.Load(), p.stop, p.ended.Load())
				}
			})
		})
	}
}

// TestClient_ServerBreaks has the connection break with streams open.
func TestClient_ServerBreaks(t *testing.T) {
	withPair(t, Config{}, Config{}, func(p *pair) {
		st := p.open()
		synctest.Wait()
		p.nc.Close()
		p.want(st, "close: "+ErrConnClosed.Error())
	})
	withPair(t, Config{}, Config{}, func(p *pair) {
		st := p.open()
		synctest.Wait()
		p.server.End(ErrCodeEnhanceYourCalm, "too much")
		time.Sleep(2 * lingerTime)
		p.want(st, "close: "+ErrConnClosed.Error())
		if want := (GoAwayError{1, ErrCodeEnhanceYourCalm, "too much"}); len(p.away) != 1 || p.away[0] != want || p.stop != want {
			t.Errorf("HandleGoAway was called with %v, and Serve returned %v", p.away, p.stop)
		}
	})
}

// TestClient_FlowControl sends content in either direction, whose receiver gives back what it is told to, to the octet.
func TestClient_FlowControl(t *testing.T) {
	const window, size = 1000, 5000
	steps := []int{0, 500, 1, 499, 999, 1000, 1000, 500, 500, 1000}
	t.Run("of responses", func(t *testing.T) {
		withPair(t, Config{StreamWindow: window}, Config{}, func(p *pair) {
			st := p.open()
			st.withhold = true
			synctest.Wait()
			p.app.streams[1].Message(okHeaders, make([]byte, size), okTrailers, 0)
			p.server.Flush()
			consumed := 0
			for _, n := range steps {
				consumed += n
				if st.Consumed(n) {
					p.Flush()
				}
				synctest.Wait()
				wantWindow(t, "the client", st.got, consumed, window, size)
			}
		})
	})
	t.Run("of requests", func(t *testing.T) {
		withPair(t, Config{}, Config{StreamWindow: window}, func(p *pair) {
			p.app.onData = func(st *testStream, _ []byte, _ bool) bool { return true }
			st := p.open()
			st.Message(nil, make([]byte, size), nil, 0)
			p.Flush()
			synctest.Wait()
			ours, consumed := p.app.streams[1], 0
			for _, n := range steps {
				consumed += n
				if ours.Consumed(n) {
					p.server.Flush()
				}
				synctest.Wait()
				wantWindow(t, "the server", len(ours.data), consumed, window, size)
			}
			if !ours.ended {
				t.Error("the request has not ended")
			}
		})
	})
}

// wantWindow checks how much has got through: what was given back, and a window; but less than half a window is given back
// with what follows.
func wantWindow(t *testing.T, who string, got, consumed, window, size int) {
	t.Helper()
	if most := min(consumed+window, size); got > most || got < most-(window/2-1) && got < size {
		t.Errorf("%s has got %d octets, has given %d back, and the window is %d", who, got, consumed, window)
	}
}

// TestClient_LastIdentifier uses the last stream identifier.
func TestClient_LastIdentifier(t *testing.T) {
	withPair(t, Config{}, Config{}, func(p *pair) {
		p.mu.Lock()
		p.next = maxWindow
		p.mu.Unlock()
		st := new(testCall)
		st.Handler = st
		if err := p.Client.Open(&st.Stream, requestBlock()); err != nil {
			t.Fatal(err)
		}
		p.calls = append(p.calls, st)
		extra := new(testCall)
		extra.Handler = extra
		if err := p.Client.Open(&extra.Stream, requestBlock()); err != ErrConnClosed {
			t.Errorf("one more: %v", err)
		}
		st.Message(nil, []byte("last"), nil, 0)
		p.Flush()
		p.want(st, "head 200", "data last", "trailers end=yes")
		time.Sleep(2 * shutdownPingTime)
		synctest.Wait()
		if !p.stopped.Load() || p.stop != nil {
			t.Errorf("the connection has ended: %v, with %v", p.stopped.Load(), p.stop)
		}
	})
}

// withServer runs a test in a bubble, of a client whose server speaks in frames.
func withServer(t *testing.T, test func(c *testClient, p *h2test.Peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := h2test.NewPipe()
		defer a.Close()
		c := newTestClient(t, b, Config{})
		test(c, h2test.NewPeer(t, a))
		a.Close()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !c.stopped.Load() {
			t.Fatal("Serve has not returned")
		}
		c.check()
	})
}

// TestClient_ServersMistakes has a server say what it must not, and what it may, while stream 1 has a whole request, stream 3
// the head of one, and stream 5 was reset.
func TestClient_ServersMistakes(t *testing.T) {
	type verdict struct {
		conn ErrCode // of the GOAWAY; 0: none
		one  []string
	}
	block := func(fields ...string) func(p *h2test.Peer) []byte {
		return func(p *h2test.Peer) []byte { return p.Block(fields...) }
	}
	headers := func(id uint32, flags byte, fields ...string) func(p *h2test.Peer) {
		return func(p *h2test.Peer) { p.WriteFrame(h2test.Headers, flags|h2test.EndHeaders, id, block(fields...)(p)) }
	}
	frame := func(kind, flags byte, id uint32, payload ...any) func(p *h2test.Peer) {
		return func(p *h2test.Peer) { p.WriteFrame(kind, flags, id, payload...) }
	}
	all := func(steps ...func(p *h2test.Peer)) func(p *h2test.Peer) {
		return func(p *h2test.Peer) {
			for _, step := range steps {
				step(p)
			}
		}
	}
	ok := headers(1, 0, ":status", "200")
	bad := func(code ErrCode, before ...string) verdict {
		return verdict{one: append(before, fmt.Sprintf("close: error %v", code))}
	}
	fatal := func(code ErrCode, before ...string) verdict {
		return verdict{conn: code, one: append(before, "close: "+ErrConnClosed.Error())}
	}
	for _, row := range []struct {
		name string
		send func(p *h2test.Peer)
		want verdict
	}{
		{"no status", headers(1, 0, "a", "1"), bad(ErrCodeProtocol)},
		{"two of them", headers(1, 0, ":status", "200", ":status", "200"), bad(ErrCodeProtocol)},
		{"a request's head", headers(1, 0, ":method", "GET"), bad(ErrCodeProtocol)},
		{"an upper-case name", headers(1, 0, ":status", "200", "Upper", "x"), bad(ErrCodeProtocol)},
		{"a connection-specific field", headers(1, 0, ":status", "200", "connection", "close"), bad(ErrCodeProtocol)},
		{"an interim response that ends", headers(1, h2test.EndStream, ":status", "103"), bad(ErrCodeProtocol)},
		{"101", headers(1, 0, ":status", "101"), bad(ErrCodeProtocol)},
		{"content-length without content", headers(1, h2test.EndStream, ":status", "200", "content-length", "3"), bad(ErrCodeProtocol)},
		{"not modified", headers(1, h2test.EndStream, ":status", "304", "content-length", "3"), verdict{one: []string{"head 304 content-length=3 END"}}},
		{"content-length and other content", all(headers(1, 0, ":status", "200", "content-length", "3"), frame(h2test.Data, 0, 1, "abcd")), bad(ErrCodeProtocol, "head 200 content-length=3")},
		{"DATA before HEADERS", frame(h2test.Data, 0, 1, "abc"), bad(ErrCodeProtocol)},
		{"DATA behind an interim response", all(headers(1, 0, ":status", "103"), frame(h2test.Data, 0, 1, "abc")), bad(ErrCodeProtocol, "head 103")},
		{"a second head", all(ok, ok), bad(ErrCodeProtocol, "head 200")},
		{"a pseudo-header field in trailers", all(ok, headers(1, h2test.EndStream, ":status", "200")), bad(ErrCodeProtocol, "head 200")},
		{"HEADERS behind the end", all(headers(3, h2test.EndStream, ":status", "200"), headers(3, h2test.EndStream, "a", "1")), verdict{}},
		{"HEADERS on a closed stream", all(headers(1, h2test.EndStream, ":status", "200"), headers(1, h2test.EndStream, "a", "1")), verdict{conn: ErrCodeStreamClosed, one: []string{"head 200 END"}}},
		{"HEADERS on a stream that we have reset", headers(5, 0, ":status", "200"), verdict{}},
		{"DATA on a stream that we have reset", frame(h2test.Data, 0, 5, "abc"), verdict{}},
		{"HEADERS on an idle stream", headers(7, 0, ":status", "200"), fatal(ErrCodeProtocol)},
		{"HEADERS on a stream of the server's", headers(2, 0, ":status", "200"), fatal(ErrCodeProtocol)},
		{"DATA on an idle stream", frame(h2test.Data, 0, 7, "abc"), fatal(ErrCodeProtocol)},
		{"RST_STREAM on an idle stream", frame(h2test.RSTStream, 0, 7, 8), fatal(ErrCodeProtocol)},
		{"RST_STREAM on stream 0", frame(h2test.RSTStream, 0, 0, 8), fatal(ErrCodeProtocol)},
		{"PUSH_PROMISE", func(p *h2test.Peer) { p.WriteFrame(0x5, h2test.EndHeaders, 1, 2, p.Block(request()...)) }, fatal(ErrCodeProtocol)},
		{"GOAWAY that names an even stream", frame(h2test.GoAway, 0, 0, 2, 0), fatal(ErrCodeProtocol)},
		{"GOAWAY on a stream", frame(h2test.GoAway, 0, 1, 0, 0), fatal(ErrCodeProtocol)},
		{"WINDOW_UPDATE of 0", frame(h2test.WindowUpdate, 0, 1, 0), bad(ErrCodeProtocol)},
		{"a stream's window overflows", frame(h2test.WindowUpdate, 0, 1, maxWindow), bad(ErrCodeFlowControl)},
		{"the connection's window overflows", frame(h2test.WindowUpdate, 0, 0, maxWindow), fatal(ErrCodeFlowControl)},
		{"PING of 7 octets", frame(h2test.Ping, 0, 0, "1234567"), fatal(ErrCodeFrameSize)},
		{"a window of 2^31", func(p *h2test.Peer) { p.WriteSettings(4, 1<<31) }, fatal(ErrCodeFlowControl)},
		{"SETTINGS_ENABLE_PUSH 5", func(p *h2test.Peer) { p.WriteSettings(2, 5) }, fatal(ErrCodeProtocol)},
		{"SETTINGS_ENABLE_PUSH 1", func(p *h2test.Peer) { p.WriteSettings(2, 1) }, verdict{}},
		{"SETTINGS_MAX_FRAME_SIZE 100", func(p *h2test.Peer) { p.WriteSettings(5, 100) }, fatal(ErrCodeProtocol)},
		{"HPACK that does not decode", frame(h2test.Headers, h2test.EndHeaders, 1, "\xff\xff\xff\xff"), fatal(ErrCodeCompression)},
		{"a frame that is too large", frame(h2test.Data, 0, 1, make([]byte, 20_000)), fatal(ErrCodeFrameSize)},
		{"PRIORITY that depends on itself", frame(0x2, 0, 1, 1, "\x00"), verdict{}},
		{"a type that is not known", frame(0xfa, 0xff, 99, "abc"), verdict{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withServer(t, func(c *testClient, p *h2test.Peer) {
				p.GreetClient()
				st := c.call("")
				c.open()
				c.open().Reset(ErrCodeCancel)
				c.Flush()
				synctest.Wait()
				row.send(p)
				c.want(st, row.want.one...)
				var got ErrCode
				for f, ok := p.Poll(); ok; f, ok = p.Poll() {
					if f.Type == h2test.GoAway {
						got = codeOf(f)
					}
				}
				if got != row.want.conn {
					t.Errorf("the connection ends with %v, want %v", got, row.want.conn)
				}
				if row.want.conn != 0 {
					return
				}
				c.call("") // the connection goes on
				p.WantHeaders(7, true)
				p.WriteHeaders(7, true, ":status", "200")
				c.want(c.calls[3], "head 200 END")
			})
		})
	}
}

// TestClient_Refused has a server go away that has not processed all streams.
func TestClient_Refused(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		first, second := c.call(""), c.call("")
		p.WantHeaders(1, true)
		p.WantHeaders(3, true)
		p.WriteFrame(h2test.GoAway, 0, 0, maxWindow, 0)
		c.want(second)
		p.WriteFrame(h2test.GoAway, 0, 0, 1, 0)
		c.want(second, "close: GOAWAY 1")
		c.want(first)
		p.WriteHeaders(3, true, ":status", "200") // is ignored
		p.WriteHeaders(1, true, ":status", "200")
		c.want(first, "head 200 END")
		time.Sleep(2 * lingerTime)
		synctest.Wait()
		if !c.stopped.Load() || c.stop != nil || len(c.away) != 2 {
			t.Errorf("the connection has ended: %v, with %v, after GOAWAYs %v", c.stopped.Load(), c.stop, c.away)
		}
	})
}

// TestClient_ErrorThatStays has a server name an error by GOAWAY, and leave the connection open.
func TestClient_ErrorThatStays(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		st := c.call("")
		synctest.Wait()
		p.WriteFrame(h2test.GoAway, 0, 0, 1, uint32(ErrCodeProtocol))
		c.want(st)
		time.Sleep(endTime + time.Second)
		c.want(st, "close: "+ErrConnClosed.Error())
		if want := (GoAwayError{1, ErrCodeProtocol, ""}); c.stop != want {
			t.Errorf("Serve has returned %v", c.stop)
		}
	})
}

// TestClient_ErrorsThatStay has a server name errors by GOAWAY again and again: the first one counts.
func TestClient_ErrorsThatStay(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		st := c.call("")
		for range 2 {
			synctest.Wait()
			p.WriteFrame(h2test.GoAway, 0, 0, 1, uint32(ErrCodeProtocol))
			time.Sleep(endTime/2 + time.Millisecond)
		}
		c.want(st, "close: "+ErrConnClosed.Error())
	})
}

// TestClient_ErrorWithoutStreams has a server name an error by GOAWAY while no stream is open.
func TestClient_ErrorWithoutStreams(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		p.WriteFrame(h2test.GoAway, 0, 0, 0, uint32(ErrCodeEnhanceYourCalm))
		time.Sleep(2 * endTime)
		synctest.Wait()
		if want := (GoAwayError{0, ErrCodeEnhanceYourCalm, ""}); c.stop != want {
			t.Errorf("Serve has returned %v, want %v", c.stop, want)
		}
	})
}

// TestClient_GoAways has a server send GOAWAY without end. Each costs a walk over the streams.
func TestClient_GoAways(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		c.call("")
		p.WantHeaders(1, true)
		for range 2000 {
			if _, err := p.Conn.Write(h2test.Raw(h2test.GoAway, 0, 0, maxWindow, 0)); err != nil {
				break
			}
		}
		synctest.Wait()
		p.WantGoAway(uint32(ErrCodeEnhanceYourCalm))
		if n := len(c.away); n < 100 || n > 1100 {
			t.Errorf("the client was told of %d", n)
		}
	})
}

// TestClient_PingsAndSettings has a server that sends many: of a server, PINGs are no offence, within bounds.
func TestClient_PingsAndSettings(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		for range 500 {
			p.WriteFrame(h2test.Ping, 0, 0, "12345678")
			if f := p.Want(h2test.Ping); !f.Has(h2test.Ack) {
				t.Fatalf("got %v", f)
			}
		}
		p.WriteSettings(4, 0)
		p.Want(h2test.Settings)
		st := c.call("abc")
		p.WantHeaders(1, false)
		p.WantNothing()
		p.WriteSettings(4, 2)
		p.Want(h2test.Settings)
		p.WantData(1, false, "ab")
		p.WriteWindowUpdate(1, 1)
		p.WantData(1, false, "c")
		p.WantData(1, true, "")
		p.WriteHeaders(1, true, ":status", "200")
		c.want(st, "head 200 END")
	})
}

// TestClient_InterimResponses has a server send interim responses without end.
func TestClient_InterimResponses(t *testing.T) {
	withServer(t, func(c *testClient, p *h2test.Peer) {
		p.GreetClient()
		st := c.call("")
		p.WantHeaders(1, true)
		for range 2000 {
			if _, err := p.Conn.Write(h2test.Raw(h2test.Headers, h2test.EndHeaders, 1, p.Block(":status", "103"))); err != nil {
				break
			}
		}
		synctest.Wait()
		p.WantGoAway(uint32(ErrCodeEnhanceYourCalm))
		if n := len(st.log); n < 100 || n > 1100 {
			t.Errorf("the stream was told of %d", n)
		}
	})
}

// TestClient_NoServer has other protocols at the other end.
func TestClient_NoServer(t *testing.T) {
	for _, row := range []struct {
		says, want string
		code       ErrCode
	}{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "the server speaks HTTP/1", ErrCodeHTTP11Required},
		{"220 mail.example ESMTP\r\n", "", ErrCodeFrameSize},
		{"\x00\x00\x00\x01\x05\x00\x00\x00\x01", "the first frame is not SETTINGS", ErrCodeProtocol},
	} {
		withServer(t, func(c *testClient, p *h2test.Peer) {
			for _, octet := range []byte(row.says) {
				if _, err := p.Conn.Write([]byte{octet}); err != nil {
					break
				}
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			var err ConnError
			if !errors.As(c.stop, &err) || err.Code != row.code || !strings.Contains(err.Reason, row.want) {
				t.Errorf("%q: Serve has returned %v", row.says, c.stop)
			}
		})
	}
}

// TestClient_Fields has field lines of all kinds go from the client to the server, and back. Both ends, and a decoder that is
// not theirs, read the same.
func TestClient_Fields(t *testing.T) {
	withPair(t, Config{MaxHeaderListBytes: 1 << 20, MaxHeaderFields: 10_000}, Config{MaxHeaderListBytes: 1 << 20, MaxHeaderFields: 10_000}, func(p *pair) {
		var got *fields.Section
		p.app.onRequest = func(st *testStream, _ bool) bool {
			got = st.request
			block := fields.AppendStatus(nil, 200)
			for _, f := range got.Fields {
				block = fields.AppendField(block, f.Name, f.Value)
			}
			st.write(outgoing{Headers: block, Finish: true})
			return true
		}
		for seed := range 200 {
			var more []string
			octets := pattern(seed, 3+seed%7*2)
			for i := 0; i+1 < len(octets); i += 2 {
				value := bytes.Map(printable, pattern(seed+i, int(octets[i+1])*(1+seed%100)))
				more = append(more, fmt.Sprintf("x-%d", octets[i]), string(value))
			}
			st := new(testCall)
			st.Handler = st
			if _, err := p.OpenMessage(&st.Stream, requestBlock(more...), nil, 0); err != nil {
				t.Fatal(err)
			}
			p.calls = append(p.calls, st)
			p.Flush()
			var want []fields.Field
			for i := 0; i < len(more); i += 2 {
				want = append(want, fields.Field{Name: more[i], Value: more[i+1]})
			}
			synctest.Wait()
			if !slices.Equal(got.Fields, want) || got.Malformed != "" || got.Path != "/a/b" {
				t.Fatalf("request %d: the server has read %q, want %q", seed, got.Fields, want)
			}
			p.want(st, "head 200"+lines(&fields.Section{Fields: want})+" END")
		}
	})
}

// printable makes an octet one that a field value may have.
func printable(r rune) rune { return ' ' + 1 + r%90 }

// exitingCall is a call whose handler ends the reader with the response.
type exitingCall struct {
	testCall
	again  func() // has another goroutine read
	closed *atomic.Int32
}

func (st *exitingCall) exit() {
	go st.again()
	runtime.Goexit()
}

func (st *exitingCall) HandleClose(error) {
	if st.closed.Add(1) == 1 {
		st.exit()
	}
	runtime.Goexit()
}

func (st *exitingCall) HandleTrailers(*fields.Section) { st.exit() }

func (st *exitingCall) HandleHead(_ *fields.Section, endStream bool) {
	if endStream {
		st.exit()
	}
}

func (st *exitingCall) HandleData(_ []byte, endStream bool) {
	if endStream {
		st.exit()
	}
}

// TestClient_ReaderEndsWithResponse has the handler of a response end the reader. The stream is over all the same, and with it
// the connection, which waits for that.
func TestClient_ReaderEndsWithResponse(t *testing.T) {
	for name, respond := range map[string]func(p *h2test.Peer){
		"head": func(p *h2test.Peer) { p.WriteHeaders(1, true, ":status", "200") },
		"data": func(p *h2test.Peer) {
			p.WriteHeaders(1, false, ":status", "200")
			p.WriteData(1, true, "x")
		},
		"trailers": func(p *h2test.Peer) {
			p.WriteHeaders(1, false, ":status", "200")
			p.WriteHeaders(1, true, "a", "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, func(c *testClient, p *h2test.Peer) {
				p.GreetClient()
				st := new(exitingCall)
				st.Handler, st.again = st, c.serve
				if _, err := c.OpenMessage(&st.Stream, requestBlock(), nil, 0); err != nil {
					t.Fatal(err)
				}
				c.Shutdown()
				respond(p)
				synctest.Wait()
				if st.removed.Load() != 1 {
					t.Errorf("the stream was removed %d times", st.removed.Load())
				}
				time.Sleep(2 * lingerTime)
				synctest.Wait()
				if !c.stopped.Load() || c.stop != nil {
					t.Errorf("Serve has returned: %v, %v", c.stopped.Load(), c.stop)
				}
			})
		})
	}
}

// TestClient_ReaderEndsWithClose has the handlers of streams that are closed together end the reader. Each is told all the same.
func TestClient_ReaderEndsWithClose(t *testing.T) {
	for name, end := range map[string]func(p *h2test.Peer){
		"GOAWAY":             func(p *h2test.Peer) { p.WriteFrame(h2test.GoAway, 0, 0, 0, 0) },
		"an error":           func(p *h2test.Peer) { p.WriteFrame(h2test.Ping, 0, 1, "12345678") },
		"the server hung up": func(p *h2test.Peer) { p.Conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			withServer(t, func(c *testClient, p *h2test.Peer) {
				p.GreetClient()
				var closed atomic.Int32
				for range 3 {
					st := new(exitingCall)
					st.Handler, st.again = st, c.serve
					st.closed = &closed
					if err := c.Open(&st.Stream, requestBlock()); err != nil {
						t.Fatal(err)
					}
				}
				end(p)
				time.Sleep(2 * endTime)
				synctest.Wait()
				if n := closed.Load(); n != 3 {
					t.Errorf("%d streams of 3 were told", n)
				}
				if name == "GOAWAY" && len(c.away) != 1 {
					t.Errorf("HandleGoAway was called %d times", len(c.away))
				}
				if !c.stopped.Load() {
					t.Error("Serve has not returned")
				}
			})
		})
	}
}
