package http2

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// script is a connection on which the peer says what it was given, in pieces, and hangs up. A model of the peer hears
// both directions in the order in which they happen.
type script struct {
	input   []byte
	piece   int
	closed  bool
	model   *model
	atPause func() // called when the connection has done all it can do
}

func (s *script) Read(b []byte) (int, error) {
	s.atPause()
	switch {
	case s.closed:
		return 0, net.ErrClosed
	case len(s.input) == 0:
		return 0, io.EOF
	}
	n := copy(b, s.input[:min(len(s.input), s.piece)])
	s.model.says(s.input[:n])
	s.input = s.input[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.model.hears(b)
	return len(b), nil
}

func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// fuzzApp is a testApp that does something else for each stream, and looks at the windows after each batch.
type fuzzApp struct {
	*testApp
	t    *testing.T
	conn *Conn
}

func newFuzzApp(t *testing.T) *fuzzApp {
	a := &fuzzApp{newTestApp(), t, nil}
	a.onRequest = func(st *testStream, endStream bool) bool {
		switch st.id / 2 % 8 {
		case 1: // an early response
			st.write(outgoing{Headers: okHeaders, Finish: true})
		case 2: // a large one
			if endStream {
				st.replyWith(make([]byte, 200_000))
			}
		case 3: // none
		case 4:
			st.Reset(ErrCodeInternal)
			st.conn.FlushAfterBatch()
		case 5: // a large one, before the end of the request, of which what waits is dropped
			st.write(outgoing{Headers: okHeaders, Data: make([]byte, 100_000)})
			if st.Expect(0, fuzzExpected) {
				st.conn.FlushAfterBatch()
			}
		case 6:
			if st.id > 40 {
				st.conn.Shutdown()
			}
			return false
		default:
			return false
		}
		return true
	}
	a.onData = func(st *testStream, data []byte, endStream bool) bool {
		switch st.id / 2 % 8 {
		case 2:
			if endStream {
				st.replyWith(make([]byte, 200_000))
			}
		case 3: // gives no window back
		case 5:
			if endStream {
				st.write(outgoing{Discard: true, Trailers: okTrailers})
			}
		default:
			return false
		}
		return true
	}
	return a
}

// fuzzExpected is what a handler asks for beyond the window.
const fuzzExpected = 100_000

// fuzzConfigs are the configurations of these tests, with what their accounts have: one whose windows may grow, and one whose
// windows are large from the beginning, and have to become smaller once some is held.
var fuzzConfigs = []struct {
	Config
	limit int64
}{
	{Config{MaxConcurrentStreams: 20, MaxHeaderListBytes: 4096}, 64 << 20},
	{Config{MaxConcurrentStreams: 20, MaxHeaderListBytes: 4096, StreamWindow: 1 << 20, ConnWindow: 200_000, MaxWindow: -1}, 1 << 20},
}

// EndBatch looks at what the connection counts.
func (a *fuzzApp) EndBatch() {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	beyond := int64(0)
	if c.out.window < 0 || c.in.window.window < 0 || c.in.window.held != 0 || c.in.window.window > c.in.window.target {
		a.t.Errorf("the connection's windows: out %d, in %d of %d, held %d", c.out.window, c.in.window.window, c.in.window.target, c.in.window.held)
	}
	if len(c.streams.open) > c.config.MaxConcurrentStreams || c.OpenStreams() != len(c.streams.open) {
		a.t.Errorf("%d streams are open, and %d are counted", len(c.streams.open), c.OpenStreams())
	}
	for id, st := range c.streams.open {
		if window := c.out.ownWindow(&st.sender); window > maxWindow && c.life.stage < ending {
			a.t.Errorf("stream %d: the window is %d", id, window)
		}
		beyond += max(st.in.held-defaultWindow, 0)
		most := int64(c.windows.initial)
		if id/2%8 == 5 {
			most += fuzzExpected
		}
		if st.in.expected > 0 && st.in.window < st.in.expected || int64(st.in.window)+st.in.held > most {
			a.t.Errorf("stream %d: window %d, of which %d expected, held %d", id, st.in.window, st.in.expected, st.in.held)
		}
		if st.id != id || st.state.isClosed() || id > c.streams.highest {
			a.t.Errorf("stream %d is open as %d, in state %b; the highest is %d", id, st.id, st.state.bits.Load(), c.streams.highest)
		}
		if a.streams[id] == nil || &a.streams[id].Stream != st {
			a.t.Errorf("stream %d is not the application's", id)
		}
	}
	if counted := c.windows.beyond.Load(); counted != beyond {
		a.t.Errorf("%d octets are counted beyond what streams may hold, and there are %d", counted, beyond)
	}
	left := int64(c.in.window.window) - int64(c.credit.owed)
	if share := c.account.Limit() / 4; left < 0 && c.life.stage < ending || c.windows.initial > defaultWindow && beyond+left > share {
		a.t.Errorf("%d octets are held beyond what streams may hold, and the peer may send %d; the share is %d", beyond, left, share)
	}
	a.testApp.EndBatch()
}

// pause waits until what has been flushed is written, and checks that nothing waits that could go.
func (a *fuzzApp) pause() {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.writing { // a goroutine has taken over from whoever came to flush
		c.waitWrittenLocked()
	}
	if c.life.stage >= ending {
		return
	}
	if len(c.out.buf) > 0 && c.in.preface > prefaceDue {
		a.t.Errorf("%d octets wait in the out-buffer", len(c.out.buf))
	}
	for id, st := range c.streams.open {
		if st.backlog.size > 0 && c.out.windowOf(&st.sender) > 0 {
			a.t.Errorf("stream %d: %d octets wait, and there is a window of %d", id, st.backlog.size, c.out.windowOf(&st.sender))
		}
	}
}

// serveInput serves a connection on which a peer sends input, and checks all that can be known of the answers.
func serveInput(t *testing.T, input []byte, piece int) {
	app := newFuzzApp(t)
	s := &script{input: input, piece: piece, model: newModel(t), atPause: app.pause}
	config := fuzzConfigs[piece%len(fuzzConfigs)]
	app.conn = NewConn(s, app, config.WithDefaults(), budget.New(config.limit, nil, nil))
	app.conn.Serve()
	app.check(t)
	if n := len(app.conn.streams.open); n > 0 {
		t.Errorf("%d streams are left", n)
	}
	if !s.closed {
		t.Error("the connection was not closed")
	}
	s.model.finish(app.testApp)
}

var fuzzSeeds = [][][]byte{
	{rawFrame(0x1, 0x5, 1, okBlock)},
	{rawFrame(0x1, 0x4, 1, okBlock), rawFrame(0x0, 0, 1, "abc"), rawFrame(0x0, 0x9, 1, "\x02abc\x00\x00")},
	{rawFrame(0x1, 0x4, 1, plainBlock), rawFrame(0x1, 0x5, 1, "\x00\x01a\x01b"), rawFrame(0x1, 0x5, 17, "\x83\x86\x84\xbe")},
	{rawFrame(0x1, 0x5, 5, okBlock), rawFrame(0x8, 0, 0, 200_000), rawFrame(0x8, 0, 5, 200_000), rawFrame(0x4, 0, 0, "\x00\x04", 0, "\x00\x04", 1<<20)},
	{rawFrame(0x1, 0x1, 1, okBlock[:3]), rawFrame(0x9, 0, 1, okBlock[3:]), rawFrame(0x9, 0x4, 1)},
	{rawFrame(0x1, 0x4, 11, okBlock), rawFrame(0x8, 0, 11, 10), rawFrame(0x0, 0x1, 11), rawFrame(0x3, 0, 11, 8)},
	{rawFrame(0x1, 0x4, 3, okBlock), rawFrame(0x0, 0x1, 3, "abc"), rawFrame(0x1, 0x4, 7, okBlock), rawFrame(0x0, 0x1, 7, "abc"), rawFrame(0x1, 0x4, 9, okBlock)},
	{rawFrame(0x1, 0x5, 45, okBlock), rawFrame(0x6, 1, 0, "shutdown"), rawFrame(0x1, 0x5, 47, okBlock)},
	{rawFrame(0x1, 0x25, 1, 0, "\x00", okBlock), rawFrame(0x2, 0, 1, 1, "\x00"), rawFrame(0x6, 0, 0, "12345678"), rawFrame(0x7, 0, 0, 0, 0), rawFrame(0xfa, 0, 0)},
	{rawFrame(0x1, 0x4, 1, okBlock, "\x0f\x0d\x013"), rawFrame(0x0, 0x1, 1, "abc"), rawFrame(0x8, 0, 1, 0)},
}

// largeSeeds are those with much content: for FuzzFrames, to which they are small.
var largeSeeds = [][][]byte{
	{rawFrame(0x4, 0x1, 0), rawFrame(0x1, 0x4, 1, okBlock), tenFrames(1), rawFrame(0x6, 0x1, 0, "wind", 1), tenFrames(1), rawFrame(0x4, 0x1, 0)},
	{rawFrame(0x4, 0x1, 0), rawFrame(0x1, 0x4, 7, okBlock), tenFrames(7), tenFrames(7), rawFrame(0x4, 0x1, 0), tenFrames(7), rawFrame(0x3, 0, 7, 8)},
}

// tenFrames are ten DATA frames of 16 KiB each, on a stream.
func tenFrames(id uint32) []byte {
	return bytes.Repeat(rawFrame(0x0, 0, id, make([]byte, 16_384)), 10)
}

// FuzzConn sends octets.
func FuzzConn(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(append(bytes.Clone(tcpGreeting), bytes.Join(seed, nil)...), uint16(1000))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, input []byte, piece uint16) {
		serveInput(t, input, int(piece)+1)
	})
}

