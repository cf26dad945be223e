package wire

import (
	"encoding/binary"
	"math"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// PrefixLen is the length of what precedes each message: the Compressed-Flag and the Message-Length (PROTOCOL-HTTP2,
// "Length-Prefixed-Message").
const PrefixLen = 5

// AppendPrefix appends the prefix of a message of length octets.
func AppendPrefix(b []byte, compressed bool, length int) []byte {
	flag := byte(0)
	if compressed {
		flag = 1
	}
	return binary.BigEndian.AppendUint32(append(b, flag), uint32(length))
}

// SetLength completes a prefix once the message has been encoded: how long it becomes is not sure before. It makes the prefix that b begins with say how long the message behind it is.
func SetLength(b []byte) { binary.BigEndian.PutUint32(b[1:], uint32(len(b)-PrefixLen)) }

// ParsePrefix reads a prefix that AppendPrefix has made.
func ParsePrefix(b []byte) (compressed bool, length int) {
	return b[0] == 1, int(binary.BigEndian.Uint32(b[1:]))
}

// Compress returns a message, with its prefix, compressed, if that makes it smaller; otherwise b. The caller must not use b
// any more. What is returned has little more memory than it needs. SetLength has to follow.
func Compress(b []byte, encoding Encoding) []byte {
	out := AppendPrefix(buffer.Get(max(len(b)/4, PrefixLen)), true, 0)
	out, err := encoding.deflate(out, b[PrefixLen:], len(b))
	if err != nil || len(out) >= len(b) {
		buffer.Put(out)
		return b
	}
	buffer.Put(b)
	if buffer.Size(len(out)) < cap(out)/2 {
		return buffer.Move(out, len(out))
	}
	return out
}

// The words of the two that follow are grpc-python's, with which its users look for the limits.

// CheckSent checks a message of size octets, the prefix not counted, that is about to be sent. A limit that is not positive is
// none.
func CheckSent(size, limit int) error {
	if limit > 0 && size > limit {
		return TooLarge.errorf("Sent message larger than max (%d vs. %d)", size, limit)
	}
	return nil
}

// CheckReceived checks the announced size of a message. A negative limit is none but what an int can hold everywhere.
func CheckReceived(size int64, limit int) error {
	if limit < 0 {
		limit = math.MaxInt32
	}
	if size > int64(limit) {
		return TooLarge.errorf("Received message larger than max (%d vs. %d)", size, limit)
	}
	return nil
}

// Cutter cuts messages out of the content of a stream. "DATA frame boundaries have no relation to Length-Prefixed-Message
// boundaries" (PROTOCOL-HTTP2). The zero value is ready for the first message.
type Cutter struct {
	prefix     [PrefixLen]byte
	prefixed   uint8 // octets of the prefix that have arrived; 0: no message is under way
	compressed bool
	data       []byte // what has arrived of the message under way
	missing    int    // octets of it that have not
}

const (
	// SmallMessage is the size up to which a message gets memory of just its size. Most are smaller.
	SmallMessage = 128

	// FirstChunk is the most that is allocated for a message of which only a part has arrived. What a peer announces costs
	// no memory until it sends it.
	FirstChunk = 64 << 10
)

// Feed takes the next octets of content and returns what is left of them behind the first message that they complete. done
// says that there is one, for Take. encoding is the stream's. window tells how much more the peer may send unasked.
func (c *Cutter) Feed(data []byte, limit int, encoding Encoding, window func() int) (rest []byte, done bool, err error) {
	if c.prefixed < PrefixLen {
		n := copy(c.prefix[c.prefixed:], data)
		c.prefixed += uint8(n)
		data = data[n:]
		if c.prefixed < PrefixLen {
			return nil, false, nil
		}
		if err := c.begin(len(data), limit, encoding, window); err != nil {
			return nil, false, err
		}
	}
	n := min(c.missing, len(data))
	for len(data) > 0 && cap(c.data)-len(c.data) < n {
		c.grow(n, window())
	}
	c.data = append(c.data, data[:n]...)
	c.missing -= n
	if c.missing > 0 {
		return nil, false, nil
	}
	c.prefixed = 0
	return data[n:], true, nil
}

// begin starts a message whose prefix is complete, with some octets behind it that have arrived. The length is judged before
// any memory is allocated for it.
func (c *Cutter) begin(arrived, limit int, encoding Encoding, window func() int) error {
	switch flag := c.prefix[0]; {
	case flag > 1:
		return Malformed.errorf("Compressed-Flag is %d; it is 0 or 1", flag)
	case flag == 1 && encoding == Identity:
		return Malformed.errorf("Compressed-Flag is set, but grpc-encoding is identity or missing")
	}
	announced := binary.BigEndian.Uint32(c.prefix[1:])
	if err := CheckReceived(int64(announced), limit); err != nil {
		return err
	}
	length := int(announced)
	c.compressed, c.missing = c.prefix[0] == 1, length
	switch {
	case length <= SmallMessage:
		c.data = make([]byte, 0, length)
	case length <= arrived:
		c.data = buffer.Get(length)
	default:
		c.data = buffer.Get(min(length, FirstChunk, 4*arrived, arrived+window()))
	}
	return nil
}

// grow makes more room for the message under way, of which n octets more have arrived: the first chunk, and then sixteen times
// what there is; but no more than is missing, or than the peer can send.
func (c *Cutter) grow(n, window int) {
	have, size := len(c.data), FirstChunk
	if cap(c.data) >= FirstChunk {
		size = 16 * cap(c.data)
	}
	c.data = buffer.Move(c.data, min(max(size, have+n), have+c.missing, have+n+window))
}

// Partial reports whether a message has begun and not ended.
func (c *Cutter) Partial() bool { return c.prefixed > 0 }

// Missing returns how many octets of the message under way have not arrived, once its prefix is complete.
func (c *Cutter) Missing() int { return c.missing }

// Data returns what has arrived of the message under way. Its capacity is the memory that has been allocated for the message
// so far, which is what a budget has to count.
func (c *Cutter) Data() []byte { return c.data }

// Take returns the message that Feed has completed, without its prefix. The memory is the caller's, and goes to package
// buffer when the message has been decoded.
func (c *Cutter) Take() (data []byte, compressed bool) {
	data, c.data = c.data, nil
	return data, c.compressed
}

// Drop gives up the message under way, and its memory. The Cutter is ready for the first message of a stream again; content of
// the old one would be misread.
func (c *Cutter) Drop() {
	buffer.Put(c.data)
	*c = Cutter{}
}
