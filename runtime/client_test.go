package runtime

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// testClient is a gRPC client that is told frame by frame what to do. What it sends is queued and written by a
// goroutine of its own, so that neither side can block the other over a net.Pipe.
type testClient struct {
	*h2test.Inbox
	t       testing.TB
	nc      net.Conn
	writing sync.WaitGroup

	// Guarded by the inbox.
	out       bytes.Buffer
	framer    *http2.Framer // writes to out
	corked    bool          // what is written stays in out
	block     bytes.Buffer
	encoder   *hpack.Encoder // writes to block
	streams   map[uint32]*testStream
	nextID    uint32
	goAways   []string // debug data
	lastID    uint32   // of the last GOAWAY
	pings     int      // acknowledged
	credits   int      // flow-control window for requests
	initial   int      // what that of a stream begins with
	thrifty   bool     // gives no flow-control credit of its own accord
	abandoned bool     // nothing more will be written
}

// testStream is one RPC of a testClient.
type testStream struct {
	c  *testClient
	id uint32

	// Guarded by c.
	headers  []hpack.HeaderField
	trailers []hpack.HeaderField
	blocks   int // field blocks received
	data     []byte
	credits  int    // flow-control window for requests
	window   uint32 // received and not given back
	ended    bool
	reset    bool
	code     http2.ErrCode // if reset
}

// newTestClient speaks HTTP/2 on nc until the test ends. It sends the preface.
func newTestClient(t testing.TB, nc net.Conn, settings ...http2.Setting) *testClient {
	t.Helper()
	c := &testClient{Inbox: h2test.NewInbox(), t: t, nc: nc, streams: make(map[uint32]*testStream), nextID: 1, credits: 65535, initial: 65535}
	c.framer = http2.NewFramer(&c.out, nil)
	c.framer.AllowIllegalWrites = true
	c.encoder = hpack.NewEncoder(&c.block)
	c.out.WriteString(http2.ClientPreface)
	c.framer.WriteSettings(settings...)
	c.writing.Go(c.writeLoop)
	c.Start(nc, c.process)
	t.Cleanup(c.close)
	return c
}

// close drops the connection.
func (c *testClient) close() {
	c.Change(func() { c.abandoned = true })
	c.nc.Close()
	c.writing.Wait()
	c.Join()
}

func (c *testClient) writeLoop() {
	c.Lock()
	defer c.Unlock()
	for !c.abandoned {
		if c.corked || c.out.Len() == 0 {
			c.Changed.Wait()
			continue
		}
		b := bytes.Clone(c.out.Bytes())
		c.out.Reset()
		c.Unlock()
		_, err := c.nc.Write(b)
		c.Lock()
		c.abandoned = c.abandoned || err != nil
	}
}

// process processes a frame of the server's; the mutex is held.
func (c *testClient) process(f http2.Frame) {
	st := c.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			if initial, ok := f.Value(http2.SettingInitialWindowSize); ok {
				c.resize(int(initial))
			}
			c.framer.WriteSettingsAck()
		}
	case *http2.WindowUpdateFrame:
		if st == nil {
			c.credits += int(f.Increment)
		} else {
			st.credits += int(f.Increment)
		}
	case *http2.PingFrame:
		if f.IsAck() {
			c.pings++
		} else {
			c.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		c.goAways = append(c.goAways, string(f.DebugData()))
		c.lastID = f.LastStreamID
	case *http2.MetaHeadersFrame:
		if st.blocks++; st.blocks == 1 && !f.StreamEnded() {
			st.headers = f.Fields
		} else {
			st.trailers = f.Fields
		}
		st.ended = st.ended || f.StreamEnded()
	case *http2.DataFrame:
		st.data = append(st.data, f.Data()...)
		st.window += f.Length
		st.ended = st.ended || f.StreamEnded()
		if !c.thrifty {
			c.credit(st)
		}
	case *http2.RSTStreamFrame:
		st.reset, st.code = true, f.ErrCode
	}
}

// resize changes the windows of all streams; the mutex is held.
func (c *testClient) resize(initial int) {
	for _, st := range c.streams {
		st.credits += initial - c.initial
	}
	c.initial = initial
}

// credit gives back what a stream has received; the mutex is held.
func (c *testClient) credit(st *testStream) {
	if st.window == 0 {
		return
	}
	c.framer.WriteWindowUpdate(0, st.window)
	if !st.ended && !st.reset {
		c.framer.WriteWindowUpdate(st.id, st.window)
	}
	st.window = 0
}

// do sends what write writes.
func (c *testClient) do(write func(framer *http2.Framer)) {
	c.Change(func() { write(c.framer) })
}

// cork keeps back what is sent until uncork, so that it arrives in one piece.
func (c *testClient) cork() {
	c.Change(func() { c.corked = true })
}

func (c *testClient) uncork() {
	c.Change(func() { c.corked = false })
}

// patience is how long a client waits for what must happen: for ever, as far as a test is concerned.
const patience = 5 * time.Minute

