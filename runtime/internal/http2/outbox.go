package http2

import (
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// outbox is what waits to be sent, and how much of it the peer lets us send. Guarded by Conn.mu.
type outbox struct {
	outBuffers
	flushing
	maxPending   int       // Config.MaxPendingBytes; immutable
	queue        sendQueue // of streams
	peerWindow   int32     // SETTINGS_INITIAL_WINDOW_SIZE of the peer
	window       int32     // the connection's
	tableSize    uint32    // SETTINGS_HEADER_TABLE_SIZE of the peer
	tableReduced bool      // it has become smaller, and no field block has gone since
	answered     bool      // HEADERS or DATA was appended since the peer's last PING
}

// flushing says which goroutine writes, and which is going to.
type flushing struct {
	writing       bool      // a goroutine writes
	promised      bool      // a goroutine is about to flush
	rest          []byte    // what the socket did not take of restOf
	restOf        []byte    // the out-buffer of which there is a rest
	writeRestFunc func()    // Conn.writeRest, once for all; owned by the writer
	drained       sync.Cond // signalled when an out-buffer has been written
}

// windowOf is how many octets a stream may send.
func (o *outbox) windowOf(s *sender) int { return int(min(o.ownWindow(s), int64(o.window))) }

// ownWindow is how many octets a stream may send as far as its own window goes. Before open has judged it, it may be more than
// an int of 32 bits holds.
func (o *outbox) ownWindow(s *sender) int64 { return int64(o.peerWindow) + s.delta }

// enqueue puts a stream into the queue if it has data that its own window lets out.
func (o *outbox) enqueue(s *sender) {
	if !s.queued && s.backlog.size > 0 && o.ownWindow(s) > 0 {
		o.queue.push(s)
	}
}

// send appends as much of data as may go, and leaves the rest on the stream. It reports whether data itself is the stream's
// now, for which paid octets have been counted, rather than a copy.
func (o *outbox) send(s *sender, data []byte, paid int64) (taken bool) {
	rest := data
	// Streams that wait for the connection's window go first.
	if s.backlog.size == 0 && o.queue.empty() {
		for len(rest) > 0 {
			n := o.appendData(s, rest, maxOut-len(o.buf))
			if n == 0 {
				break
			}
			rest = rest[n:]
		}
	}
	if len(rest) > 0 {
		held := s.backlog.cost
		if taken = s.backlog.add(data, rest); taken {
			held += paid
		}
		o.hold(s.backlog.cost - held)
		o.enqueue(s)
	}
	s.full.Store(s.backlog.size > o.maxPending)
	return taken
}

// appendData appends a DATA frame with the first octets of data, up to limit and as far as the windows allow. It returns how
// many there were.
func (o *outbox) appendData(s *sender, data []byte, limit int) int {
	n := min(len(data), o.windowOf(s), limit, minMaxFrameSize)
	if n <= 0 {
		return 0
	}
	o.buf = append(appendFrameHeader(o.buf, frameData, 0, s.id, n), data[:n]...)
	o.window -= int32(n)
	s.delta -= int64(n)
	o.sent += uint64(n)
	o.answered = true
	return n
}

// appendHeaders appends a field block. After the peer has made its dynamic table smaller, the next one has to begin
// with a Dynamic Table Size Update (RFC 7541, Section 4.2), although our field blocks do not use the table.
func (o *outbox) appendHeaders(s *sender, block []byte, endStream bool) {
	if o.tableReduced {
		o.tableReduced = false
		block = append([]byte{tableSizeZero}, block...)
	}
	frames := len(block)/minMaxFrameSize + 1
	if need := len(block) + frames*frameHeaderLen; need > outBufferSize && cap(o.buf)-len(o.buf) < need {
		o.push()
		o.buf = buffer.Get(need)
	}
	o.buf = appendHeaders(o.buf, s.id, block, endStream, minMaxFrameSize)
	o.holdBuf()
}

// tableSizeZero is a Dynamic Table Size Update to 0 (RFC 7541, Section 6.3), which is within every limit.
const tableSizeZero = 0x20

// appendEnd appends the end of a stream.
func (o *outbox) appendEnd(s *sender, trailers []byte) {
	if trailers != nil {
		o.appendHeaders(s, trailers, true)
	} else {
		o.buf = appendFrameHeader(o.buf, frameData, flagEndStream, s.id, 0)
	}
}

// finish notes that the stream ends behind its data. It reports whether nothing of that waits, so that its end is due.
func (o *outbox) finish(s *sender, trailers []byte) (due bool) {
	s.finish = true
	if s.backlog.size == 0 {
		return true
	}
	s.trailers = append([]byte(nil), trailers...)
	o.hold(int64(cap(s.trailers)))
	return false
}

// discard drops what waits of a stream.
func (o *outbox) discard(s *sender) {
	o.hold(-s.backlog.cost - int64(cap(s.trailers)))
	s.backlog.clear()
	s.trailers = nil
	o.tellRoom(s)
}

// forget takes a stream out of the outbox that has ended.
func (o *outbox) forget(s *sender) {
	if s.queued {
		o.queue.remove(s)
	}
	o.discard(s)
}

// tellRoom tells the goroutines that wait for room that the backlog has shrunk, or that the stream is over.
func (o *outbox) tellRoom(s *sender) {
	s.full.Store(s.backlog.size > o.maxPending)
	s.wake()
}

// pump moves data of the queued streams to the out-buffer, a frame of each in turn. It returns a stream whose data has all
// gone and whose end is due, and has to be called again then; nil if nothing more can go.
func (o *outbox) pump() *sender {
	for !o.queue.empty() && o.window > 0 && len(o.buf) < maxOut {
		s := o.queue.pop()
		if s.backlog.size == 0 {
			continue
		}
		o.ready()
		held := s.backlog.cost
		s.backlog.advance(o.appendData(s, s.backlog.next(), minMaxFrameSize))
		o.hold(s.backlog.cost - held)
		if s.backlog.size <= o.maxPending {
			o.tellRoom(s)
		}
		if s.backlog.size > 0 {
			o.enqueue(s)
		} else if s.finish {
			return s
		}
	}
	return nil
}

// open adds an increment to a stream's window. It reports false if that makes the window larger than RFC 9113, Section
// 6.9.1 allows.
func (o *outbox) open(s *sender, increment int64) bool {
	if o.ownWindow(s)+increment > maxWindow {
		return false
	}
	s.delta += increment
	o.enqueue(s)
	return true
}
