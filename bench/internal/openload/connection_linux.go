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
	c := &connection{generator: g, fd: fd, in: make([]byte, 256<<10), maxStreams: 1 << 30, window: defaultWindow}
	c.rpcs = make([]rpc, 0, g.load.expected()/g.load.Connections+1)
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			c.status = f.Value
		}
	})
	c.greet()
	return c, nil
}

// greet sends the preface, and windows that are never in the way.
func (c *connection) greet() {
	c.out = append(c.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	c.frame(frameSettings, 0, 0, []byte{0, settingInitialWindowSize, 0x7f, 0xff, 0xff, 0xff})
	c.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, largeWindow-defaultWindow))
}

func (c *connection) frame(kind, flags byte, id uint32, payload []byte) {
	n := len(payload)
	c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	c.out = binary.BigEndian.AppendUint32(c.out, id)
	c.out = append(c.out, payload...)
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
	c.frame(frameHeaders, flagEndHeaders, id, c.fields())
	c.frame(frameData, flagEndStream, id, message)
}

// fields returns the field block of a request. From the second on it is the same, and leaves the table as it is.
func (c *connection) fields() []byte {
	if c.steady != nil {
		return c.steady
	}
	c.block.Reset()
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: c.generator.load.Path},
		{Name: ":authority", Value: "bench"},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
	} {
		c.encoder.WriteField(f)
	}
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
	for len(b) >= 9 {
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if len(b) < 9+length {
			break
		}
		id := binary.BigEndian.Uint32(b[5:]) & largeWindow
		if err := c.process(b[3], b[4], id, b[9:9+length], now); err != nil {
			return err
		}
		b = b[9+length:]
	}
	c.have = copy(c.in, b)
	if c.credit > 1<<24 {
		c.frame(frameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(c.credit)))
		c.credit = 0
	}
	return nil
}

// process takes a frame.
func (c *connection) process(kind, flags byte, id uint32, payload []byte, now time.Duration) error {
	switch kind {
	case frameSettings:
		c.settings(flags, payload)
	case framePing:
		if flags&flagAck == 0 {
			c.frame(framePing, flagAck, 0, payload)
		}
	case frameWindowUpdate:
		if id == 0 {
			c.window += int(binary.BigEndian.Uint32(payload))
		}
	case frameData:
		c.credit += len(payload)
		r, err := c.find(id)
		if err != nil {
			return err
		}
		r.octets += len(payload)
	case frameHeaders:
		c.status = ""
		if _, err := c.decoder.Write(payload); err != nil {
			return err
		}
		if flags&flagEndStream != 0 {
			return c.ended(id, now)
		}
	case frameRSTStream:
		// NO_ERROR says that the rest of a request is not needed (RFC 9113, Section 8.1): the response has come.
		if _, err := c.find(id); err == nil || binary.BigEndian.Uint32(payload) != 0 {
			return fmt.Errorf("the server reset stream %d: %x", id, payload)
		}
	case frameGoAway:
		return fmt.Errorf("the server sent GOAWAY: %x", payload)
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
	if flags&flagAck != 0 {
		c.acknowledged = true
		return
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		if binary.BigEndian.Uint16(payload) == settingMaxConcurrentStreams {
			c.maxStreams = int(binary.BigEndian.Uint32(payload[2:]))
		}
	}
	c.frame(frameSettings, flagAck, 0, nil)
}
