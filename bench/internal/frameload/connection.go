package frameload

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

const readBuffer = 256 << 10

// lane is a sequence of requests.
type lane struct {
	slow    bool
	id      uint32 // stream of the request under way
	rounds  int    // requests begun
	unsent  []byte // of the request under way
	window  int    // octets that the server takes on the stream
	sent    time.Time
	replies int    // responses to the last request
	prefix  []byte // of the response under way
	missing int    // octets of the response under way
	content []byte // of the response, if Load.Reply says what it has to be
}

// connection is a connection with its lanes. It is used by one goroutine at a time.
type connection struct {
	load  Load
	nc    net.Conn
	out   []byte
	in    []byte
	have  int              // octets in in
	lanes map[uint32]*lane // by stream

	nextID        uint32
	calls         uint64 // RPCs begun
	open          int    // lanes that have not ended, slow ones not counted
	acknowledged  bool   // the server knows our settings, and we know its
	credit        int    // octets received since the connection's window was last updated
	window        int    // octets that the server takes on the connection
	initialWindow int    // of a stream
	stalled       bool   // a lane waits for a window

	result  Result
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
	status  string // grpc-status of the field block under way
}

func newConnection(l Load, nc net.Conn) *connection {
	c := &connection{
		load: l, nc: nc, lanes: make(map[uint32]*lane), nextID: 1, window: frames.DefaultWindow, initialWindow: frames.DefaultWindow,
	}
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			c.status = f.Value
		}
	})
	return c
}

// begin opens a stream for a lane.
func (c *connection) begin(ln *lane) {
	ln.id, ln.window = c.nextID, c.initialWindow
	c.nextID += 2
	c.calls++
	c.lanes[ln.id] = ln
	c.block.Reset()
	scheme := "http"
	if c.load.TLS {
		scheme = "https"
	}
	frames.WriteRequest(c.encoder, scheme, c.load.Path)
	for _, f := range c.load.Fields {
		c.encoder.WriteField(f)
	}
	if c.load.Vary {
		timeout := strconv.FormatUint(9_999_999-c.calls%9_000_000, 10) + "u"
		c.encoder.WriteField(hpack.HeaderField{Name: "grpc-timeout", Value: timeout})
		trace := fmt.Sprintf("00-%032x-%016x-01", c.calls*0x9e3779b97f4a7c15, c.calls)
		c.encoder.WriteField(hpack.HeaderField{Name: "traceparent", Value: trace})
	}
	c.frame(frames.Headers, frames.EndHeaders, ln.id, c.block.Bytes())
}

func (c *connection) frame(kind, flags byte, id uint32, payload []byte) {
	c.out = frames.Append(c.out, kind, flags, id, payload)
}

// request begins the next request of a lane.
func (c *connection) request(ln *lane) {
	ln.rounds++
	ln.sent = time.Now()
	ln.unsent = c.load.Message
	if ln.slow {
		ln.unsent = c.load.SlowMessage
	}
	c.send(ln)
}

// send sends of a lane what the windows take, and the last frame of a stream with END_STREAM.
func (c *connection) send(ln *lane) {
	for len(ln.unsent) > 0 {
		n := min(len(ln.unsent), frames.MaxPayload, c.window, ln.window)
		if n <= 0 {
			c.stalled = true
			return
		}
		var flags byte
		if n == len(ln.unsent) && c.isLast(ln) {
			flags = frames.EndStream
		}
		c.frame(frames.Data, flags, ln.id, ln.unsent[:n])
		ln.unsent = ln.unsent[n:]
		ln.window -= n
		c.window -= n
		if len(ln.unsent) > 0 || !c.load.Upload || ln.slow {
			continue
		}
		c.result.Messages++
		if ln.rounds < c.load.Rounds {
			ln.rounds++
			ln.unsent = c.load.Message
		}
	}
}

// isLast reports whether the request under way is the last of its stream.
func (c *connection) isLast(ln *lane) bool {
	return ln.slow || !c.load.Hold && (c.load.Unary || ln.rounds == c.load.Rounds)
}

// sendStalled goes on with the lanes that waited for a window.
func (c *connection) sendStalled() {
	if !c.stalled {
		return
	}
	c.stalled = false
	for _, ln := range c.lanes {
		c.send(ln)
	}
}

// exchange reads until all lanes have ended, and answers what it reads batch by batch.
func (c *connection) exchange() error {
	if len(c.in) < readBuffer {
		in := make([]byte, readBuffer)
		copy(in, c.in[:c.have])
		c.in = in
	}
	for c.open > 0 {
		if err := c.turn(); err != nil {
			return fmt.Errorf("%d streams were open: %w", c.open, err)
		}
	}
	return c.flush()
}

// turn writes what there is to write, and takes what comes.
func (c *connection) turn() error {
	if err := c.flush(); err != nil {
		return err
	}
	n, err := c.nc.Read(c.in[c.have:])
	c.have += n
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	rest, err := c.process(c.in[:c.have])
	if err != nil {
		return err
	}
	c.have = copy(c.in, rest)
	return nil
}

func (c *connection) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}
