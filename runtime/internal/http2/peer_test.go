package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// peer is a client that speaks in frames. Its frames are made and read by hand, so that an error in the package's own
// frame code shows. It lives in a bubble of testing/synctest: whenever it looks for an answer, the connection has done
// all it can do, and timeouts take no time.
type peer struct {
	t    testing.TB
	conn *Conn
	app  *testApp
	nc   *pipe // the peer's end

	blocks  bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
	input   []byte // received and not looked at
	stop    error  // what Serve returned
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
	server, client := newPipe()
	p := &peer{t: t, nc: client, app: newTestApp()}
	p.encoder = hpack.NewEncoder(&p.blocks)
	p.decoder = hpack.NewDecoder(4096, nil)
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
	if len(c.streams) != 0 {
		p.t.Errorf("%d streams are left", len(c.streams))
	}
	if c.timer != nil && c.timer.Stop() {
		p.t.Error("a timer is left")
	}
}

// greet exchanges prefaces. The peer's SETTINGS are of the form id, value, id, value…
func (p *peer) greet(settings ...uint32) {
	p.t.Helper()
	p.write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	p.writeSettings(settings...)
	if f := p.want(frameSettings); f.flags != 0 || f.streamID != 0 {
		p.t.Fatalf("the first frame is %v", f)
	}
	for {
		switch f := p.next(); {
		case f.kind == frameWindowUpdate && f.streamID == 0:
		case f.kind == frameSettings && f.flags == 0x1:
			p.writeFrame(0x4, 0x1, 0, nil)
			return
		default:
			p.t.Fatalf("got %v during the preface", f)
		}
	}
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatalf("the connection is closed already: %v", err)
	}
}

// rawFrame makes a frame by hand. Integers stand for four octets, strings and slices for themselves.
func rawFrame(kind, flags byte, id uint32, payload ...any) []byte {
	var b []byte
	for _, part := range payload {
		switch part := part.(type) {
		case uint32:
			b = binary.BigEndian.AppendUint32(b, part)
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(part))
		case ErrCode:
			b = binary.BigEndian.AppendUint32(b, uint32(part))
		case byte:
			b = append(b, part)
		case string:
			b = append(b, part...)
		case []byte:
			b = append(b, part...)
		case nil:
		default:
			panic(fmt.Sprintf("no idea how to write a %T", part))
		}
	}
	head := []byte{byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b)), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, id), b...)
}

func (p *peer) writeFrame(kind, flags byte, id uint32, payload ...any) {
	p.t.Helper()
	p.write(rawFrame(kind, flags, id, payload...))
}

func (p *peer) writeSettings(settings ...uint32) {
	p.t.Helper()
	var b []byte
	for i := 0; i < len(settings); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(settings[i]))
		b = binary.BigEndian.AppendUint32(b, settings[i+1])
	}
	p.writeFrame(0x4, 0, 0, b)
}

// request is the field block of a plain request, with more field lines of the form name, value, name, value…
func request(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "http", ":authority", "test", ":path", "/a/b"}, more...)
}

// block encodes a field block. The encoder is the connection's: blocks have to be written in the order of encoding.
func (p *peer) block(fields ...string) []byte {
	p.blocks.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.blocks.Bytes())
}

// writeHeaders writes a HEADERS frame.
func (p *peer) writeHeaders(id uint32, endStream bool, fields ...string) {
	p.t.Helper()
	flags := byte(0x4)
	if endStream {
		flags |= 0x1
	}
	p.writeFrame(0x1, flags, id, p.block(fields...))
}

