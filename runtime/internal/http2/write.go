package http2

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// streamQueue is the queue of streams that have both data and window, and wait for the connection. First in, first
// out: each turn sends one frame, so that streams share the connection evenly.
type streamQueue struct{ head, tail *Stream }

func (q *streamQueue) empty() bool { return q.head == nil }

func (q *streamQueue) push(st *Stream) {
	st.queued, st.next = true, nil
	if q.head == nil {
		q.head = st
	} else {
		q.tail.next = st
	}
	q.tail = st
}

func (q *streamQueue) pop() *Stream {
	st := q.head
	q.head = st.next
	st.queued, st.next = false, nil
	return st
}

// remove takes a stream out of the queue. Only streams that are reset are in it when they end.
func (q *streamQueue) remove(st *Stream) {
	var before *Stream
	for at := q.head; at != st; at = at.next {
		before = at
	}
	if before == nil {
		q.head = st.next
	} else {
		before.next = st.next
	}
	if q.tail == st {
		q.tail = before
	}
	st.queued, st.next = false, nil
}

// outBuffers holds out-buffers. A connection has one only while something waits to be written.
var outBuffers = sync.Pool{New: func() any { return new([outBufferSize]byte) }}

func newOut() []byte { return outBuffers.Get().(*[outBufferSize]byte)[:0] }

// freeOut gives an out-buffer back, unless it is one that append has made.
func freeOut(out []byte) {
	if cap(out) == outBufferSize {
		outBuffers.Put((*[outBufferSize]byte)(out[:outBufferSize]))
		return
	}
	buffer.Put(out)
}

// windowLocked is how many octets the stream may send.
func (c *Conn) windowLocked(st *Stream) int {
	return min(int(int64(c.peerWindow)+st.outDelta), int(c.outWindow))
}

// enqueueLocked puts a stream into the queue if it has data that its own window lets out.
func (c *Conn) enqueueLocked(st *Stream) {
	if !st.queued && st.backlog.size > 0 && int64(c.peerWindow)+st.outDelta > 0 {
		c.queue.push(st)
	}
}

// appendDataLocked appends as much of data as may go, and keeps the rest on the stream. It reports whether it kept
// data itself rather than a copy.
func (c *Conn) appendDataLocked(st *Stream, data []byte) (kept bool) {
	rest := data
	if st.backlog.size == 0 && c.queue.empty() {
		sent := 0
		for sent < len(data) {
			n := c.appendFrameLocked(st, data[sent:], maxOut-len(c.out))
			if n == 0 {
				break
			}
			sent += n
		}
		rest = data[sent:]
	}
	if len(rest) == 0 {
		return false
	}
	kept = st.backlog.add(data, rest)
	c.enqueueLocked(st)
	return kept
}

// appendFrameLocked appends a DATA frame with the first octets of data, up to limit and as far as the windows allow.
// It returns how many there were.
func (c *Conn) appendFrameLocked(st *Stream, data []byte, limit int) int {
	n := min(len(data), c.windowLocked(st), limit, minMaxFrameSize)
	if n <= 0 {
		return 0
	}
	c.out = append(appendFrameHeader(c.out, frameData, 0, st.id, n), data[:n]...)
	c.outWindow -= int32(n)
	c.stall.sent += uint64(n)
	c.answered = true
	st.outDelta -= int64(n)
	return n
}

// appendHeadersLocked appends a field block. After the peer has made its dynamic table smaller, the next one has to begin
// with a Dynamic Table Size Update (RFC 7541, Section 4.2), although our field blocks do not use the table.
func (c *Conn) appendHeadersLocked(st *Stream, block []byte, endStream bool) {
	if c.tableReduced {
		c.tableReduced = false
		block = append([]byte{tableSizeZero}, block...)
	}
	frames := len(block)/minMaxFrameSize + 1
	if need := len(block) + frames*frameHeaderLen; need > outBufferSize && cap(c.out)-len(c.out) < need {
		c.pushOutLocked()
		c.out = buffer.Get(need)
	}
	c.out = appendHeaders(c.out, st.id, block, endStream, minMaxFrameSize)
	c.holdOutLocked()
}

// pushOutLocked puts the out-buffer before the next one.
func (c *Conn) pushOutLocked() {
	if len(c.out) > 0 {
		c.full = append(c.full, c.out)
		c.holdLocked(int64(cap(c.out)) - c.outHeld)
	} else {
		c.holdLocked(-c.outHeld)
		freeOut(c.out)
	}
	c.out, c.outHeld = nil, 0
}

