package http2

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// script is a connection on which the peer says what it was given, in pieces, and hangs up.
type script struct {
	input, output []byte
	piece         int
	closed        bool
}

func (s *script) Read(b []byte) (int, error) {
	switch {
	case s.closed:
		return 0, net.ErrClosed
	case len(s.input) == 0:
		return 0, io.EOF
	}
	n := copy(b, s.input[:min(len(s.input), s.piece)])
	s.input = s.input[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.output = append(s.output, b...)
	return len(b), nil
}

func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) LocalAddr() net.Addr              { return pipeAddr{} }
func (s *script) RemoteAddr() net.Addr             { return pipeAddr{} }
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
			st.write(Outgoing{Headers: okHeaders, Finish: true})
		case 2: // a large one
			if endStream {
				st.replyWith(make([]byte, 200_000))
			}
		case 3: // none
		case 4:
			st.Reset(ErrCodeInternal)
			st.app.flush = true
		case 5: // a large one, before the end of the request, of which what waits is dropped
			st.write(Outgoing{Headers: okHeaders, Data: make([]byte, 100_000)})
			if st.Expect(100_000) {
				st.app.flush = true
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
				st.write(Outgoing{Discard: true, Trailers: okTrailers})
			}
		default:
			return false
		}
		return true
	}
	return a
}

func (a *fuzzApp) EndBatch() bool {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outWindow < 0 || c.in.window < 0 || c.in.held != 0 {
		a.t.Errorf("the connection's windows: out %d, in %d, held %d", c.outWindow, c.in.window, c.in.held)
	}
	for id, st := range c.streams {
		if window := int64(c.peerWindow) + st.outDelta; window > maxWindow && c.stage < ending {
			a.t.Errorf("stream %d: the window is %d", id, window)
		}
		if st.in.window < 0 || int64(st.in.window)+int64(st.in.held) > 200_000 {
			a.t.Errorf("stream %d: window %d, held %d", id, st.in.window, st.in.held)
		}
	}
	if len(c.streams) > c.config.MaxConcurrentStreams {
		a.t.Errorf("%d streams are open", len(c.streams))
	}
	return a.testApp.EndBatch()
}

// serveInput serves a connection on which a peer sends input, and checks all that can be known of the answers.
func serveInput(t *testing.T, input []byte, piece int) {
	app := newFuzzApp(t)
	s := &script{input: input, piece: piece}
	app.conn = NewConn(s, app, Config{MaxConcurrentStreams: 20, MaxHeaderListBytes: 4096})
	app.conn.Serve()
	app.check(t)
	if n := len(app.conn.streams); n > 0 {
		t.Errorf("%d streams are left", n)
	}
	if !s.closed {
		t.Error("the connection was not closed")
	}
	granted := grants(input)
	spent := make(map[uint32]int64)
	seen := make(map[uint32]*response)
	dec := hpack.NewDecoder(0, nil)
	for out := s.output; len(out) > 0; {
		f, n := parseFrameHeader(out)
		f.payload = out[frameHeaderLen : frameHeaderLen+n]
		out = out[frameHeaderLen+n:]
		r := seen[f.streamID]
		if r == nil {
			r = new(response)
			seen[f.streamID] = r
		}
		switch f.kind {
		case frameHeaders, frameData:
			if r.ended || r.reset || f.streamID == 0 {
				t.Fatalf("frame type %d on stream %d, which has ended: %v, %v", f.kind, f.streamID, r.ended, r.reset)
			}
			r.ended = f.has(flagEndStream)
		case frameRSTStream:
			r.reset = true
		case frameContinuation, framePriority, framePushPromise:
			t.Fatalf("frame type %d on stream %d", f.kind, f.streamID)
		}
		switch {
		case f.kind == frameData && r.headers == 0:
			t.Fatalf("DATA before HEADERS on stream %d", f.streamID)
		case f.kind == frameData:
			spent[0] += int64(n)
			spent[f.streamID] += int64(n)
		case f.kind == frameHeaders:
			r.headers++
			if _, err := dec.DecodeFull(f.payload); err != nil {
				t.Fatalf("stream %d: %v", f.streamID, err)
			}
		}
	}
	for id, n := range spent {
		initial := granted.initial
		if id == 0 {
			initial = defaultWindow
		}
		if n > initial+granted.increments[id] {
			t.Errorf("stream %d: %d octets of DATA for a window of %d", id, n, initial+granted.increments[id])
		}
	}
}