// open opens a stream with a plain request that has not ended yet.
func (p *peer) open(id uint32) *testStream {
	p.t.Helper()
	p.writeHeaders(id, false, request()...)
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

func (p *peer) writeData(id uint32, endStream bool, data any) {
	p.t.Helper()
	p.writeFrame(0x0, flagIf(endStream, 0x1), id, data)
}

func flagIf(b bool, flag byte) byte {
	if b {
		return flag
	}
	return 0
}

func (p *peer) writeWindowUpdate(id uint32, increment int) {
	p.t.Helper()
	p.writeFrame(0x8, 0, id, increment)
}

// received is a frame as the peer got it.
type received struct {
	kind     frameType
	flags    byte
	streamID uint32
	payload  []byte
}

func (f received) endStream() bool { return f.flags&0x1 != 0 }

func (f received) code() ErrCode {
	switch f.kind {
	case frameRSTStream:
		return ErrCode(binary.BigEndian.Uint32(f.payload))
	case frameGoAway:
		return ErrCode(binary.BigEndian.Uint32(f.payload[4:]))
	}
	return 0
}

func (f received) String() string {
	return fmt.Sprintf("frame type %d, flags %#x, stream %d, %d octets, %.40q", f.kind, f.flags, f.streamID, len(f.payload), f.payload)
}

// poll takes the next frame that has come, if there is one.
func (p *peer) poll() (f received, ok bool) {
	p.t.Helper()
	synctest.Wait()
	d := p.nc.in
	d.update(func() {
		p.input = append(p.input, d.buf...)
		d.buf = nil
	})
	if len(p.input) < 9 {
		return received{}, false
	}
	length := int(p.input[0])<<16 | int(p.input[1])<<8 | int(p.input[2])
	if length > 16384 {
		p.t.Fatalf("a frame of %d octets, which is above the initial SETTINGS_MAX_FRAME_SIZE", length)
	}
	if len(p.input) < 9+length {
		return received{}, false
	}
	f = received{frameType(p.input[3]), p.input[4], binary.BigEndian.Uint32(p.input[5:]), p.input[9 : 9+length]}
	p.input = p.input[9+length:]
	return f, true
}

func (p *peer) next() received {
	p.t.Helper()
	f, ok := p.poll()
	if !ok {
		p.t.Fatal("no frame has come")
	}
	return f
}

func (p *peer) want(kind frameType) received {
	p.t.Helper()
	f := p.next()
	if f.kind != kind {
		p.t.Fatalf("got %v, want type %d", f, kind)
	}
	return f
}

func (p *peer) wantOn(kind frameType, id uint32) received {
	p.t.Helper()
	f := p.want(kind)
	if f.streamID != id {
		p.t.Fatalf("got %v, want it on stream %d", f, id)
	}
	return f
}

// wantHeaders takes a HEADERS frame, and returns its fields as "name: value" lines.
func (p *peer) wantHeaders(id uint32, endStream bool) string {
	p.t.Helper()
	f := p.wantOn(frameHeaders, id)
	if f.endStream() != endStream {
		p.t.Fatalf("got %v, want END_STREAM %v", f, endStream)
	}
	block := bytes.Clone(f.payload)
	for f.flags&0x4 == 0 {
		f = p.wantOn(frameContinuation, id)
		block = append(block, f.payload...)
	}
	fields, err := p.decoder.DecodeFull(block)
	if err != nil {
		p.t.Fatalf("field block: %v", err)
	}
	var lines []string
	for _, field := range fields {
		lines = append(lines, field.Name+": "+field.Value)
	}
	return strings.Join(lines, "\n")
}

func (p *peer) wantData(id uint32, endStream bool, data string) {
	p.t.Helper()
	f := p.wantOn(frameData, id)
	if f.endStream() != endStream || string(f.payload) != data {
		p.t.Fatalf("got %v, want %.40q with END_STREAM %v", f, data, endStream)
	}
}

func (p *peer) wantRSTStream(id uint32, code ErrCode) {
	p.t.Helper()
	if f := p.wantOn(frameRSTStream, id); f.code() != code {
		p.t.Fatalf("stream %d was reset with %v, want %v", id, f.code(), code)
	}
}

func (p *peer) wantWindowUpdate(id uint32, increment int) {
	p.t.Helper()
	if f := p.wantOn(frameWindowUpdate, id); int(binary.BigEndian.Uint32(f.payload)) != increment {
		p.t.Fatalf("got %v, want an increment of %d", f, increment)
	}
}

// wantGoAway takes a GOAWAY frame and returns the last stream that it names, and its debug data.
func (p *peer) wantGoAway(code ErrCode) (last uint32, debug string) {
	p.t.Helper()
	f := p.want(frameGoAway)
	if f.code() != code || f.streamID != 0 {
		p.t.Fatalf("GOAWAY with %v (%q) on stream %d, want %v", f.code(), f.payload[8:], f.streamID, code)
	}
	return binary.BigEndian.Uint32(f.payload), string(f.payload[8:])
}

// wantNothing checks that no frame has come.
func (p *peer) wantNothing() {
	p.t.Helper()
	if f, ok := p.poll(); ok {
		p.t.Fatalf("got %v, want nothing", f)
	}
}

// wantClosed checks that the connection closes, no later than lingerTime from now, and without another frame.
func (p *peer) wantClosed() {
	p.t.Helper()
	p.wantNothing()
	time.Sleep(lingerTime)
	p.wantNothing()
	if !p.stopped.Load() {
		p.t.Fatal("the connection is still open")
	}
}

// wantReply takes the reply that the test application gives by default.
func (p *peer) wantReply(id uint32, data string) {
	p.t.Helper()
	if got := p.wantHeaders(id, false); got != ":status: 200" {
		p.t.Fatalf("stream %d: got the field block %q", id, got)
	}
	if data != "" {
		p.wantData(id, false, data)
	}
	if got := p.wantHeaders(id, true); got != "end: yes" {
		p.t.Fatalf("stream %d: got the trailers %q", id, got)
	}
}

// wantServed checks that the connection still serves requests.
func (p *peer) wantServed(id uint32) {
	p.t.Helper()
	p.writeHeaders(id, false, request()...)
	p.writeData(id, true, "still there?")
	p.wantReply(id, "still there?")
	p.wantNothing()
}

// stopsReading greets, and has a response of 1 MiB on its way that the peer does not read.
func (p *peer) stopsReading() {
	p.greet(4, 1<<20)
	p.writeWindowUpdate(0, 1<<30)
	st := p.open(1)
	p.nc.in.update(func() { p.nc.in.limit = 10 })
	go func() {
		st.Write(Outgoing{Headers: okHeaders, Data: make([]byte, 1<<20)})
		p.conn.Flush()
	}()
	synctest.Wait()
}
