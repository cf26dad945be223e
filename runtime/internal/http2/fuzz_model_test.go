package http2

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// model is a peer's view of a connection, kept by other code than the package's: what the peer has said, what the
// server may do, and what it has done.
type model struct {
	t       testing.TB
	said    []byte // by the peer, and not a whole frame yet
	heard   []byte // from the server, and not a whole frame yet
	streams map[uint32]*modelStream
	decoder *hpack.Decoder

	// What the peer has said.
	prefaced   bool
	first      []byte   // of all that the peer has said, a request line at most
	initial    int64    // the largest SETTINGS_INITIAL_WINDOW_SIZE since the server last wrote
	nowInitial int64    // the last one
	highest    uint32   // stream
	settings   int      // frames to acknowledge
	pings      [][]byte // to acknowledge

	// What the server has done.
	greeted  bool
	outOfOne int64 // DATA on the connection, less its window
	goAways  int
	goneAway string // the last debug data
	lastID   uint32
	over     bool // a GOAWAY with an error has come
	block    uint32
	granted  granted
}

// granted is what the peer may send, as it knows it: a larger SETTINGS_INITIAL_WINDOW_SIZE from when it hears of it, and a smaller one
// from when it acknowledges that.
type granted struct {
	initial  int64
	smaller  int64 // heard of, and not acknowledged; -1: none
	conn     int64
	settings int  // heard, less those acknowledged
	early    bool // SETTINGS were acknowledged before they were heard: what the server makes of that is its own affair
}

// modelStream is what a model knows of a stream.
type modelStream struct {
	opened     bool
	window     int64 // what the peer may send
	outran     bool  // it has sent more
	endSaid    bool  // END_STREAM or RST_STREAM from the peer
	priorities bool
	used       int64 // DATA from the server, less the peer's WINDOW_UPDATE
	headers    int
	data       []byte
	ended      bool
	reset      bool
}

func newModel(t testing.TB) *model {
	return &model{
		t: t, streams: make(map[uint32]*modelStream), decoder: hpack.NewDecoder(0, nil),
		initial: defaultWindow, nowInitial: defaultWindow, outOfOne: -defaultWindow, lastID: 1<<31 - 1,
		granted: granted{initial: defaultWindow, smaller: -1, conn: defaultWindow},
	}
}

func (m *model) stream(id uint32) *modelStream {
	if m.streams[id] == nil {
		m.streams[id] = &modelStream{}
	}
	return m.streams[id]
}

// says takes what the peer sends.
func (m *model) says(b []byte) {
	m.said = append(m.said, b...)
	m.first = append(m.first, b[:min(len(b), longestRequestLine-len(m.first))]...)
	if !m.prefaced {
		if len(m.said) < len(preface) {
			return
		}
		m.said, m.prefaced = m.said[len(preface):], true
	}
	m.said = m.frames(m.said, m.sayFrame)
}

// frames calls visit for each whole frame, and returns the rest.
func (m *model) frames(b []byte, visit func(kind, flags byte, id uint32, payload []byte)) (rest []byte) {
	f, b, ok := h2test.Cut(b)
	for ; ok; f, b, ok = h2test.Cut(b) {
		visit(f.Type, f.Flags, f.StreamID&(1<<31-1), f.Payload)
	}
	return b
}

func (m *model) sayFrame(kind, flags byte, id uint32, payload []byte) {
	switch kind {
	case 0x0:
		m.stream(id).endSaid = m.stream(id).endSaid || flags&0x1 != 0
		m.sayData(m.stream(id), len(payload))
	case 0x1:
		if st := m.stream(id); !st.opened {
			st.opened, st.window = true, m.granted.initial
		}
		m.stream(id).endSaid = m.stream(id).endSaid || flags&0x1 != 0
		m.highest = max(m.highest, id)
	case 0x2:
		m.stream(id).priorities = true
	case 0x3:
		m.stream(id).endSaid = true
	case 0x4:
		if flags&0x1 != 0 {
			m.sayAcknowledged()
			return
		}
		m.settings++
		for p := payload; len(p) >= 6; p = p[6:] {
			if binary.BigEndian.Uint16(p) == 0x4 {
				m.nowInitial = int64(binary.BigEndian.Uint32(p[2:]))
				m.initial = max(m.initial, m.nowInitial)
			}
		}
	case 0x6:
		if flags&0x1 == 0 {
			m.pings = append(m.pings, bytes.Clone(payload))
		}
	case 0x8:
		if len(payload) != 4 {
			return
		}
		increment := int64(binary.BigEndian.Uint32(payload) & (1<<31 - 1))
		if id == 0 {
			m.outOfOne -= increment
			return
		}
		m.stream(id).used -= increment
	}
}

