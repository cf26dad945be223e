package runtime

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync"
)

// Compression is how response messages are compressed.
type Compression uint8

const (
	// NoCompression sends messages as they are.
	NoCompression Compression = iota

	// Gzip compresses messages that become smaller by it, if the client accepts gzip.
	Gzip
)

// String returns the name that the compression has in grpc-encoding.
func (c Compression) String() string {
	if c == Gzip {
		return "gzip"
	}
	return "identity"
}

// acceptedEncodings is what we answer in grpc-accept-encoding.
const acceptedEncodings = "identity,gzip"

// errTooLarge says that a message inflates to more than the limit.
var errTooLarge = errors.New("message too large")

var (
	gzipWriters = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.DefaultCompression) // fails for unknown levels only
		return w
	}}
	gzipReaders sync.Pool
)

// sliceWriter is an io.Writer that appends.
type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// appendGzip appends data to b, compressed.
func appendGzip(b, data []byte) ([]byte, error) {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	out := sliceWriter(b)
	w.Reset(&out)
	if _, err := w.Write(data); err != nil {
		return b, err
	}
	err := w.Close()
	return out, err
}

// gunzip inflates data, to limit octets at most; a negative limit is none. The limit holds while inflating, so that a
// small message cannot occupy more memory than a large one could.
func gunzip(data []byte, limit int) ([]byte, error) {
	r, _ := gzipReaders.Get().(*gzip.Reader)
	var err error
	if r == nil {
		r, err = gzip.NewReader(bytes.NewReader(data))
	} else {
		err = r.Reset(bytes.NewReader(data))
	}
	if err != nil {
		return nil, err
	}
	defer gzipReaders.Put(r)
	var in io.Reader = r
	if limit >= 0 {
		in = io.LimitReader(r, int64(limit)+1)
	}
	out, err := io.ReadAll(in)
	if err == nil && limit >= 0 && len(out) > limit {
		err = errTooLarge
	}
	return out, err
}
