package interop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// framePeer is a client that sends and reads single frames: for what a well-behaved client never sends, and for checks
// of each response that it got. It is used by one goroutine at a time.
type framePeer struct {
	t       testing.TB
	conn    net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // id of the next stream

	open   map[uint32]*frameResponse // by stream, until it ends
	goAway *goAway                   // once the server has sent one
	acked  map[[8]byte]bool          // PINGs that were answered
}

type goAway struct {
	code  http2.ErrCode
	debug string
}

// frameResponse is what came back on one stream.
type frameResponse struct {
	headers  []hpack.HeaderField // of the first HEADERS frame
	trailers []hpack.HeaderField // of the last one, which is the first one if there is only one
	body     []byte
	reset    *http2.ErrCode // of RST_STREAM, if that ended the stream
	ended    bool
}

// dialFrames opens a connection that lasts as long as the test, and greets the server.
func dialFrames(t testing.TB, address string) *framePeer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	p := &framePeer{
		t: t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1,
		open: make(map[uint32]*frameResponse), acked: make(map[[8]byte]bool),
	}
	p.encoder = hpack.NewEncoder(&p.block)
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.write([]byte(http2.ClientPreface))
	p.check(p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24}))
	p.check(p.framer.WriteWindowUpdate(0, 1<<30))
	return p
}

func (p *framePeer) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// write sends bytes as they are.
func (p *framePeer) write(raw []byte) {
	p.t.Helper()
	_, err := p.conn.Write(raw)
	p.check(err)
}

// begin sends a request's HEADERS, with further fields after the usual ones, and returns the stream.
func (p *framePeer) begin(path string, further ...hpack.HeaderField) uint32 {
	p.t.Helper()
	p.block.Reset()
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "127.0.0.1"},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
	}, further...) {
		p.check(p.encoder.WriteField(field))
	}
	stream := p.next
	p.next += 2
	p.open[stream] = new(frameResponse)
	p.check(p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block.Bytes(), EndHeaders: true}))
	return stream
}

// start sends a whole request and returns the stream.
func (p *framePeer) start(path string, body []byte, further ...hpack.HeaderField) uint32 {
	p.t.Helper()
	stream := p.begin(path, further...)
	p.check(p.framer.WriteData(stream, true, body))
	return stream
}

// call sends a whole request and waits for its response.
func (p *framePeer) call(path string, body []byte, further ...hpack.HeaderField) *frameResponse {
	p.t.Helper()
	return p.wait(p.start(path, body, further...))
}

// wait reads until the stream has ended, and forgets it.
func (p *framePeer) wait(stream uint32) *frameResponse {
	p.t.Helper()
	for !p.open[stream].ended {
		p.check(p.read())
	}
	response := p.open[stream]
	delete(p.open, stream)
	return response
}

// settle returns once the server has read everything that was sent to it.
func (p *framePeer) settle() {
	p.t.Helper()
	ping := [8]byte{0: 's', 1: 'e', 2: 't', 3: byte(len(p.acked) + 1)}
	p.check(p.framer.WritePing(false, ping))
	for !p.acked[ping] {
		p.check(p.read())
	}
}

// waitGoAway reads until the server has said GOAWAY.
func (p *framePeer) waitGoAway() *goAway {
	p.t.Helper()
	for p.goAway == nil {
		p.check(p.read())
	}
	return p.goAway
}

// read processes one frame.
func (p *framePeer) read() error {
	frame, err := p.framer.ReadFrame()
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return p.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return p.framer.WritePing(true, f.Data)
		}
		p.acked[f.Data] = true
	case *http2.GoAwayFrame:
		p.goAway = &goAway{f.ErrCode, string(f.DebugData())}
	default:
		if response := p.open[frame.Header().StreamID]; response != nil {
			response.process(frame)
		}
	}
	return nil
}

func (r *frameResponse) process(frame http2.Frame) {
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		if r.headers == nil {
			r.headers = f.Fields
		}
		r.trailers = f.Fields
		r.ended = f.StreamEnded()
	case *http2.DataFrame:
		r.body = append(r.body, f.Data()...)
		r.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		r.reset = &f.ErrCode
		r.ended = true
	}
}

func (r *frameResponse) header(name string) string { return fieldOf(r.headers, name) }

func (r *frameResponse) trailer(name string) string { return fieldOf(r.trailers, name) }

func fieldOf(fields []hpack.HeaderField, name string) string {
	for _, field := range fields {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}

// wantStatus checks the status on the wire.
func (r *frameResponse) wantStatus(t testing.TB, code, details string) {
	t.Helper()
	if r.header(":status") != "200" || r.trailer("grpc-status") != code || r.trailer("grpc-message") != details {
		t.Errorf("the response is headers %v, trailers %v, reset %v; want status %s %q", r.headers, r.trailers, r.reset, code, details)
	}
}

// wantOK checks that the response is exactly one message with this text, and grpc-status 0.
func (r *frameResponse) wantOK(t testing.TB, message string) {
	t.Helper()
	r.wantStatus(t, "0", "")
	if want := lengthPrefixed(&helloworld.HelloReply{Message: message}); !bytes.Equal(r.body, want) {
		t.Errorf("the body is %s, want %s", abbreviate(r.body), abbreviate(want))
	}
}

func abbreviate(body []byte) string {
	return fmt.Sprintf("%d bytes %q", len(body), body[:min(len(body), 40)])
}

// requestBody returns a HelloRequest as it goes over the wire.
func requestBody(name string) []byte {
	return lengthPrefixed(&helloworld.HelloRequest{Name: name})
}

// lengthPrefixed returns a Length-Prefixed-Message, not compressed.
func lengthPrefixed(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded)))
	return append(prefix, encoded...)
}
