package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// Encoding is how messages are compressed: the Content-Coding of grpc-encoding.
type Encoding uint8

// The encodings. Deflate is in the zlib format, as HTTP means it.
const (
	Identity Encoding = iota
	Gzip
	Deflate
	encodings = iota
)

var encodingNames = [encodings]string{"identity", "gzip", "deflate"}

// AcceptEncoding is the value of grpc-accept-encoding that names all encodings.
var AcceptEncoding = strings.Join(encodingNames[:], ",")

// Known reports whether e is one of the constants.
func (e Encoding) Known() bool { return e < encodings }

// String returns the name that the encoding has in grpc-encoding.
func (e Encoding) String() string {
	if !e.Known() {
		return "unknown"
	}
	return encodingNames[e]
}

// Named returns the encoding of a name, or one that is not known.
func Named(name string) Encoding {
	for i, known := range encodingNames {
		if name == known {
			return Encoding(i)
		}
	}
	return encodings
}

// ParseEncoding reads the value of grpc-encoding.
func ParseEncoding(value string) (Encoding, error) {
	if e := Named(value); e.Known() {
		return e, nil
	}
	return Identity, Unsupported.errorf("grpc-encoding %q is not supported", excerpt.Of(value))
}

// EncodingSet is a set of encodings, such as those that a peer accepts. compression.md: what a peer has not announced must not
// be used for messages to it; Identity need not be announced.
type EncodingSet uint8

// Has reports whether e is in the set.
func (s EncodingSet) Has(e Encoding) bool { return s&(1<<e) != 0 }

// maxAccepted is how many names a peer's grpc-accept-encoding is read for. There are half a dozen; thousands of commas cost a
// peer an octet.
const maxAccepted = 32

// Read adds the encodings that the value of a grpc-accept-encoding names.
func (s *EncodingSet) Read(value string) {
	n := 0
	for name := range strings.SplitSeq(value, ",") {
		if e := Named(strings.Trim(name, " ")); e.Known() {
			*s |= 1 << e
		}
		if n++; n == maxAccepted {
			return
		}
	}
}

// Memory returns what it takes at most to encode a message of size octets: compressed, it is there twice for a moment.
func (e Encoding) Memory(size int) int {
	if e == Identity {
		return size
	}
	return 2 * size
}

// Deflaters and inflaters are what gzip and zlib have in common.
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

// level is that at which messages are deflated. They become as small as by the standard library's default level, give or take 2 %,
// in a third of the time.
const level = 6

// Deflaters and inflaters are large, a deflater 1.1 MiB; each is kept for the next message. Indexed by Encoding.
var (
	deflaters = [encodings]*sync.Pool{
		Gzip:    {New: func() any { return must(gzip.NewWriterLevel(nil, level)) }},
		Deflate: {New: func() any { return must(zlib.NewWriterLevel(nil, level)) }},
	}
	inflaters [encodings]sync.Pool
)

// must returns a deflater. There is an error only for a level that does not exist.
func must[T deflater](w T, err error) T {
	if err != nil {
		panic(err)
	}
	return w
}

// errLimit says that what is written or read is longer than the limit.
var errLimit = errors.New("longer than the limit")

// bufferWriter is an io.Writer that appends to a buffer, up to a limit.
type bufferWriter struct {
	b     []byte
	limit int
}

func (w *bufferWriter) Write(p []byte) (int, error) {
	need := len(w.b) + len(p)
	if need > w.limit {
		return 0, errLimit
	}
	if need > cap(w.b) {
		w.b = buffer.Move(w.b, min(max(need, 2*cap(w.b)), w.limit))
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// deflate appends data to b, compressed. It fails if that makes b longer than limit: a message that does not shrink
// is sent as it is, and need not be compressed to its end.
func (e Encoding) deflate(b, data []byte, limit int) ([]byte, error) {
	w := deflaters[e].Get().(deflater)
	defer deflaters[e].Put(w)
	out := &bufferWriter{b, limit}
	w.Reset(out)
	_, err := w.Write(data)
	if err == nil {
		err = w.Close()
	}
	return out.b, err
}

// Inflate inflates a message to limit octets at most; a negative limit is none. The limit holds while inflating, so that a
// small message cannot occupy more memory than a large one could. The result is in memory of package buffer; data stays the
// caller's.
func (e Encoding) Inflate(data []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(data)
	r, reused := inflaters[e].Get().(inflater)
	var err error
	if reused {
		err = r.restart(in)
	} else {
		r, err = e.newInflater(in)
	}
	if reused || err == nil { // one that could not be restarted can be again
		defer inflaters[e].Put(r)
	}
	var inflated []byte
	if err == nil {
		inflated, err = readUpTo(r, limit, 4*len(data))
	}
	switch {
	case err == errLimit:
		return nil, TooLarge.errorf("Received message larger than max (over %d inflated vs. %d)", limit, limit)
	case err != nil:
		return nil, Corrupt.errorf("not valid %v: %v", e, err)
	}
	return inflated, nil
}

// readUpTo reads r to its end into memory of package buffer, limit octets at most; a negative limit is none. It expects about
// so many octets. What it has read before an error goes back. The memory has room for one octet beyond the limit, by which it
// sees that there is more.
func readUpTo(r io.Reader, limit, expected int) ([]byte, error) {
	if limit < 0 {
		limit = math.MaxInt32
	}
	b := buffer.Get(min(expected, limit) + 1)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			buffer.Put(b)
			return nil, errLimit
		case err == io.EOF:
			return b, nil
		case err != nil:
			buffer.Put(b)
			return nil, err
		case len(b) == cap(b):
			b = buffer.Move(b, min(2*len(b), limit)+1)
		}
	}
}

// newInflater returns an inflater that has read the header of in, or an error and one that must not be used.
func (e Encoding) newInflater(in io.Reader) (inflater, error) {
	if e == Gzip {
		r, err := gzip.NewReader(in)
		return gzipInflater{r}, err
	}
	r, err := zlib.NewReader(in)
	return zlibInflater{r}, err
}