// wait waits until holds reports true; it is called with the mutex held.
func (c *testClient) wait(what string, holds func() bool) {
	c.t.Helper()
	if !c.Wait(patience, holds) {
		c.t.Fatalf("waited in vain for %s", what)
	}
}

// waitEnd waits until the server has closed the connection.
func (c *testClient) waitEnd() {
	c.t.Helper()
	c.wait("the end of the connection", func() bool { return c.Err != nil })
}

// ping waits until everything sent so far has been read by the server.
func (c *testClient) ping() {
	c.t.Helper()
	var before int
	c.do(func(framer *http2.Framer) {
		before = c.pings
		framer.WritePing(false, [8]byte{})
	})
	c.wait("the acknowledgement of a PING", func() bool { return c.pings > before })
}

// request is the field block of a call, with more fields than those that each call has, or others in their place: a
// name that begins with "!" leaves the field out.
func request(path string, more ...string) []hpack.HeaderField {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "test"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
next:
	for i := 0; i+1 < len(more); i += 2 {
		name, replaced := strings.CutPrefix(more[i], "!")
		for j := range fields[:6] {
			if fields[j].Name == name && (replaced || name == "content-type" || name == ":method") {
				fields[j].Value = more[i+1]
				continue next
			}
		}
		fields = append(fields, hpack.HeaderField{Name: name, Value: more[i+1]})
	}
	kept := fields[:0]
	for _, f := range fields {
		if f.Value != "\x00" {
			kept = append(kept, f)
		}
	}
	return kept
}

// missing in place of a value leaves the field out.
const missing = "\x00"

// open sends the field block of a call, and no END_STREAM.
func (c *testClient) open(path string, more ...string) *testStream {
	return c.openFields(request(path, more...), false)
}

func (c *testClient) openFields(fields []hpack.HeaderField, endStream bool) *testStream {
	return c.openCut(fields, endStream, 16000)
}

// openCut is openFields with a field block in frames of at most size octets.
func (c *testClient) openCut(fields []hpack.HeaderField, endStream bool, size int) *testStream {
	st := &testStream{c: c}
	c.do(func(framer *http2.Framer) {
		st.credits = c.initial
		st.id = c.nextID
		c.nextID += 2
		c.streams[st.id] = st
		st.writeFields(framer, fields, endStream, size)
	})
	return st
}

// writeFields writes a field block in frames of at most size octets; the mutex is held.
func (st *testStream) writeFields(framer *http2.Framer, fields []hpack.HeaderField, endStream bool, size int) {
	st.c.block.Reset()
	for _, f := range fields {
		st.c.encoder.WriteField(f)
	}
	rest := st.c.block.Bytes()
	first := rest[:min(len(rest), size)]
	rest = rest[len(first):]
	framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: st.id, BlockFragment: first, EndStream: endStream, EndHeaders: len(rest) == 0,
	})
	for len(rest) > 0 {
		next := rest[:min(len(rest), size)]
		rest = rest[len(next):]
		framer.WriteContinuation(st.id, len(rest) == 0, next)
	}
}

// call makes a whole call with the given request messages and half-closes.
func (c *testClient) call(path string, messages ...string) *testStream {
	st := c.open(path)
	st.send(messages...)
	st.halfClose()
	return st
}

// lpm is a Length-Prefixed-Message.
func lpm(flag byte, message string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message)))
	return append(b, message...)
}

// send sends messages, each in DATA frames of its own.
func (st *testStream) send(messages ...string) {
	for _, m := range messages {
		st.sendData(lpm(0, m))
	}
}

// sendData sends content, whatever the flow-control windows say.
func (st *testStream) sendData(data []byte) {
	st.c.do(func(framer *http2.Framer) {
		for len(data) > 0 {
			n := min(len(data), 16384)
			framer.WriteData(st.id, false, data[:n])
			st.credits -= n
			st.c.credits -= n
			data = data[n:]
		}
	})
}

// sendFitting sends a frame of data, as far as the windows permit, and returns the rest. It looks at the windows when it sends: SETTINGS
// may have made them smaller since they were waited for, and others send too.
func (st *testStream) sendFitting(data []byte) (rest []byte) {
	st.c.do(func(framer *http2.Framer) {
		if n := min(len(data), 16384, st.c.credits, st.credits); n > 0 {
			framer.WriteData(st.id, false, data[:n])
			st.credits -= n
			st.c.credits -= n
			data = data[n:]
		}
	})
	return data
}

// sendPatiently sends content as the flow-control windows allow.
func (st *testStream) sendPatiently(data []byte) {
	for len(data) > 0 {
		over := false
		st.c.wait("flow-control window", func() bool {
			over = st.ended || st.reset || st.c.Err != nil
			return over || min(st.c.credits, st.credits) > 0
		})
		if over {
			return
		}
		data = st.sendFitting(data)
	}
}

func (st *testStream) halfClose() {
	st.c.do(func(framer *http2.Framer) { framer.WriteData(st.id, true, nil) })
}

// cancel resets the stream, as a client does that gives up.
func (st *testStream) cancel() {
	st.c.do(func(framer *http2.Framer) { framer.WriteRSTStream(st.id, http2.ErrCodeCancel) })
}
