package http2

import (
	"bytes"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// echoCall is a stream whose response is to be its request.
type echoCall struct {
	Stream
	data []byte
	end  chan error // has what ended it; nil: trailers
}

func (st *echoCall) HandleHead(*fields.Section, bool) {}
func (st *echoCall) HandleTrailers(*fields.Section)   { st.end <- nil }
func (st *echoCall) HandleClose(err error)            { st.end <- err }
func (st *echoCall) HandleRemoved()                   {}
func (st *echoCall) HandleData(data []byte, endStream bool) {
	st.data = append(st.data, data...)
	if st.Consumed(len(data)) {
		st.conn.FlushAfterBatch()
	}
}

// quietEvents is a user of a client's connection that needs no events.
type quietEvents struct{}

func (quietEvents) EndBatch()                {}
func (quietEvents) Panicked(reason any)      { panic(reason) }
func (quietEvents) HandleSettings()          {}
func (quietEvents) HandleGoAway(GoAwayError) {}

// TestClient_ConcurrentCalls has many goroutines send requests of all sizes over one connection, whole and in pieces, and
// give some of them up. Each response is its request.
func TestClient_ConcurrentCalls(t *testing.T) {
	app := newTestApp()
	server, nc, served := tcpConn(t, app, Config{StreamWindow: 10_000, ConnWindow: 65535})
	c := NewClient(net.Conn(nc), quietEvents{}, Config{StreamWindow: 5000, ConnWindow: 65535, MaxPendingBytes: 3000}.WithDefaults(), budget.New(-1, nil, nil))
	ended := make(chan error, 1)
	go func() { ended <- c.Serve() }()
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(caller)))
			for range 50 {
				callEcho(t, c, r)
			}
		})
	}
	callers.Wait()
	c.Shutdown() // it ends with the last stream, and none is left
	if err := mustEnd(t, ended); err != nil {
		t.Errorf("the client's Serve has returned %v", err)
	}
	server.End(ErrCodeNo, "")
	mustEnd(t, served)
	app.check(t)
}

// callEcho makes one call.
func callEcho(t *testing.T, c *Client, r *rand.Rand) {
	st := &echoCall{end: make(chan error, 2)}
	st.Handler = st
	want := pattern(r.IntN(1000), r.IntN(30_000))
	err := ErrNotReady
	for err == ErrNotReady {
		err = c.Open(&st.Stream, requestBlock())
	}
	if err != nil {
		t.Errorf("Open: %v", err)
		return
	}
	giveUp := r.IntN(5) == 0
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(8000))
		st.Data(nil, bytes.Clone(rest[:n]), 0, r.IntN(2) == 0)
		rest = rest[n:]
		if st.Full() {
			st.WaitRoom(0)
		}
		if giveUp && r.IntN(2) == 0 {
			st.Reset(ErrCodeCancel)
			c.Flush()
			return
		}
	}
	st.End(nil, false)
	c.Flush()
	if err := <-st.end; err != nil || !bytes.Equal(st.data, want) {
		t.Errorf("a response of %d octets to a request of %d, or others; %v", len(st.data), len(want), err)
	}
}
