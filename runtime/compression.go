package runtime

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math"
	goruntime "runtime"
	"strings"
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
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

var compressionNames = [...]string{"identity", "gzip", "deflate"}

// String returns the name that the compression has in grpc-encoding.
func (c Compression) String() string {
	if c.check() != nil {
		return "unknown"
	}
	return compressionNames[c]
}

func (c Compression) check() error {
	if int(c) >= len(compressionNames) {
		return fmt.Errorf("gogreeter: %d is not a compression; use NoCompression, Gzip or Deflate", uint8(c))
	}
	return nil
}

// acceptedEncodings is what we answer in grpc-accept-encoding.
var acceptedEncodings = strings.Join(compressionNames[:], ",")

// compressionNamed returns the compression that has a name in grpc-encoding.
func compressionNamed(name string) (c Compression, ok bool) {
	for i, known := range compressionNames {
		if name == known {
			return Compression(i), true
		}
	}
	return NoCompression, false
}

// errTooLarge says that a message inflates to more than the limit.
var errTooLarge = errors.New("message too large")

// deflater and inflater are what gzip and zlib have in common.
type (
	deflater interface {
		io.WriteCloser
		Reset(w io.Writer)
	}
	inflater interface {
		io.Reader
		restart(r io.Reader) error
	}
	gzipInflater struct{ *gzip.Reader }
	zlibInflater struct{ io.ReadCloser }
)

func (i gzipInflater) restart(r io.Reader) error { return i.Reset(r) }
func (i zlibInflater) restart(r io.Reader) error { return i.ReadCloser.(zlib.Resetter).Reset(r, nil) }

// Deflaters and inflaters are large; each is kept for the next message. Indexed by Compression.
var (
	deflaters = [...]*sync.Pool{
		Gzip:    {New: func() any { return gzip.NewWriter(nil) }},
		Deflate: {New: func() any { return zlib.NewWriter(nil) }},
	}
	inflaters [len(compressionNames)]sync.Pool
)

// bufferWriter is an io.Writer that appends to a buffer, up to a limit.
type bufferWriter struct {
	b     []byte
	limit int
}

func (w *bufferWriter) Write(p []byte) (int, error) {
	need := len(w.b) + len(p)
	if need > w.limit {
		return 0, errTooLarge
	}
	if need > cap(w.b) {
		old := w.b
		w.b = append(buffer.Get(min(max(need, 2*cap(old)), w.limit)), old...)
		buffer.Put(old)
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// deflate appends data to b, compressed. It fails if that makes b longer than limit.
func (c Compression) deflate(b, data []byte, limit int) ([]byte, error) {
	w := deflaters[c].Get().(deflater)
	defer deflaters[c].Put(w)
	out := &bufferWriter{b, limit}
	w.Reset(out)
	_, err := w.Write(data)
	if err == nil {
		err = w.Close()
	}
	return out.b, err
}

// inflating has a place for each inflation at a time. More at once would take as long, and a thousand small messages that
// inflate to the limit would occupy as much memory as a thousand large ones.
var inflating = turns{free: goruntime.GOMAXPROCS(0)}

// deflating is the same for responses. A deflater takes 800 KiB, and a hundred that take turns by being interrupted are no
// faster than one after the other.
var deflating = turns{free: goruntime.GOMAXPROCS(0)}

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
	inflated, err = r.def.compression.inflate(data, first)
	if !small || err != errTooLarge {
		return inflated, inflating.give, err
	}
	inflating.give()
	if large := &r.conn.large; !large.take(r, &r.conn.largeLine) {
		return nil, nil, errOver
	} else if !r.turnToInflate() {
		large.give()
		return nil, nil, errOver
	}
	inflated, err = r.def.compression.inflate(data, limit)
	return inflated, func() { inflating.give(); r.conn.large.give() }, err
}

// turnToInflate waits for the connection's turn, and for room. It reports false if the RPC is over before.
func (r *rpc) turnToInflate() bool {
	for inflating.take(r, &r.conn.inflations) {
		if r.conn.account.MayBegin() || !r.mayWait() {
			return true
		}
		inflating.give()
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
	return m != nil && r.conn.boundOf(m) == nil && (r.conn.server.chain != nil || !m.inline.Load())
}

// inflate inflates data, to limit octets at most; a negative limit is none. The limit holds while inflating, so that a
// small message cannot occupy more memory than a large one could.
func (c Compression) inflate(data []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(data)
	r, kept := inflaters[c].Get().(inflater)
	var err error
	if kept {
		err = r.restart(in)
	} else {
		r, err = c.newInflater(in)
	}
	if kept || err == nil { // one that could not be restarted can be again
		defer inflaters[c].Put(r)
	}
	if err != nil {
		return nil, err
	}
	return readUpTo(r, limit, 4*len(data))
}

// readUpTo reads r to its end into memory of package buffer, limit octets at most; a negative limit is none. some is how many
// it may be. What it returns with an error has been given back.
func readUpTo(r io.Reader, limit, some int) ([]byte, error) {
	if limit < 0 {
		limit = math.MaxInt32
	}
	b := buffer.Get(min(some, limit) + 1)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			buffer.Put(b)
			return nil, errTooLarge
		case err == io.EOF:
			return b, nil
		case err != nil:
			buffer.Put(b)
			return nil, err
		case len(b) == cap(b):
			old := b
			b = append(buffer.Get(min(2*len(old), limit)+1), old...)
			buffer.Put(old)
		}
	}
}

func (c Compression) newInflater(in io.Reader) (inflater, error) {
	if c == Gzip {
		r, err := gzip.NewReader(in)
		return gzipInflater{r}, err
	}
	r, err := zlib.NewReader(in)
	return zlibInflater{r}, err
}