// sayData takes n octets off the windows that the server has given.
func (m *model) sayData(st *modelStream, n int) {
	m.granted.conn -= int64(n)
	st.window -= int64(n)
	st.outran = st.outran || st.window < 0
}

// sayAcknowledged is called when the peer acknowledges SETTINGS.
func (m *model) sayAcknowledged() {
	g := &m.granted
	if g.settings--; g.settings < 0 {
		g.early = true
	}
	if g.smaller >= 0 {
		m.grantInitial(g.smaller)
		g.smaller = -1
	}
}

// hearSettings is called when the server sends SETTINGS.
func (m *model) hearSettings(payload []byte) {
	m.granted.settings++
	for p := payload; len(p) >= 6; p = p[6:] {
		if value := int64(binary.BigEndian.Uint32(p[2:])); binary.BigEndian.Uint16(p) != 0x4 {
			continue
		} else if value < m.granted.initial && m.greeted {
			m.granted.smaller = value
		} else {
			m.grantInitial(value)
		}
	}
}

// grantInitial changes the windows of all streams.
func (m *model) grantInitial(value int64) {
	for _, st := range m.streams {
		if st.opened {
			m.grant(&st.window, value-m.granted.initial)
		}
	}
	m.granted.initial = value
}

// grant gives the peer window.
func (m *model) grant(window *int64, increment int64) {
	if *window += increment; *window > 1<<31-1 {
		m.t.Fatalf("the server has given a window of %d", *window)
	}
}

// hears takes what the server sends.
func (m *model) hears(b []byte) {
	m.heard = m.frames(append(m.heard, b...), m.hearFrame)
	m.initial = m.nowInitial
}

func (m *model) hearFrame(kind, flags byte, id uint32, payload []byte) {
	m.t.Helper()
	if !m.greeted && (kind != 0x4 || flags&0x1 != 0) {
		m.t.Fatalf("the first frame is of type %d", kind)
	}
	if kind == 0x4 && flags&0x1 == 0 {
		m.hearSettings(payload)
	}
	m.greeted = true
	if m.over {
		m.t.Fatalf("frame type %d on stream %d after GOAWAY with an error", kind, id)
	}
	if len(payload) > 16384 {
		m.t.Fatalf("frame type %d of %d octets", kind, len(payload))
	}
	if m.block != 0 && (kind != 0x9 || id != m.block) {
		m.t.Fatalf("frame type %d on stream %d in a field block of stream %d", kind, id, m.block)
	}
	if id != 0 {
		m.hearOnStream(kind, flags, id, payload)
		return
	}
	switch {
	case kind == 0x4 && flags&0x1 != 0:
		if m.settings--; m.settings < 0 || len(payload) != 0 {
			m.t.Fatal("SETTINGS acknowledged that were not sent")
		}
	case kind == 0x4 && len(payload)%6 == 0:
	case kind == 0x6 && flags&0x1 != 0:
		if len(m.pings) == 0 || !bytes.Equal(m.pings[0], payload) {
			m.t.Fatalf("the PING % x acknowledged; want those of % x", payload, m.pings)
		}
		m.pings = m.pings[1:]
	case kind == 0x6 && len(payload) == 8:
	case kind == 0x7 && len(payload) >= 8:
		m.hearGoAway(binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:]))
		m.goneAway = string(payload[8:])
	case kind == 0x8 && len(payload) == 4 && binary.BigEndian.Uint32(payload) > 0:
		m.grant(&m.granted.conn, int64(binary.BigEndian.Uint32(payload)))
	default:
		m.t.Fatalf("frame type %d, flags %d, %d octets on stream 0", kind, flags, len(payload))
	}
}

func (m *model) hearGoAway(last, code uint32) {
	m.t.Helper()
	if last > m.lastID || last != 1<<31-1 && last > m.highest {
		m.t.Fatalf("GOAWAY with stream %d after %d, the highest being %d", last, m.lastID, m.highest)
	}
	m.lastID = last
	m.over = code != 0
	if m.goAways++; m.goAways > 3 {
		m.t.Fatalf("%d GOAWAY frames", m.goAways)
	}
}

