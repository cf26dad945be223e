package http2

import (
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// outBufferPool holds out-buffers. A connection has one only while something waits to be written.
var outBufferPool = sync.Pool{New: func() any { return new([outBufferSize]byte) }}

// newOutBuffer returns an empty out-buffer.
func newOutBuffer() []byte { return outBufferPool.Get().(*[outBufferSize]byte)[:0] }

// freeOutBuffer gives an out-buffer back, unless it is one that append has made.
func freeOutBuffer(b []byte) {
	if cap(b) == outBufferSize {
		outBufferPool.Put((*[outBufferSize]byte)(b[:outBufferSize]))
		return
	}
	buffer.Put(b)
}

// outBuffers are the frames that wait to be written. Frames are appended to buf.
type outBuffers struct {
	stall
	buf         []byte
	bufHeld     int64    // octets of buf that the account has; see holdBuf
	full        [][]byte // out-buffers that go before buf
	writingHeld int64    // octets that the account has of the out-buffer that is being written
}

// ready makes sure that buf is an out-buffer, and not what append would make of nothing.
func (o *outBuffers) ready() {
	if o.buf == nil {
		o.buf = newOutBuffer()
	}
}

// any reports whether there is something to be written.
func (o *outBuffers) any() bool { return len(o.buf) > 0 || len(o.full) > 0 }

// push puts buf before the next one.
func (o *outBuffers) push() {
	if len(o.buf) > 0 {
		o.full = append(o.full, o.buf)
		o.hold(int64(cap(o.buf)) - o.bufHeld)
	} else {
		o.hold(-o.bufHeld)
		freeOutBuffer(o.buf)
	}
	o.buf, o.bufHeld = nil, 0
}

// holdBuf counts what buf has grown to beyond what every connection may have: field blocks need no window, so their size
// is bounded by nothing else. Large ones don't make it grow for ever, which would have it there twice for a moment: there
// is another buffer behind it.
func (o *outBuffers) holdBuf() {
	if len(o.buf) > outBufferSize {
		o.push()
		o.buf = newOutBuffer()
		return
	}
	o.hold(o.beyond() - o.bufHeld)
	o.bufHeld = o.beyond()
}

// beyond is by how much buf is larger than an out-buffer.
func (o *outBuffers) beyond() int64 { return int64(max(0, cap(o.buf)-outBufferSize)) }

// take takes the out-buffer that is next. It is counted until give.
func (o *outBuffers) take() (b []byte) {
	if len(o.full) > 0 {
		b, o.full = o.full[0], o.full[1:]
		o.writingHeld = int64(cap(b))
		return b
	}
	b, o.writingHeld = o.buf, o.bufHeld
	o.buf, o.bufHeld, o.full = nil, 0, nil
	return b
}

// give gives the out-buffer back that take has returned last.
func (o *outBuffers) give(b []byte) {
	o.hold(-o.writingHeld)
	o.writingHeld = 0
	freeOutBuffer(b)
}

// drop drops what waits to be written. What is being written stays the writer's.
func (o *outBuffers) drop() {
	o.hold(-o.bufHeld)
	freeOutBuffer(o.buf)
	for _, b := range o.full {
		o.hold(-int64(cap(b)))
	}
	o.buf, o.bufHeld, o.full = nil, 0, nil
}

// memory returns the octets that are held, counted anew.
func (o *outBuffers) memory() (octets int64) {
	octets = o.beyond()
	for _, b := range o.full {
		octets += int64(cap(b))
	}
	return octets
}