// granted is the most that a peer has allowed us to send.
type granted struct {
	initial    int64 // the largest SETTINGS_INITIAL_WINDOW_SIZE
	increments map[uint32]int64
}

func grants(input []byte) granted {
	g := granted{defaultWindow, make(map[uint32]int64)}
	for input = input[min(len(input), len(preface)):]; len(input) >= frameHeaderLen; {
		f, n := parseFrameHeader(input)
		if len(input) < frameHeaderLen+n {
			break
		}
		f.payload = input[frameHeaderLen : frameHeaderLen+n]
		input = input[frameHeaderLen+n:]
		switch {
		case f.kind == frameWindowUpdate && n == 4:
			g.increments[f.streamID] += int64(binary.BigEndian.Uint32(f.payload) & streamIDMask)
		case f.kind == frameSettings && n%6 == 0:
			for p := f.payload; len(p) > 0; p = p[6:] {
				if binary.BigEndian.Uint16(p) == settingInitialWindowSize {
					g.initial = max(g.initial, int64(binary.BigEndian.Uint32(p[2:])))
				}
			}
		}
	}
	return g
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

// FuzzFrames sends frames, of which each octet means something: type, flags, stream, how much of a payload of its type
// there is, and the payload.
func FuzzFrames(f *testing.F) {
	for _, seed := range fuzzSeeds {
		var compact []byte
		for _, b := range seed {
			compact = append(append(compact, b[3], b[4], b[8], byte(len(b)-9)), b[9:]...)
		}
		f.Add(compact)
	}
	f.Fuzz(func(t *testing.T, compact []byte) {
		input := bytes.Clone(tcpGreeting)
		for len(compact) >= 4 {
			kind, flags, id, n := compact[0], compact[1], uint32(compact[2]), int(compact[3])
			payload := compact[4:][:min(n, len(compact)-4)]
			compact = compact[4+len(payload):]
			switch {
			case kind == 0x1 && n == 0:
				payload, flags = okBlock, flags|0x4
			case kind == 0x0 && n == 255:
				payload = make([]byte, 16_384)
			case kind == 0x8 && n == 1 && len(payload) == 1:
				payload = []byte{0, payload[0], 0, 1}
			}
			input = append(input, rawFrame(kind, flags, id, payload)...)
		}
		serveInput(t, input, 1<<15)
	})
}

// FuzzFieldBlock decodes field blocks with the memo and without. The first octet of each is its length; 0 is the last
// block again.
func FuzzFieldBlock(f *testing.F) {
	for _, blocks := range [][][]byte{
		{okBlock, nil, nil},
		{plainBlock, nil, unhex("838684be"), nil, plainBlock, unhex("838684be")},
		{unhex("203fe11f838684"), nil, unhex("838684400161013"[:14] + "01"), unhex("838684be"), nil},
		{unhex("838684000161820000"), nil},
		{unhex("8286844" + "18cf1e3c2e5f23a6ba0ab90f4ff"), nil, unhex("828684be5886a8eb10649cbf"), nil},
	} {
		var input []byte
		for _, block := range blocks {
			input = append(append(input, byte(len(block))), block...)
		}
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		with, without := newFieldDecoder(1000, 20), newFieldDecoder(1000, 20)
		var block []byte
		for len(input) > 0 {
			n := min(int(input[0]), len(input)-1)
			if n > 0 {
				block = input[1 : 1+n]
			}
			input = input[1+n:]
			if !agree(t, with, without, block) {
				return
			}
		}
	})
}
