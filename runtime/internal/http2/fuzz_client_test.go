package http2

import (
	"bytes"
	"io"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// replay is a server that says what it was given, in pieces, and hangs up.
type replay struct {
	script
	input []byte
	piece int
}

func (r *replay) Read(b []byte) (int, error) {
	if len(r.input) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.input[:min(len(r.input), r.piece)])
	r.input = r.input[n:]
	return n, nil
}

func (r *replay) Write(b []byte) (int, error) { return len(b), nil }

// fuzzClient opens streams as soon as it can: with a whole request, with the head of one, with more content than there is
// window, one that it resets, and one more for each SETTINGS frame.
type fuzzClient struct {
	*testClient
	t *testing.T
}

func (f *fuzzClient) HandleSettings() {
	begin := func(then func(st *testCall)) {
		st := new(testCall)
		st.Handler = st
		if f.Open(&st.Stream, requestBlock()) == nil {
			f.calls = append(f.calls, st)
			then(st)
		}
	}
	if f.settings++; f.settings == 1 {
		begin(func(st *testCall) { st.End(nil, false) })
		begin(func(*testCall) {})
		begin(func(st *testCall) { st.Message(nil, make([]byte, 100_000), nil, 0) })
		begin(func(st *testCall) { st.Reset(ErrCodeCancel) })
	}
	begin(func(st *testCall) { st.End(nil, false) })
	f.FlushAfterBatch()
}

// EndBatch looks at what the connection counts.
func (f *fuzzClient) EndBatch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := &f.in.window; f.out.window < 0 || w.window < 0 || w.held != 0 || f.OpenStreams() != len(f.streams.open) {
		f.t.Errorf("windows: out %d, in %+v; %d streams, and %d counted", f.out.window, w, len(f.streams.open), f.OpenStreams())
	}
	for id, st := range f.streams.open {
		if st.id != id || st.state.isClosed() || id >= f.next || id%2 == 0 {
			f.t.Errorf("stream %d is open as %d, in state %b", id, st.id, st.state.bits.Load())
		}
	}
}

// FuzzClient has a server send octets.
func FuzzClient(f *testing.F) {
	settings := rawFrame(0x4, 0, 0)
	ok, end := "\x88", "\x00\x01a\x01b"
	for _, frames := range [][][]byte{
		{rawFrame(0x1, 0x4, 1, ok), rawFrame(0x0, 0, 1, "abc"), rawFrame(0x1, 0x5, 1, end)},
		{rawFrame(0x1, 0x5, 3, ok), rawFrame(0x3, 0, 3, 0), rawFrame(0x1, 0x4, 7, ok)},
		{rawFrame(0x8, 0, 5, 1<<20), rawFrame(0x8, 0, 0, 1<<20), rawFrame(0x1, 0x5, 5, ok), rawFrame(0x7, 0, 0, 1, 0)},
		{rawFrame(0x1, 0x4, 1, "\x08\x03103"), rawFrame(0x1, 0, 1, ok), rawFrame(0x9, 0x4, 1), rawFrame(0x0, 0x9, 1, "\x02abc\x00\x00")},
		{rawFrame(0x5, 0x4, 1, 2, ok)},
		{rawFrame(0x4, 0, 0, "\x00\x03\x00\x00\x00\x01\x00\x04\x00\x00\x00\x05"), rawFrame(0x6, 0, 0, "12345678"), rawFrame(0x7, 0, 0, 1<<31-1, 0)},
		{rawFrame(0x7, 0, 0, 3, 2, "debug"), rawFrame(0x1, 0x5, 1, ok)},
	} {
		f.Add(append(bytes.Clone(settings), bytes.Join(frames, nil)...), uint16(1000))
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, input []byte, piece uint16) {
		c := &fuzzClient{testClient: &testClient{t: t}, t: t}
		nc := &replay{input: input, piece: int(piece) + 1}
		c.Client = NewClient(nc, c, Config{MaxHeaderListBytes: 4096}.WithDefaults(), budget.New(-1, nil, nil))
		c.Serve()
		c.check()
		if !nc.closed {
			t.Error("the connection was not closed")
		}
	})
}
