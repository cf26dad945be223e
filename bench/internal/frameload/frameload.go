// Package frameload makes load for which h2load has no mode: messages that go to and fro on open streams, slow RPCs
// beside fast ones, and connections and streams that are idle. It speaks in HTTP/2 frames made by hand, one goroutine
// for each connection and one write for each batch of replies, so that the client's cost does not hide the server's.
package frameload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Load is a number of requests, in lanes: a lane sends its next request when the reply to the one before has come.
type Load struct {
	Connections int
	Streams     int  // lanes on each connection
	Rounds      int  // requests in each lane
	Unary       bool // each request is an RPC of its own; otherwise a lane is one RPC

	Path    string // of the method
	Message []byte // the request, as a Length-Prefixed-Message
	Replies int    // responses to each request

	// Slow is how many more lanes each connection has that send SlowMessage, as unary RPCs, as long as the others run.
	// They are not in the result.
	Slow        int
	SlowMessage []byte
}

// Result is what a load has seen.
type Result struct {
	Messages int // responses
	Octets   int // of responses, with their prefixes
	Elapsed  time.Duration
	Waits    []time.Duration // from a request to the end of its reply, in no order
}

// Frame types and flags that are needed (RFC 9113, Section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4

	largeWindow = 1<<31 - 1
	maxFrame    = 1 << 14
)

// Run puts the load on the server at address.
func (l Load) Run(address string) (Result, error) {
	type end struct {
		result Result
		err    error
	}
	ends := make(chan end, l.Connections)
	start := time.Now()
	for range l.Connections {
		go func() {
			result, err := l.runConnection(address)
			ends <- end{result, err}
		}()
	}
	var total Result
	var errs []error
	for range l.Connections {
		e := <-ends
		total.Messages += e.result.Messages
		total.Octets += e.result.Octets
		total.Waits = append(total.Waits, e.result.Waits...)
		errs = append(errs, e.err)
	}
	total.Elapsed = time.Since(start)
	if want := l.Connections * l.Streams * l.Rounds * l.Replies; total.Messages != want {
		errs = append(errs, fmt.Errorf("%d responses came of %d", total.Messages, want))
	}
	return total, errors.Join(errs...)
}

// lane is a sequence of requests.
type lane struct {
	slow    bool
	id      uint32 // stream of the request under way
	rounds  int    // requests sent
	replies int    // responses to the last of them
	missing int    // octets of the response under way
	prefix  []byte
	sent    time.Time
}

type connection struct {
	load    Load
	nc      net.Conn
	out     []byte
	lanes   map[uint32]*lane // by stream
	nextID  uint32
	open    int // lanes that have not ended, slow ones not counted
	credit  int // octets received since the connection's window was last updated
	result  Result
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
	status  string // grpc-status of the field block under way
}

func (l Load) runConnection(address string) (Result, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return Result{}, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(2 * time.Minute)) // nothing hangs
	c := &connection{load: l, nc: nc, lanes: make(map[uint32]*lane), nextID: 1, open: l.Streams}
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			c.status = f.Value
		}
	})
	c.greet()
	err = c.exchange()
	return c.result, err
}

// greet sends the preface, windows that are never in the way, and the first request of each lane.
func (c *connection) greet() {
	c.out = append(c.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	c.frame(frameSettings, 0, 0, []byte{0, 4, 0x7f, 0xff, 0xff, 0xff}) // SETTINGS_INITIAL_WINDOW_SIZE
	c.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, largeWindow-65535))
	for i := range c.load.Streams + c.load.Slow {
		ln := &lane{slow: i >= c.load.Streams}
		c.begin(ln)
		c.request(ln)
	}
}

// begin opens a stream for a lane.
func (c *connection) begin(ln *lane) {
	ln.id = c.nextID
	c.nextID += 2
	c.lanes[ln.id] = ln
	c.block.Reset()
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: c.load.Path},
		{Name: ":authority", Value: "bench"},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
	} {
		c.encoder.WriteField(f)
	}
	c.frame(frameHeaders, flagEndHeaders, ln.id, c.block.Bytes())
}

func (c *connection) frame(kind, flags byte, id uint32, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	c.out = binary.BigEndian.AppendUint32(c.out, id)
	c.out = append(c.out, payload...)
}

