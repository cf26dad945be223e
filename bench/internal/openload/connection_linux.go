package openload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

// rpc is an RPC that has been sent.
type rpc struct {
	due    time.Duration
	octets int // of the response, so far
	ended  bool
}

// connection is an HTTP/2 connection, on a socket that does not block.
type connection struct {
	generator *generator
	fd        int
	out       []byte
	in        []byte
	have      int             // octets in in
	waiting   []time.Duration // RPCs by the time they are due, of which the first so many are sent
	sent      int
	rpcs      []rpc // by stream: that of stream 1, 3, 5 ...

	acknowledged bool
	open         int // streams
	maxStreams   int // that the server allows
	window       int // octets that the server takes
	credit       int // octets received since the window was last updated

	block   bytes.Buffer
	encoder *hpack.Encoder
	steady  []byte // field block of every request but the first: it refers to the table only
	decoder *hpack.Decoder
	status  string // grpc-status of the field block under way
}

// dial connects, and says what HTTP/2 begins with.
func dial(g *generator) (*connection, error) {
	address, err := netip.ParseAddrPort(g.load.Address)
	if err != nil {
		return nil, err
	}
	if !address.Addr().Is4() {
		return nil, fmt.Errorf("%v is not an IPv4 address", address)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	c := &connection{generator: g, fd: fd, in: make([]byte, 256<<10), maxStreams: 1 << 30, window: frames.DefaultWindow}
	c.rpcs = make([]rpc, 0, g.load.expected()/g.load.Connections+1)
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			c.status = f.Value
		}
	})
	c.out = frames.AppendGreeting(c.out)
	return c, nil
}

func (c *connection) frame(kind, flags byte, id uint32, payload []byte) {
	c.out = frames.Append(c.out, kind, flags, id, payload)
}

// flush begins the RPCs that the server takes, and writes what the socket takes.
func (c *connection) flush() error {
	message := c.generator.load.Message
	for c.sent < len(c.waiting) && c.open < c.maxStreams && c.window >= len(message) {
		c.send(c.waiting[c.sent], message)
		c.sent++
	}
	if c.sent == len(c.waiting) {
		c.waiting, c.sent = c.waiting[:0], 0
	}
	if len(c.out) == 0 {
		return nil
	}
	written, err := unix.Write(c.fd, c.out)
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	} else if err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	c.out = append(c.out[:0], c.out[written:]...)
	return nil
}

// send sends an RPC.
func (c *connection) send(due time.Duration, message []byte) {
	id := uint32(2*len(c.rpcs) + 1)
	c.rpcs = append(c.rpcs, rpc{due: due})
	c.open++
	c.window -= len(message)
	c.frame(frames.Headers, frames.EndHeaders, id, c.fields())
	c.frame(frames.Data, frames.EndStream, id, message)
}

// fields returns the field block of a request. From the second on it is the same, and leaves the table as it is.
func (c *connection) fields() []byte {
	if c.steady != nil {
		return c.steady
	}
	c.block.Reset()
	frames.WriteRequest(c.encoder, "http", c.generator.load.Path)
	if len(c.rpcs) > 1 {
		c.steady = bytes.Clone(c.block.Bytes())
	}
	return c.block.Bytes()
}

// receive takes what has come.
func (c *connection) receive() error {
	n, err := unix.Read(c.fd, c.in[c.have:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading: %w", err)
	} else if n == 0 {
		return io.ErrUnexpectedEOF
	}
	now := c.generator.now()
	c.have += n
	b := c.in[:c.have]
	for {
		f, rest, ok := frames.Next(b)
		if !ok {
			break
		}
		if err := c.process(f, now); err != nil {
			return err
		}
		b = rest
	}
	c.have = copy(c.in, b)
	if c.credit > 1<<24 {
		c.out = frames.AppendCredit(c.out, c.credit)
		c.credit = 0
	}
	return nil
}

// process takes a frame.
func (c *connection) process(f frames.Frame, now time.Duration) error {
	switch f.Kind {
	case frames.Settings:
		c.settings(f.Flags, f.Payload)
	case frames.Ping:
		if f.Flags&frames.Ack == 0 {
			c.frame(frames.Ping, frames.Ack, 0, f.Payload)
		}
	case frames.WindowUpdate:
		if f.ID == 0 {
			c.window += int(binary.BigEndian.Uint32(f.Payload))
		}
	case frames.Data:
		c.credit += len(f.Payload)
		r, err := c.find(f.ID)
		if err != nil {
			return err
		}
		r.octets += len(f.Payload)
	case frames.Headers:
		c.status = ""
		if _, err := c.decoder.Write(f.Payload); err != nil {
			return err
		}
		if f.Flags&frames.EndStream != 0 {
			return c.ended(f.ID, now)
		}
	case frames.RSTStream:
		// NO_ERROR says that the rest of a request is not needed (RFC 9113, Section 8.1): the response has come.
		if _, err := c.find(f.ID); err == nil || binary.BigEndian.Uint32(f.Payload) != 0 {
			return fmt.Errorf("the server reset stream %d: %x", f.ID, f.Payload)
		}
	case frames.GoAway:
		return fmt.Errorf("the server sent GOAWAY: %x", f.Payload)
	}
	return nil
}

// find returns the RPC of a stream that is open.
func (c *connection) find(id uint32) (*rpc, error) {
	if i := int(id / 2); id%2 == 1 && i < len(c.rpcs) && !c.rpcs[i].ended {
		return &c.rpcs[i], nil
	}
	return nil, fmt.Errorf("stream %d is not known", id)
}

// ended takes the end of a stream.
func (c *connection) ended(id uint32, now time.Duration) error {
	r, err := c.find(id)
	switch {
	case err != nil:
		return err
	case c.status != "0":
		return fmt.Errorf("stream %d ended with grpc-status %q", id, c.status)
	case r.octets != c.generator.load.Reply:
		return fmt.Errorf("stream %d had a response of %d octets, not of %d", id, r.octets, c.generator.load.Reply)
	}
	r.ended = true
	c.open--
	c.generator.ended(r.due, now)
	return nil
}

// unanswered returns when the RPCs that have not ended were due, whether or not they were sent.
func (c *connection) unanswered() []time.Duration {
	due := slices.Clone(c.waiting[c.sent:])
	for _, r := range c.rpcs {
		if !r.ended {
			due = append(due, r.due)
		}
	}
	return due
}

// settings takes the server's settings, or its acknowledgment of ours.
func (c *connection) settings(flags byte, payload []byte) {
	if flags&frames.Ack != 0 {
		c.acknowledged = true
		return
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		if binary.BigEndian.Uint16(payload) == frames.MaxConcurrentStreams {
			c.maxStreams = int(binary.BigEndian.Uint32(payload[2:]))
		}
	}
	c.frame(frames.Settings, frames.Ack, 0, nil)
}