// holdOutLocked counts what the out-buffer has grown to beyond what every connection may have: field blocks need no window,
// so their size is bounded by nothing else. Large ones don't make it grow for ever, which would have it there twice for a
// moment: there is another buffer behind it.
func (c *Conn) holdOutLocked() {
	if len(c.out) > outBufferSize {
		c.pushOutLocked()
		c.out = newOut()
		return
	}
	c.holdLocked(beyondOut(c.out) - c.outHeld)
	c.outHeld = beyondOut(c.out)
}

func beyondOut(out []byte) int64 { return int64(max(0, cap(out)-outBufferSize)) }

// hasOutLocked reports whether there is something to be written.
func (c *Conn) hasOutLocked() bool { return len(c.out) > 0 || len(c.full) > 0 }

// takeOutLocked takes the out-buffer that is next. It is counted until giveOutLocked.
func (c *Conn) takeOutLocked() (out []byte) {
	if len(c.full) > 0 {
		out, c.full = c.full[0], c.full[1:]
		c.writingHeld = int64(cap(out))
		return out
	}
	out, c.writingHeld = c.out, c.outHeld
	c.out, c.outHeld, c.full = nil, 0, nil
	return out
}

// giveOutLocked gives the out-buffer back that takeOutLocked has returned last.
func (c *Conn) giveOutLocked(out []byte) {
	c.holdLocked(-c.writingHeld)
	c.writingHeld = 0
	freeOut(out)
}

// dropOutLocked drops what waits to be written. What is being written stays the writer's.
func (c *Conn) dropOutLocked() {
	for _, out := range c.full {
		c.holdLocked(-int64(cap(out)))
	}
	c.holdLocked(-c.outHeld)
	freeOut(c.out)
	c.out, c.outHeld, c.full = nil, 0, nil
}

// tableSizeZero is a Dynamic Table Size Update to 0 (RFC 7541, Section 6.3), which is within every limit.
const tableSizeZero = 0x20

// appendEndLocked ends the response.
func (c *Conn) appendEndLocked(st *Stream, trailers []byte) {
	if trailers != nil {
		c.appendHeadersLocked(st, trailers, true)
	} else {
		c.out = appendFrameHeader(c.out, frameData, flagEndStream, st.id, 0)
	}
	c.closeLocalLocked(st)
}

// closeLocalLocked notes that END_STREAM was appended. A server's response ends the stream: if the request has not
// ended, the rest of it is declined.
func (c *Conn) closeLocalLocked(st *Stream) {
	if st.state.set(localClosed)&remoteClosed == 0 {
		if st.drain {
			return // the end of the request removes it
		}
		c.out = appendRSTStream(c.out, st.id, ErrCodeNo)
		c.removeLocked(st, true)
		return
	}
	c.removeLocked(st, false)
}

// endDrained forgets a stream whose request has ended after its response. The reader calls it.
func (c *Conn) endDrained(st *Stream) {
	if st.drain && st.state.isClosed() {
		c.mu.Lock()
		c.removeLocked(st, false)
		c.dirty = c.dirty || c.stage == ending
		c.mu.Unlock()
	}
}

// removeLocked forgets a stream. byUs says that we reset it, so that frames may still be under way.
func (c *Conn) removeLocked(st *Stream, byUs bool) {
	if !c.streams.remove(st, byUs) {
		return
	}
	if c.account.End(budget.Streams) == 0 && c.config.MaxIdle > 0 {
		c.streams.idleSince = time.Now()
	}
	if st.queued {
		c.queue.remove(st)
	}
	if st.state.bits.Load()&closed != closed {
		st.state.set(reset)
	}
	c.clearLocked(st)
	c.roomLocked(st)
	st.Handler.HandleRemoved()
	c.endIfDrainedLocked()
}

// clearLocked drops what waits of a response.
func (c *Conn) clearLocked(st *Stream) {
	c.holdLocked(-st.backlog.cost - int64(cap(st.trailers)))
	st.backlog.clear()
	st.trailers = nil
}

// roomLocked tells those who wait for room that the backlog has shrunk, or that the stream is over.
func (c *Conn) roomLocked(st *Stream) {
	st.full.Store(st.backlog.size > c.config.MaxPendingBytes)
	c.wakeLocked(st)
}

func (c *Conn) wakeLocked(st *Stream) {
	if st.room != nil {
		st.room.Broadcast()
	}
}

// appendControlLocked takes the out-buffer with a frame of the connection's own appended, unless nothing may be sent
// any more.
func (c *Conn) appendControlLocked(out []byte) {
	if c.stage < ending {
		c.out = out
	}
}

