package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// pattern returns n octets of which each piece is different.
func pattern(seed, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// response is what has come of a response.
type response struct {
	data    []byte
	headers int
	ended   bool
	reset   bool
}

// collect takes all frames that are there, and adds them to the responses of their streams.
func (p *peer) collect(into map[uint32]*response) (frames int) {
	p.t.Helper()
	for f, ok := p.Poll(); ok; f, ok = p.Poll() {
		if f.StreamID == 0 {
			continue
		}
		r := into[f.StreamID]
		if r == nil {
			r = new(response)
			into[f.StreamID] = r
		}
		switch {
		case f.Type == h2test.RSTStream:
			r.reset = true
			continue
		case f.Type == h2test.WindowUpdate:
			continue
		case r.ended:
			p.t.Fatalf("%v after the end of the response", f)
		case f.Type == h2test.Headers:
			r.headers++
		case f.Type == h2test.Data && r.headers == 0:
			p.t.Fatalf("%v before HEADERS", f)
		case f.Type == h2test.Data:
			r.data = append(r.data, f.Payload...)
			frames++
		}
		r.ended = r.ended || f.Ends()
	}
	return frames
}

// serveWith makes the application answer with data that depends on the stream, once the request has ended.
func (p *peer) serveWith(size int) {
	p.app.onRequest = func(st *testStream, endStream bool) bool {
		if endStream {
			st.replyWith(pattern(int(st.id), size))
		}
		return true
	}
}

func (p *peer) wantResponse(r *response, id uint32, size int) {
	p.t.Helper()
	if r == nil || !r.ended || r.headers != 2 || !bytes.Equal(r.data, pattern(int(id), size)) {
		p.t.Fatalf("stream %d: not the response that was sent: %d of %d octets", id, len(r.data), size)
	}
}

func TestConn_SendsLargeResponses(t *testing.T) {
	for _, row := range []struct{ streamWindow, step, size int }{
		{0, 1, 20},
		{1, 1, 100},
		{10, 7, 1000},
		{65535, 65535, 65536},
		{65535, 30_000, 1 << 20},
		{1 << 20, 1 << 20, 4<<20 + 1},
	} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer(4, uint32(row.streamWindow))
				p.serveWith(row.size)
				p.WriteHeaders(1, true, request()...)
				got := make(map[uint32]*response)
				window, connWindow := row.streamWindow, 65535
				for rounds := 0; ; rounds++ {
					p.collect(got)
					if len(got[1].data) > window || len(got[1].data) > connWindow {
						t.Fatalf("%d octets have come, the windows were %d and %d", len(got[1].data), window, connWindow)
					}
					if len(got[1].data) < min(window, connWindow, row.size) {
						t.Fatalf("%d octets have come, the windows are %d and %d", len(got[1].data), window, connWindow)
					}
					if got[1].ended {
						break
					}
					window, connWindow = window+row.step, connWindow+row.step
					p.WriteWindowUpdate(0, row.step)
					p.WriteWindowUpdate(1, row.step)
				}
				p.wantResponse(got[1], 1, row.size)
			})
		})
	}
}

func TestConn_SharesWindowEvenly(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		const size = 1 << 20
		p.GreetServer(4, 2*size)
		p.serveWith(size)
		got := make(map[uint32]*response)
		for id := uint32(1); id < 8; id += 2 {
			p.WriteHeaders(id, true, request()...)
		}
		p.collect(got) // the first has used the window up
		for done := false; !done; {
			before := map[uint32]int{}
			for id, r := range got {
				before[id] = len(r.data)
			}
			p.WriteWindowUpdate(0, 4*16384)
			p.collect(got)
			done = true
			for id, r := range got {
				n := len(r.data) - before[id]
				if others := !got[1].ended && !got[3].ended && !got[5].ended && !got[7].ended; others && n != 16384 {
					t.Fatalf("stream %d got %d octets of a window of 4 frames, for 4 streams", id, n)
				}
				done = done && r.ended
			}
		}
		for id := uint32(1); id < 8; id += 2 {
			p.wantResponse(got[id], id, size)
		}
	})
}

func TestConn_SmallResponseNeedNotWait(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer(4, 100)
		p.serveWith(1000)
		p.WriteHeaders(1, true, request()...)
		p.WantHeaders(1, false)
		p.Want(h2test.Data)
		p.serveWith(50)
		p.WriteHeaders(3, true, request()...) // stream 1 waits for its window, which is no reason for 3 to wait
		p.WantHeaders(3, false)
		p.WantData(3, false, string(pattern(3, 50)))
		p.WantHeaders(3, true)
	})
}