// request sends the next request of a lane, the last of a stream with END_STREAM.
func (c *connection) request(ln *lane) {
	ln.rounds++
	ln.sent = time.Now()
	var flags byte
	if ln.slow || c.load.Unary || ln.rounds == c.load.Rounds {
		flags = flagEndStream
	}
	message := c.load.Message
	if ln.slow {
		message = c.load.SlowMessage
	}
	for len(message) > maxFrame {
		c.frame(frameData, 0, ln.id, message[:maxFrame])
		message = message[maxFrame:]
	}
	c.frame(frameData, flags, ln.id, message)
}

// exchange reads until all streams have ended, and answers what it reads batch by batch.
func (c *connection) exchange() error {
	buf := make([]byte, 256<<10)
	have := 0
	for c.open > 0 {
		if len(c.out) > 0 {
			if _, err := c.nc.Write(c.out); err != nil {
				return err
			}
			c.out = c.out[:0]
		}
		n, err := c.nc.Read(buf[have:])
		have += n
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%d streams were open: %w", c.open, err)
		}
		rest, err := c.process(buf[:have])
		if err != nil {
			return err
		}
		have = copy(buf, rest)
	}
	return nil
}

// process takes whole frames, and returns what is left.
func (c *connection) process(b []byte) (rest []byte, err error) {
	for len(b) >= 9 {
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if len(b) < 9+length {
			break
		}
		id := binary.BigEndian.Uint32(b[5:]) & largeWindow
		if err := c.processFrame(b[3], b[4], id, b[9:9+length]); err != nil {
			return nil, err
		}
		b = b[9+length:]
	}
	if c.credit > 1<<24 {
		c.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(c.credit)))
		c.credit = 0
	}
	return b, nil
}

func (c *connection) processFrame(kind, flags byte, id uint32, payload []byte) error {
	switch kind {
	case frameSettings:
		if flags&flagAck == 0 {
			c.frame(frameSettings, flagAck, 0, nil)
		}
	case framePing:
		if flags&flagAck == 0 {
			c.frame(framePing, flagAck, 0, payload)
		}
	case frameData:
		c.credit += len(payload)
		return c.response(c.lanes[id], payload)
	case frameHeaders:
		c.status = ""
		if _, err := c.decoder.Write(payload); err != nil {
			return err
		}
		if flags&flagEndStream != 0 {
			return c.ended(id)
		}
	case frameRSTStream, frameGoAway:
		return fmt.Errorf("the server sent frame type %d on stream %d: %x", kind, id, payload)
	}
	return nil
}

// ended takes the end of a stream, and goes on with the lane if that has more unary RPCs.
func (c *connection) ended(id uint32) error {
	ln := c.lanes[id]
	delete(c.lanes, id)
	switch {
	case ln == nil:
		return fmt.Errorf("stream %d is not known", id)
	case c.status != "0":
		return fmt.Errorf("stream %d ended with grpc-status %q", id, c.status)
	case ln.slow, c.load.Unary && ln.rounds < c.load.Rounds:
		c.begin(ln)
		c.request(ln)
	default:
		c.open--
	}
	return nil
}

// response takes content of a stream, and sends the lane's next request once the reply to the last is complete.
func (c *connection) response(ln *lane, content []byte) error {
	if ln == nil {
		return errors.New("DATA on a stream that is not known")
	}
	if ln.slow {
		return nil
	}
	c.result.Octets += len(content)
	for len(content) > 0 {
		if ln.missing == 0 {
			n := min(5-len(ln.prefix), len(content))
			ln.prefix = append(ln.prefix, content[:n]...)
			content = content[n:]
			if len(ln.prefix) < 5 {
				return nil
			}
			ln.missing = int(binary.BigEndian.Uint32(ln.prefix[1:]))
			ln.prefix = ln.prefix[:0]
		}
		n := min(ln.missing, len(content))
		ln.missing -= n
		content = content[n:]
		if ln.missing > 0 {
			return nil
		}
		c.result.Messages++
		if ln.replies++; ln.replies == c.load.Replies {
			c.result.Waits = append(c.result.Waits, time.Since(ln.sent))
			ln.replies = 0
			if !c.load.Unary && ln.rounds < c.load.Rounds {
				c.request(ln)
			}
		}
	}
	return nil
}