// pumpLocked moves data of the queued streams to the out-buffer, a frame of each in turn.
func (c *Conn) pumpLocked() {
	for !c.queue.empty() && c.outWindow > 0 && len(c.out) < maxOut {
		st := c.queue.pop()
		if st.backlog.size == 0 || !st.state.canSend() {
			continue
		}
		if c.out == nil {
			c.out = newOut()
		}
		held := st.backlog.cost
		st.backlog.advance(c.appendFrameLocked(st, st.backlog.next(), minMaxFrameSize))
		c.holdLocked(st.backlog.cost - held)
		if st.backlog.size <= c.config.MaxPendingBytes {
			c.roomLocked(st)
		}
		if st.backlog.size > 0 {
			c.enqueueLocked(st)
			continue
		}
		if st.finish {
			c.appendEndLocked(st, st.trailers)
		}
	}
}

// Flush lets everything go that has been appended. If another goroutine is writing, that one takes it along and Flush
// returns at once.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.flushLocked()
	c.mu.Unlock()
}

// promiseLocked has everything flushed that has been appended, but not at once: goroutines that can run get their turn
// before, and what they append leaves in the same write.
func (c *Conn) promiseLocked() {
	if !c.promised && !c.writing && c.hasOutLocked() {
		c.promised = true
		go c.flushPromised()
	}
}

func (c *Conn) flushPromised() {
	defer c.contain()
	runtime.Gosched()
	c.mu.Lock()
	c.promised = false
	c.flushLocked()
	c.mu.Unlock()
}

// flushLocked gives the lock up while it writes, so that others can append.
func (c *Conn) flushLocked() {
	if !c.writing {
		c.writing = true
		c.writeLocked(flusherWrites)
	}
}

// flusherWrites is how often whoever came to flush writes. What others append meanwhile must not keep a worker from its
// handlers, nor the reader from reading.
const flusherWrites = 2

// writeLocked writes until nothing is left. After a number of writes, and if the socket is full, a goroutine of its own
// takes over: a peer that does not read is to hold up neither the worker that came to flush nor the reader.
func (c *Conn) writeLocked(writes int) {
	for ; ; writes-- {
		c.pumpLocked()
		if !c.hasOutLocked() {
			break
		}
		if writes == 0 {
			c.goOnLocked(nil, nil)
			return
		}
		out, timeout := c.takeOutLocked(), c.writeTimeoutLocked()
		c.mu.Unlock()
		rest, err := c.nc.Write(out, timeout, false)
		c.mu.Lock()
		if len(rest) > 0 && err == nil {
			c.goOnLocked(out, rest)
			return
		}
		if !c.wroteLocked(out, err) {
			break
		}
	}
	c.writing = false
	if c.stage == ending {
		c.stage = lingering
		c.halfClose()
	}
}

// goOnLocked has a goroutine of its own write the rest of an out-buffer, and what is appended meanwhile.
func (c *Conn) goOnLocked(out, rest []byte) {
	c.restOf, c.rest = out, rest
	if c.writeRestFunc == nil {
		c.writeRestFunc = c.writeRest
	}
	go c.writeRestFunc()
}

// writeRest writes the rest of an out-buffer, however long that takes, and then what was appended meanwhile.
func (c *Conn) writeRest() {
	defer c.contain()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeRestLocked() {
		c.writeLocked(-1)
	}
}

// writeRestLocked reports whether the connection can be written on. The lock is held whichever way it ends: Write may be a
// user's, and end the goroutine.
func (c *Conn) writeRestLocked() (ok bool) {
	out, rest := c.restOf, c.rest
	if len(rest) == 0 {
		return true
	}
	timeout, err := c.writeTimeoutLocked(), errWriterEnded
	c.restOf, c.rest = nil, nil
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if ok = c.wroteLocked(out, err); !ok {
			c.writing = false
		}
	}()
	_, err = c.nc.Write(rest, timeout, true)
	return err == nil
}

var errWriterEnded = errors.New("Write has ended its goroutine")

func (c *Conn) writeTimeoutLocked() time.Duration {
	if c.stage >= ending {
		return lingerTime
	}
	return c.config.WriteTimeout
}

// wroteLocked is called when an out-buffer has been written. It reports whether that went well; if not, the connection
// is over.
func (c *Conn) wroteLocked(out []byte, err error) bool {
	c.sent.Add(uint64(len(out)))
	c.giveOutLocked(out)
	c.drained.Broadcast()
	if err == nil {
		return true
	}
	c.dropOutLocked()
	c.stage = lingering
	c.setEndErrLocked(err)
	c.nc.Abort() // ends the reader, which does the rest
	return false
}

// yield is where the reader pauses between batches. If a writer is stuck, it waits: a peer that makes us answer and
// does not read the answers gets no more of our attention. It reports whether the connection has ended.
func (c *Conn) yield() (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing && (len(c.out) > maxOutReader || len(c.full) > 0) {
		c.drained.Wait()
	}
	return c.stage >= ending
}
