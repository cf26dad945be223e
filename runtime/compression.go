package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// Compression is how messages are compressed.
type Compression uint8

// Messages that do not become smaller by it are sent as they are, and so is everything to clients that do not accept
// the compression.
const (
	NoCompression Compression = iota
	Gzip
	Deflate // in the zlib format, as HTTP means it
)

// String returns the name that the compression has in grpc-encoding.
func (c Compression) String() string { return wire.Encoding(c).String() }

func (c Compression) check() error {
	if !wire.Encoding(c).Known() {
		return fmt.Errorf("gogreeter: %d is not a compression; use NoCompression, Gzip or Deflate", uint8(c))
	}
	return nil
}

// inflating has a place for each inflation at a time. More at once would take as long, and a thousand small messages that
// inflate to the limit would occupy as much memory as a thousand large ones.
var inflating = work.NewPlaces(goruntime.GOMAXPROCS(0))

// deflating is the same for responses. A deflater takes 800 KiB, and a hundred that take turns by being interrupted are no
// faster than one after the other.
var deflating = work.NewPlaces(goruntime.GOMAXPROCS(0))

// smallInflated is what every request may inflate to. What is larger is inflated again, and there is one such of a connection
// at a time until it has been decoded: what a client's few octets become is the largest thing that it can make us hold.
const smallInflated = 256 << 10

// inflate inflates a request when it is its connection's turn, and there is room for what the handler will make of it: while
// it has waited, others may have filled the account. If the RPC is over before, nobody wants it any more. done ends the turn,
// once the request has been decoded; it is not nil if err is.
func (r *rpc) inflate(data []byte, limit int) (inflated []byte, done func(), err error) {
	if !r.turnToInflate() {
		return nil, nil, errOver
	}
	small := limit < 0 || limit > smallInflated
	first := limit
	if small {
		first = smallInflated
	}
	inflated, err = r.def.compression.Inflate(data, first)
	if e, ok := err.(*wire.Error); !small || !ok || e.Kind != wire.TooLarge {
		return inflated, inflating.Give, err
	}
	inflating.Give()
	if large := r.session.large; !large.Take(r, &r.session.largeLine) {
		return nil, nil, errOver
	} else if !r.turnToInflate() {
		large.Give()
		return nil, nil, errOver
	}
	inflated, err = r.def.compression.Inflate(data, limit)
	return inflated, func() { inflating.Give(); r.session.large.Give() }, err
}

// turnToInflate waits for the connection's turn, and for room. It reports false if the RPC is over before.
func (r *rpc) turnToInflate() bool {
	for inflating.Take(r, &r.session.inflations) {
		if r.session.account.MayBegin() || !r.mayWait() {
			return true
		}
		inflating.Give()
		if !r.waitInLine(budget.ForBeginning, 0) {
			return false
		}
	}
	return false
}

// errOver says that an RPC is over.
var errOver = errors.New("the RPC is over")

// mayWait reports whether what the handler's goroutine does may wait for room: it is not the reader, and does not occupy one
// of a bounded number of workers.
func (r *rpc) mayWait() bool {
	m := r.handled()
	return m != nil && r.session.boundOf(m) == nil && !m.inline.Load()
}
