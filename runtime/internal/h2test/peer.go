package h2test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Peer speaks frames on a connection. It does nothing of its own accord: it acknowledges nothing, and gives no window back.
type Peer struct {
	Conn    net.Conn
	Encoder *hpack.Encoder // of the field blocks that the peer writes

	// MayFail says that writes may fail: what matters is what comes back, if anything does.
	MayFail bool

	t       testing.TB
	blocks  bytes.Buffer  // what Encoder writes to
	batch   *bytes.Buffer // what is written now leaves together; nil: at once
	decoder *hpack.Decoder
	input   []byte // received and not looked at
}

// patience is how long a peer waits for a frame that must come: for ever, as far as a test is concerned.
const patience = 2 * time.Minute

// NewPeer returns a peer that has not said anything yet.
func NewPeer(t testing.TB, nc net.Conn) *Peer {
	p := &Peer{Conn: nc, t: t, decoder: hpack.NewDecoder(4096, nil)}
	p.Encoder = hpack.NewEncoder(&p.blocks)
	return p
}

// GreetServer exchanges prefaces as a client does. The settings are identifier, value, identifier, value…
func (p *Peer) GreetServer(settings ...uint32) {
	p.t.Helper()
	p.Preface(settings...)
	p.exchange()
}

// Preface writes what a client sends first, and reads nothing.
func (p *Peer) Preface(settings ...uint32) {
	p.t.Helper()
	p.Write([]byte(ClientPreface))
	p.WriteSettings(settings...)
}

// GreetClient exchanges prefaces as a server does. The client has sent its own, or is about to.
func (p *Peer) GreetClient(settings ...uint32) {
	p.t.Helper()
	for len(p.input) < len(ClientPreface) && p.receive() == nil {
	}
	if !bytes.HasPrefix(p.input, []byte(ClientPreface)) {
		p.t.Fatalf("the client's preface is %.40q", p.input)
	}
	p.input = p.input[len(ClientPreface):]
	p.WriteSettings(settings...)
	p.exchange()
}

// exchange takes the other's SETTINGS, which come first, and the acknowledgement of those that were written.
func (p *Peer) exchange() {
	p.t.Helper()
	if f := p.Want(Settings); f.Flags != 0 || f.StreamID != 0 {
		p.t.Fatalf("the first frame is %v", f)
	}
	p.WriteFrame(Settings, Ack, 0)
	for {
		switch f := p.Next(); {
		case f.Type == WindowUpdate && f.StreamID == 0:
		case f.Type == Settings && f.Flags == Ack:
			return
		default:
			p.t.Fatalf("got %v during the preface", f)
		}
	}
}

// Write writes octets as they are.
func (p *Peer) Write(b []byte) {
	p.t.Helper()
	if p.batch != nil {
		p.batch.Write(b)
		return
	}
	if _, err := p.Conn.Write(b); err != nil && !p.MayFail {
		p.t.Fatalf("the connection is closed already: %v", err)
	}
}

// Together has all that write writes leave in one piece.
func (p *Peer) Together(write func()) {
	p.t.Helper()
	var batch bytes.Buffer
	p.batch = &batch
	write()
	p.batch = nil
	p.Write(batch.Bytes())
}

// WriteFrame writes a frame: see [Raw].
func (p *Peer) WriteFrame(kind, flags byte, id uint32, payload ...any) {
	p.t.Helper()
	p.Write(Raw(kind, flags, id, payload...))
}

// WriteSettings writes SETTINGS: see [Parameters].
func (p *Peer) WriteSettings(settings ...uint32) {
	p.t.Helper()
	p.WriteFrame(Settings, 0, 0, Parameters(settings...))
}

// WriteHeaders writes field lines: name, value, name, value… It cuts a large block into HEADERS and CONTINUATION.
func (p *Peer) WriteHeaders(id uint32, endStream bool, fields ...string) {
	p.t.Helper()
	kind, flags, block := Headers, flagIf(endStream), p.Block(fields...)
	for ; len(block) > maxFrameSize; kind, flags, block = Continuation, 0, block[maxFrameSize:] {
		p.WriteFrame(kind, flags, id, block[:maxFrameSize])
	}
	p.WriteFrame(kind, flags|EndHeaders, id, block)
}

// Block encodes a field block. The encoder is the connection's: blocks have to be written in the order of encoding.
func (p *Peer) Block(fields ...string) []byte {
	p.blocks.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.Encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.blocks.Bytes())
}

// WriteData writes a DATA frame; data is a string or a slice.
func (p *Peer) WriteData(id uint32, endStream bool, data any) {
	p.t.Helper()
	p.WriteFrame(Data, flagIf(endStream), id, data)
}

func flagIf(endStream bool) byte {
	if endStream {
		return EndStream
	}
	return 0
}

// WriteWindowUpdate writes WINDOW_UPDATE.
func (p *Peer) WriteWindowUpdate(id uint32, increment int) {
	p.t.Helper()
	p.WriteFrame(WindowUpdate, 0, id, increment)
}

