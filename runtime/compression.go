package runtime

import (
	"fmt"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// Compression is how messages are compressed: the name that it has in grpc-encoding. "" is the default of where it stands.
type Compression string

// Messages that do not become smaller by it are sent as they are, and so is everything to clients that do not accept
// the compression.
const (
	NoCompression Compression = "identity"
	Gzip          Compression = "gzip"
	Deflate       Compression = "deflate" // in the zlib format, as HTTP means it
)

func (c Compression) check() error {
	if c != "" && !wire.Named(string(c)).Known() {
		return fmt.Errorf("gogreeter: %q is not a compression; use NoCompression, Gzip or Deflate", string(c))
	}
	return nil
}

// or returns the encoding that a compression is, or another for the default.
func (c Compression) or(other wire.Encoding) wire.Encoding {
	if c == "" {
		return other
	}
	return wire.Named(string(c))
}

// responseEncoding is how the responses of an RPC are compressed. Once one has been, it is fixed: grpc-encoding has to agree.
type responseEncoding struct {
	chosen    atomic.Uint32 // a wire.Encoding, and encodingFixed
	plainNext atomic.Bool   // the next response is not compressed
}

const encodingFixed = 1 << 8

// current returns what grpc-encoding has to say: the choice, whether a response has been compressed by it or not.
func (e *responseEncoding) current() wire.Encoding {
	return wire.Encoding(e.chosen.Load() &^ encodingFixed)
}

// next returns how the next response is compressed, which is about to be made.
func (e *responseEncoding) next() wire.Encoding {
	if e.chosen.Load() == 0 || e.plainNext.Swap(false) {
		return wire.Identity
	}
	return wire.Encoding(e.chosen.Or(encodingFixed) &^ encodingFixed)
}

// choose reports false if a response has been compressed in another way.
func (e *responseEncoding) choose(encoding wire.Encoding) bool {
	for {
		old := e.chosen.Load()
		if old&encodingFixed != 0 && wire.Encoding(old&^encodingFixed) != encoding {
			return false
		}
		if e.chosen.CompareAndSwap(old, old&encodingFixed|uint32(encoding)) {
			return true
		}
	}
}
