package runtime

import (
	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// message is a request as it came: still encoded, and perhaps compressed. It is decoded on the handler's goroutine, once it is
// asked for: the reader is not to spend its time on what a handler may never take.
type message struct {
	data       []byte
	claim      *budget.Claim // by which there was room for it; nil: it did not have to be asked for
	reserved   uint32        // octets that the RPC's requestMemory counts for it
	compressed bool
	packed     bool // data is several small messages with their prefixes, in a queue
}

// encoded is a response, encoded. The zero value is none.
type encoded struct {
	data     []byte
	reserved int64 // octets that are reserved for it
	size     int   // octets before it was compressed, without its prefix
}