// Poll takes the next frame, if there is one. On a [Pipe], whose other end is in the same bubble of testing/synctest, all has
// come that will. On other connections Poll waits until a frame comes, or the connection ends.
func (p *Peer) Poll() (f Frame, ok bool) {
	p.t.Helper()
	if pipe, bubble := p.Conn.(*Pipe); bubble {
		synctest.Wait()
		p.input = append(p.input, pipe.Take()...)
		f, p.input, ok = Cut(p.input)
	} else {
		var err error
		f, err = p.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.t.Fatalf("nothing has come for %v", patience)
		}
		ok = err == nil
	}
	if len(f.Payload) > maxFrameSize {
		p.t.Fatalf("%v, which is above the initial SETTINGS_MAX_FRAME_SIZE", f)
	}
	return f, ok
}

// Read waits for a frame. The error is io.EOF if the connection has ended behind a frame.
func (p *Peer) Read() (f Frame, err error) {
	for {
		var ok bool
		if f, p.input, ok = Cut(p.input); ok {
			return f, nil
		}
		if err = p.receive(); err != nil {
			return Frame{}, err
		}
	}
}

// receive waits for octets.
func (p *Peer) receive() error {
	p.Conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, frameHead+maxFrameSize)
	n, err := p.Conn.Read(b)
	p.input = append(p.input, b[:n]...)
	if err == io.EOF && len(p.input) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// maxFrameSize is the initial SETTINGS_MAX_FRAME_SIZE, which no peer here changes.
const maxFrameSize = 16384

// Next takes the next frame, which must have come.
func (p *Peer) Next() Frame {
	p.t.Helper()
	f, ok := p.Poll()
	if !ok {
		p.t.Fatal("no frame has come")
	}
	return f
}

// Until takes frames until one is wanted.
func (p *Peer) Until(wanted func(f Frame) bool) {
	p.t.Helper()
	for !wanted(p.Next()) {
	}
}

// Want takes the next frame, which must be of a type.
func (p *Peer) Want(kind byte) Frame {
	p.t.Helper()
	f := p.Next()
	if f.Type != kind {
		p.t.Fatalf("got %v, want type %d", f, kind)
	}
	return f
}

// WantOn takes the next frame, which must be of a type, and of a stream.
func (p *Peer) WantOn(kind byte, id uint32) Frame {
	p.t.Helper()
	f := p.Want(kind)
	if f.StreamID != id {
		p.t.Fatalf("got %v, want it on stream %d", f, id)
	}
	return f
}

// WantHeaders takes HEADERS with its CONTINUATIONs, and returns the fields as "name: value" lines.
func (p *Peer) WantHeaders(id uint32, endStream bool) string {
	p.t.Helper()
	f := p.WantOn(Headers, id)
	if f.Has(EndStream) != endStream {
		p.t.Fatalf("got %v, want END_STREAM %v", f, endStream)
	}
	block := bytes.Clone(f.Payload)
	for !f.Has(EndHeaders) {
		f = p.WantOn(Continuation, id)
		block = append(block, f.Payload...)
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

// WantData takes a DATA frame with this content.
func (p *Peer) WantData(id uint32, endStream bool, data string) {
	p.t.Helper()
	f := p.WantOn(Data, id)
	if f.Has(EndStream) != endStream || string(f.Payload) != data {
		p.t.Fatalf("got %v, want %.40q with END_STREAM %v", f, data, endStream)
	}
}

// WantRSTStream takes a RST_STREAM frame with this error code.
func (p *Peer) WantRSTStream(id, code uint32) {
	p.t.Helper()
	if f := p.WantOn(RSTStream, id); f.Code() != code {
		p.t.Fatalf("stream %d was reset with %#x, want %#x", id, f.Code(), code)
	}
}

// WantGoAway takes a GOAWAY frame and returns the last stream that it names, and its debug data.
func (p *Peer) WantGoAway(code uint32) (last uint32, debug string) {
	p.t.Helper()
	f := p.WantOn(GoAway, 0)
	if f.Code() != code {
		p.t.Fatalf("GOAWAY with %#x (%q), want %#x", f.Code(), f.Payload[8:], code)
	}
	return f.Uint32(0), string(f.Payload[8:])
}

// WantWindowUpdate takes a WINDOW_UPDATE frame with this increment.
func (p *Peer) WantWindowUpdate(id uint32, increment int) {
	p.t.Helper()
	if f := p.WantOn(WindowUpdate, id); int(f.Uint32(0)) != increment {
		p.t.Fatalf("got %v, want an increment of %d", f, increment)
	}
}

// WantNothing checks that no frame has come.
func (p *Peer) WantNothing() {
	p.t.Helper()
	if f, ok := p.Poll(); ok {
		p.t.Fatalf("got %v, want nothing", f)
	}
}
