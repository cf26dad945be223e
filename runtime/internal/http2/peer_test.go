package http2

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// peer is a client of a connection. It lives in a bubble of testing/synctest: whenever it looks for an answer, the
// connection has done all it can do, and timeouts take no time.
type peer struct {
	*h2test.Peer
	t    testing.TB
	conn *Conn
	app  *testApp
	nc   *h2test.Pipe // the peer's end

	stop    error // what Serve returned
	stopped atomic.Bool
}

// withPeer runs a test in a bubble, with a peer that has not said anything yet.
func withPeer(t *testing.T, config Config, test func(p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, config)
		defer p.nc.Close() // or else a test that fails leaves the bubble deadlocked
		test(p)
		p.finish()
	})
}

func newPeer(t testing.TB, config Config) *peer {
	return newPeerWith(t, config, budget.New(-1, nil, nil))
}

func newPeerWith(t testing.TB, config Config, account *budget.Budget) *peer {
	server, client := h2test.NewPipe()
	p := &peer{Peer: h2test.NewPeer(t, client), t: t, nc: client, app: newTestApp()}
	p.conn = NewConn(server, p.app, config.WithDefaults(), account)
	go func() {
		p.stop = p.conn.Serve()
		p.stopped.Store(true)
	}()
	return p
}

// finish hangs up, and checks what has to be true of every connection that is over.
func (p *peer) finish() {
	p.t.Helper()
	p.nc.Close()
	synctest.Wait()
	if !p.stopped.Load() {
		time.Sleep(time.Minute)
		synctest.Wait()
	}
	if !p.stopped.Load() {
		p.t.Fatal("Serve has not returned a minute after the peer hung up")
	}
	p.app.check(p.t)
	c := p.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams.open) != 0 {
		p.t.Errorf("%d streams are left", len(c.streams.open))
	}
	if c.life.timer != nil && c.life.timer.Stop() {
		p.t.Error("a timer is left")
	}
}

// rawFrame has a short name, since the tables of tests are full of it.
var rawFrame = h2test.Raw

func codeOf(f h2test.Frame) ErrCode { return ErrCode(f.Code()) }

func (p *peer) wantRSTStream(id uint32, code ErrCode) {
	p.t.Helper()
	p.WantRSTStream(id, uint32(code))
}

func (p *peer) wantGoAway(code ErrCode) (last uint32, debug string) {
	p.t.Helper()
	return p.WantGoAway(uint32(code))
}

// request is the field block of a plain request, with more field lines of the form name, value, name, value…
func request(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":authority", "test", ":path", "/a/b"}, more...)
}

// open opens a stream with a plain request that has not ended yet.
func (p *peer) open(id uint32) *testStream {
	p.t.Helper()
	p.WriteHeaders(id, false, request()...)
	return p.accepted(id)
}

// accepted returns the stream that the application has got.
func (p *peer) accepted(id uint32) *testStream {
	p.t.Helper()
	synctest.Wait()
	st := p.app.streams[id]
	if st == nil {
		p.t.Fatalf("stream %d has not reached the application", id)
	}
	return st
}

// wantClosed checks that the connection closes, no later than lingerTime from now, and without another frame.
func (p *peer) wantClosed() {
	p.t.Helper()
	p.WantNothing()
	time.Sleep(lingerTime)
	p.WantNothing()
	if !p.stopped.Load() {
		p.t.Fatal("the connection is still open")
	}
}

// wantReply takes the reply that the test application gives by default.
func (p *peer) wantReply(id uint32, data string) {
	p.t.Helper()
	if got := p.WantHeaders(id, false); got != ":status: 200" {
		p.t.Fatalf("stream %d: got the field block %q", id, got)
	}
	if data != "" {
		p.WantData(id, false, data)
	}
	if got := p.WantHeaders(id, true); got != "end: yes" {
		p.t.Fatalf("stream %d: got the trailers %q", id, got)
	}
}

// wantServed checks that the connection still serves requests.
func (p *peer) wantServed(id uint32) {
	p.t.Helper()
	p.WriteHeaders(id, false, request()...)
	p.WriteData(id, true, "still there?")
	p.wantReply(id, "still there?")
	p.WantNothing()
}

// stopsReading greets, and has a response of 1 MiB on its way that the peer does not read.
func (p *peer) stopsReading() {
	p.GreetServer(4, 1<<20)
	p.WriteWindowUpdate(0, 1<<30)
	st := p.open(1)
	p.nc.Limit(10)
	go func() {
		st.Write(outgoing{Headers: okHeaders, Data: make([]byte, 1<<20)})
		p.conn.Flush()
	}()
	synctest.Wait()
}