func (m *model) hearOnStream(kind, flags byte, id uint32, payload []byte) {
	m.t.Helper()
	st := m.stream(id)
	if kind == 0x3 {
		m.hearReset(st, id, binary.BigEndian.Uint32(payload))
		return
	}
	if id > m.highest || id > m.lastID || id%2 == 0 || st.ended || st.reset {
		m.t.Fatalf("frame type %d on stream %d: the highest is %d, or %d after GOAWAY; ended %v, reset %v", kind, id, m.highest,
			m.lastID, st.ended, st.reset)
	}
	switch kind {
	case 0x0:
		if st.headers != 1 {
			m.t.Fatalf("DATA on stream %d after %d field blocks", id, st.headers)
		}
		st.data = append(st.data, payload...)
		st.ended = flags&0x1 != 0
		n := int64(len(payload))
		if m.outOfOne, st.used = m.outOfOne+n, st.used+n; n > 0 && (m.outOfOne > 0 || st.used > m.initial) {
			m.t.Fatalf("stream %d: DATA beyond the windows: %d, and %d of %d", id, m.outOfOne, st.used, m.initial)
		}
	case 0x1, 0x9:
		if kind == 0x1 {
			if st.headers++; st.headers > 2 || st.headers == 2 && flags&0x1 == 0 {
				m.t.Fatalf("stream %d: field block %d with flags %d", id, st.headers, flags)
			}
			st.ended = flags&0x1 != 0
		}
		if m.block = id; flags&0x4 != 0 {
			m.block = 0
		}
		fields, err := m.decoder.DecodeFull(payload)
		if err != nil || st.headers == 1 && (len(fields) == 0 || fields[0].Name != ":status") {
			m.t.Fatalf("stream %d: field block %v, %v", id, fields, err)
		}
	case 0x8:
		if len(payload) != 4 || binary.BigEndian.Uint32(payload)-1 >= 1<<31-1 {
			m.t.Fatalf("stream %d: WINDOW_UPDATE % x", id, payload)
		}
		m.grant(&st.window, int64(binary.BigEndian.Uint32(payload)))
	default:
		m.t.Fatalf("frame type %d on stream %d", kind, id)
	}
}

// hearReset judges RST_STREAM. Behind the end of a stream it comes for three reasons only.
func (m *model) hearReset(st *modelStream, id, code uint32) {
	m.t.Helper()
	switch {
	case st.priorities && (id <= m.highest || m.goAways > 0): // whatever the state of the stream is
	case id > m.highest || id > m.lastID:
		m.t.Fatalf("RST_STREAM on stream %d: the highest is %d, or %d after GOAWAY", id, m.highest, m.lastID)
	case !st.ended && !st.reset:
	case ErrCode(code) == ErrCodeStreamClosed: // the peer goes on
	case ErrCode(code) == ErrCodeNo && st.ended && !st.reset: // the rest of the request is declined
	default:
		m.t.Fatalf("RST_STREAM with %v on stream %d: ended %v, reset %v", ErrCode(code), id, st.ended, st.reset)
	}
	st.reset = true
}

// finish compares the streams with those of the application.
func (m *model) finish(app *testApp) {
	m.t.Helper()
	if string(m.heard) == http1Answer && bytes.Contains(m.first, []byte(" HTTP/1.")) {
		return
	}
	if len(m.heard) > 0 || m.block != 0 {
		m.t.Errorf("the last frame is incomplete: % x", m.heard)
	}
	m.sayPart()
	if m.goneAway == errConnWindow.Reason && m.granted.conn >= 0 {
		m.t.Errorf("the connection has ended for want of window; the peer had %d", m.granted.conn)
	}
	for id, ours := range app.streams {
		st := m.stream(id)
		if beyondItsWindow(ours) && !st.outran && !m.granted.early {
			m.t.Errorf("stream %d has ended for want of window; the peer had %d", id, st.window)
		}
		if ours.replied && len(ours.errs) == 0 && !st.ended {
			m.t.Errorf("stream %d was replied to, and the peer has got no END_STREAM", id)
		}
		if st.ended && !ours.replied {
			m.t.Errorf("stream %d has got an END_STREAM that the application has not written", id)
		}
		if kind := id / 2 % 8; kind == 0 || kind >= 6 {
			if !bytes.HasPrefix(ours.data, st.data) || st.ended && len(st.data) != len(ours.data) {
				m.t.Errorf("stream %d: %d octets of DATA came back of %d", id, len(st.data), len(ours.data))
			}
		}
	}
}

// sayPart counts a DATA frame of which only a part was said: the server looks at it too.
func (m *model) sayPart() {
	if len(m.said) >= frameHeaderLen && m.said[3] == 0 && m.prefaced {
		m.sayData(m.stream(binary.BigEndian.Uint32(m.said[5:])&(1<<31-1)), len(m.said)-frameHeaderLen)
	}
}

// beyondItsWindow reports whether a stream has ended since the peer sent more than it was allowed.
func beyondItsWindow(st *testStream) bool {
	return slices.ContainsFunc(st.errs, func(err error) bool {
		e, ok := err.(StreamError)
		return ok && e.Reason == beyondStreamWindow
	})
}
