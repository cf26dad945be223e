package http2

import (
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// inbound is the reader's state: the input, and what the reader has to know about the peer. One goroutine at a time owns
// it. If the reader changes, the next one continues with the same value.
type inbound struct {
	preface  prefaceState
	flushDue bool // something was appended that is to be flushed after the batch
	buf      readBuffer
	floods   floods
	upkeep   upkeep
	fields   *fields.Decoder
	block    fieldBlock // the field block under way, while CONTINUATION frames are expected
	window   inflow     // the connection's
	estimate *estimate  // nil: too little has come for one
}

// prefaceState is how much of the peer's preface (RFC 9113, Section 3.4) has been read:
//
//	prefaceDue ──the octets that only a client sends──▶ settingsDue ──its first SETTINGS frame──▶ prefaceDone
//
// The reader alone writes it, with Conn.mu held, and so may read it without.
type prefaceState uint8

// What the reader waits for; prefaceDone: any frame.
const (
	prefaceDue prefaceState = iota
	settingsDue
	prefaceDone
)

// fieldBlock is a field block of which not all frames have been read.
type fieldBlock struct {
	streamID  uint32 // 0: none under way
	endStream bool
	selfDep   bool // the HEADERS frame said that the stream depends on itself
	frames    int  // CONTINUATION frames
	octets    []byte
}

// readBuffer holds the input that has not been processed yet. It implements socket.Buffer.
//
// Frames are processed in place. A frame that is under way is moved to the front of the buffer, to wait there for its end.
// With a client that sends large messages, that would move nearly all content, and reads would fill only half of the
// buffer. So a partly received DATA frame is processed as a frame of its own, and its rest is another.
type readBuffer struct {
	mem            []byte // nil while nothing is there
	start, end     int    // of the unprocessed octets
	lastEnd        int    // end, before the last read
	largeReadsLeft int    // how many reads the memory stays large
	rest           frame  // the DATA frame that was processed in part last
	missing        int    // octets of rest that are still to come; nothing else is there then
}

// readBuffers holds the memory of connections that wait.
var readBuffers = sync.Pool{New: func() any { return new([readBufferSize]byte) }}

// Space implements socket.Buffer: it returns the free end of the memory.
func (b *readBuffer) Space() []byte {
	b.largeReadsLeft = max(0, b.largeReadsLeft-1)
	if b.end-b.lastEnd > manyRead {
		b.largeReadsLeft = bulkReads
	}
	if large := b.largeReadsLeft > 0; b.mem == nil || large != b.large() {
		b.moveTo(newReadMemory(large))
	}
	if b.start > 0 {
		b.start, b.end = 0, copy(b.mem, b.unread())
	}
	if b.missing > 0 {
		b.end = len(appendFrameHeader(b.mem[:0], b.rest.kind, b.rest.flags, b.rest.streamID, b.missing))
		b.missing = 0
	}
	b.lastEnd = b.end
	return b.mem[b.end:]
}

// Idle implements socket.Buffer. While there is nothing to read, it frees the memory that is not needed.
func (b *readBuffer) Idle() {
	switch {
	case b.mem == nil:
	case b.start == b.end:
		b.moveTo(nil)
	case b.large():
		b.moveTo(newReadMemory(false))
	}
}

func newReadMemory(large bool) []byte {
	if large {
		return buffer.Get(largeReadBufferSize)[:largeReadBufferSize]
	}
	return (*readBuffers.Get().(*[readBufferSize]byte))[:]
}

func (b *readBuffer) large() bool { return len(b.mem) > readBufferSize }

// moveTo moves the unprocessed octets, less than a frame, to other memory, and frees the old memory.
func (b *readBuffer) moveTo(mem []byte) {
	n := copy(mem, b.unread())
	switch {
	case b.large():
		buffer.Put(b.mem)
	case b.mem != nil:
		readBuffers.Put((*[readBufferSize]byte)(b.mem))
	}
	b.lastEnd += n - b.end
	b.mem, b.start, b.end = mem, 0, n
}

// unread returns the octets that have not been processed.
func (b *readBuffer) unread() []byte { return b.mem[b.start:b.end] }

// skip marks n octets as processed.
func (b *readBuffer) skip(n int) { b.start += n }

// drop discards the unprocessed octets.
func (b *readBuffer) drop() { b.start, b.end, b.missing = 0, 0, 0 }

// next returns the next frame, or a part of a DATA frame if that part is large enough. ok is false if there is none. The
// frame is valid until Space is called.
func (b *readBuffer) next() (f frame, ok bool, err error) {
	have := b.end - b.start - frameHeaderLen
	if have < 0 {
		return frame{}, false, nil
	}
	f, length := parseFrameHeader(b.unread())
	if length > minMaxFrameSize {
		// RFC 9113, Section 4.2. A connection error is right for every type, and spares us from skipping 16 MiB.
		return frame{}, false, ConnError{ErrCodeFrameSize, "frame larger than SETTINGS_MAX_FRAME_SIZE"}
	}
	if have < length {
		if f.kind != frameData || f.has(flagPadded) || have < minPartialData {
			return frame{}, false, nil
		}
		b.rest, b.missing = f, length-have
		f.flags &^= flagEndStream
		length = have
	}
	f.payload = b.unread()[frameHeaderLen:][:length]
	b.skip(frameHeaderLen + length)
	return f, true, nil
}