// wholeFrame stands for the length of DATA with as much content as a frame has, which is zeros and no part of the input.
const wholeFrame = 255

// FuzzFrames sends frames, of which each octet means something: type, flags, stream, how much of a payload of its type
// there is, and the payload.
func FuzzFrames(f *testing.F) {
	for _, seed := range slices.Concat(fuzzSeeds, largeSeeds) {
		var compact []byte
		for _, b := range seed {
			for f, b, ok := h2test.Cut(b); ok; f, b, ok = h2test.Cut(b) {
				n, payload := byte(len(f.Payload)), f.Payload
				if len(payload) == 16_384 {
					n, payload = wholeFrame, nil
				}
				compact = append(append(compact, f.Type, f.Flags, byte(f.StreamID), n), payload...)
			}
		}
		f.Add(compact, uint16(1<<15))
		f.Add(compact, uint16(8))
	}
	f.Fuzz(func(t *testing.T, compact []byte, piece uint16) {
		input := bytes.Clone(tcpGreeting)
		for len(compact) >= 4 {
			kind, flags, id, n := compact[0], compact[1], uint32(compact[2]), int(compact[3])
			whole := kind == 0x0 && n == wholeFrame
			if whole {
				n = 0
			}
			payload := compact[4:][:min(n, len(compact)-4)]
			compact = compact[4+len(payload):]
			switch {
			case kind == 0x1 && n == 0:
				payload, flags = okBlock, flags|0x4
			case whole:
				payload = make([]byte, 16_384)
			case kind == 0x8 && n == 1 && len(payload) == 1:
				payload = []byte{0, payload[0], 0, 1}
			}
			input = append(input, rawFrame(kind, flags, id, payload)...)
		}
		serveInput(t, input, int(piece)+1)
	})
}
