package runtime

import (
	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// message is a request as it came: still encoded, and perhaps compressed.
type message struct {
	data       []byte
	claim      *budget.Claim // by which there was room for it; nil: it did not have to be asked for
	paid       uint32        // octets that the RPC's tab has for it
	compressed bool
	packed     bool // data is several small messages with their prefixes, in a queue
}

// encoded is a response, encoded. The zero value is none.
type encoded struct {
	data []byte
	paid int64 // octets that are reserved for it
}

// encodeMessage encodes a response of size octets with its prefix, in b if it has the room. It waits for nothing.
func encodeMessage(b []byte, c *codec, response any, size int, encoding wire.Encoding, limit int) ([]byte, error) {
	if size > cap(b) {
		b = buffer.Get(size)
	}
	b, err := c.encode(wire.AppendPrefix(b, false, 0), response)
	if err != nil {
		return b, err
	}
	if encoding != wire.Identity {
		b = wire.Compress(b, encoding)
	}
	if err := wire.CheckSent(len(b)-wire.PrefixLen, limit); err != nil {
		return b, err
	}
	wire.SetLength(b)
	return b, nil
}