func TestConn_WaitsForWindows(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(p *peer)
	}{
		{"of the stream, opened by WINDOW_UPDATE", func(p *peer) {
			p.WriteWindowUpdate(1, 3)
			p.WantData(1, false, "fgh")
			p.WantNothing()
			p.WriteWindowUpdate(1, 100)
			p.WantData(1, false, "ij")
		}},
		{"of the stream, opened by SETTINGS", func(p *peer) {
			p.WriteSettings(4, 8)
			p.Want(h2test.Settings)
			p.WantData(1, false, "fgh")
			p.WantNothing()
			p.WriteSettings(4, 100)
			p.Want(h2test.Settings)
			p.WantData(1, false, "ij")
		}},
		{"negative, by SETTINGS", func(p *peer) {
			p.WriteSettings(4, 0) // the window is -5
			p.Want(h2test.Settings)
			p.WriteWindowUpdate(1, 5)
			p.WantNothing()
			p.WriteWindowUpdate(1, 1)
			p.WantData(1, false, "f")
			p.WriteSettings(4, 5)
			p.Want(h2test.Settings)
			p.WantData(1, false, "ghij")
		}},
		{"negative, and then a stream of its own", func(p *peer) {
			p.WriteSettings(4, 1)
			p.Want(h2test.Settings)
			p.WriteHeaders(3, true, request()...)
			p.WantHeaders(3, false)
			p.WantData(3, false, "a")
			p.WriteWindowUpdate(3, 100)
			p.WantData(3, false, "bcdefghij")
			p.WantHeaders(3, true)
			p.WriteWindowUpdate(1, 9)
			p.WantData(1, false, "fghij")
		}},
		{"the peer resets it", func(p *peer) {
			p.WriteFrame(0x3, 0, 1, h2test.Cancel)
			p.WriteWindowUpdate(1, 100)
			p.WantNothing()
			p.app.streams[1].closedBy(p.t)
			p.WriteWindowUpdate(0, 100)
			p.WantNothing()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer(4, 5)
				p.app.onRequest = func(st *testStream, _ bool) bool { st.replyWith([]byte("abcdefghij")); return true }
				p.WriteHeaders(1, true, request()...)
				p.WantHeaders(1, false)
				p.WantData(1, false, "abcde")
				p.WantNothing()
				row.test(p)
				if !p.app.streams[1].state.isClosed() {
					p.t.Error("stream 1 is still open")
				}
				if len(p.app.streams[1].errs) == 0 {
					p.WantHeaders(1, true)
				}
				p.WantNothing()
			})
		})
	}
	t.Run("of the connection", func(t *testing.T) {
		withPeer(t, Config{}, func(p *peer) {
			p.GreetServer(4, 1<<20)
			p.serveWith(65535)
			p.WriteHeaders(1, true, request()...)
			got := make(map[uint32]*response)
			p.collect(got)
			p.wantResponse(got[1], 1, 65535)
			p.serveWith(3)
			p.WriteHeaders(3, true, request()...)
			p.WantHeaders(3, false)
			p.WantNothing()
			p.serveWith(0)
			p.WriteHeaders(5, true, request()...) // needs no window
			p.WantHeaders(5, false)
			p.WantHeaders(5, true)
			p.WriteWindowUpdate(0, 2)
			p.WantData(3, false, string(pattern(3, 3)[:2]))
			p.WriteWindowUpdate(0, 2)
			p.WantData(3, false, string(pattern(3, 3)[2:]))
			p.WantHeaders(3, true)
		})
	})
}

// Streams that are reset while they wait for the connection's window must not pile up.
func TestConn_ForgetsStreamsThatWaited(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer(4, 1<<20)
		zeros := make([]byte, 70_000)
		p.app.onRequest = func(st *testStream, _ bool) bool { st.replyWith(zeros); return true }
		for i := range 300 {
			id := uint32(2*i + 1)
			p.WriteHeaders(id, true, request()...)
			p.WriteFrame(0x3, 0, id, h2test.Cancel)
			p.collect(map[uint32]*response{})
		}
		n := 0
		for st := p.conn.out.queue.head; st != nil; st = st.next {
			n++
		}
		if n > 10 {
			t.Errorf("%d streams wait that are closed", n)
		}
	})
}
