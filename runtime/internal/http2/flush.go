package http2

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// Flush writes everything that has been appended. If another goroutine is writing, that one writes it too, and Flush
// returns at once.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.flushLocked()
	c.mu.Unlock()
}

// FlushAfterBatch schedules a flush for the end of the batch that the reader is processing. Only the reader may call it.
func (c *Conn) FlushAfterBatch() { c.in.flushDue = true }

// scheduleFlushLocked schedules a flush. Goroutines that can run get their turn first, and what they append leaves in the
// same write.
func (c *Conn) scheduleFlushLocked() {
	if !c.out.flushScheduled && !c.out.writing && c.out.any() {
		c.out.flushScheduled = true
		go c.runScheduledFlush()
	}
}

// runScheduledFlush is the goroutine of scheduleFlushLocked. Gosched puts it behind those that can run. Otherwise, if the
// reader has just woken many handlers, each of their responses would be a write of its own.
func (c *Conn) runScheduledFlush() {
	defer c.life.recoverPanic()
	runtime.Gosched()
	c.mu.Lock()
	c.out.flushScheduled = false
	c.flushLocked()
	c.mu.Unlock()
}

// flushLocked gives the lock up while it writes, so that others can append.
func (c *Conn) flushLocked() {
	if !c.out.writing {
		c.out.writing = true
		c.writeLocked(flusherWrites)
	}
}

// flusherWrites limits how often the flushing goroutine writes. What others append meanwhile must not keep a worker from
// its handlers, nor the reader from reading.
const flusherWrites = 2

// writeLocked writes until nothing is left. After a number of writes, or if the socket is full, a goroutine of its own
// takes over: a peer that does not read is to hold up neither the worker that came to flush nor the reader.
func (c *Conn) writeLocked(writes int) {
	for ; ; writes-- {
		for s := c.out.pump(); s != nil; s = c.out.pump() {
			c.streams.open[s.id].endLocked(s.trailers)
		}
		if !c.out.any() {
			break
		}
		if writes == 0 {
			c.handOffWriteLocked(nil, nil)
			return
		}
		out, timeout := c.out.take(), c.writeTimeoutLocked()
		c.mu.Unlock()
		rest, err := c.nc.Write(out, timeout, false)
		c.mu.Lock()
		if len(rest) > 0 && err == nil {
			c.handOffWriteLocked(out, rest)
			return
		}
		if !c.bufferWrittenLocked(out, err) {
			break
		}
	}
	c.out.writing = false
	c.life.onAllWritten()
}

// handOffWriteLocked starts a goroutine that writes the rest of an out-buffer, and what is appended meanwhile.
func (c *Conn) handOffWriteLocked(out, rest []byte) {
	c.out.restOf, c.out.rest = out, rest
	if c.out.writeRestFunc == nil {
		c.out.writeRestFunc = c.writeRest
	}
	go c.out.writeRestFunc()
}

// writeRest writes the rest of an out-buffer, however long that takes, and then what was appended meanwhile.
func (c *Conn) writeRest() {
	defer c.life.recoverPanic()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeRestLocked() {
		c.writeLocked(-1)
	}
}

// writeRestLocked reports whether the connection can be written on. The lock is held whichever way it ends: Write may be a
// user's, and end the goroutine.
func (c *Conn) writeRestLocked() (ok bool) {
	out, rest := c.out.restOf, c.out.rest
	if len(rest) == 0 {
		return true
	}
	timeout, err := c.writeTimeoutLocked(), errWriterEnded
	c.out.restOf, c.out.rest = nil, nil
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if ok = c.bufferWrittenLocked(out, err); !ok {
			c.out.writing = false
		}
	}()
	_, err = c.nc.Write(rest, timeout, true)
	return err == nil
}

// errWriterEnded ends a connection after the Write method of a user's net.Conn has panicked or called runtime.Goexit.
var errWriterEnded = errors.New("a Write has ended its goroutine")

// writeTimeoutLocked returns how long a write may make no progress. It is shorter once the connection is ending.
func (c *Conn) writeTimeoutLocked() time.Duration {
	if c.life.stage >= ending {
		return lingerTime
	}
	return c.config.WriteTimeout
}

// bufferWrittenLocked is called when an out-buffer has been written. It reports whether that went well; if not, the connection
// is over.
func (c *Conn) bufferWrittenLocked(out []byte, err error) bool {
	c.sent.Add(uint64(len(out)))
	c.out.give(out)
	c.out.signalWritten()
	if err == nil {
		return true
	}
	c.out.drop()
	c.life.onWriteError(err)
	return false
}

// waitForWriter is called by the reader before each batch. It waits while too much output is unwritten: we read no more from a
// peer that makes us answer and does not read the answers. It reports whether the connection is ending.
func (c *Conn) waitForWriter() (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.writing && (len(c.out.buf) > maxOutReader || len(c.out.filled) > 0) {
		c.waitWrittenLocked()
	}
	return c.life.stage >= ending
}

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
	bufHeld     int64    // octets of buf that the account counts; see holdBuf
	filled      [][]byte // out-buffers that go before buf
	writingHeld int64    // octets that the account counts for the out-buffer being written
}

// ready makes sure that buf is a pooled out-buffer, so that append does not allocate one.
func (o *outBuffers) ready() {
	if o.buf == nil {
		o.buf = newOutBuffer()
	}
}

// any reports whether there is something to be written.
func (o *outBuffers) any() bool { return len(o.buf) > 0 || len(o.filled) > 0 }

// push queues buf for writing, before the next one.
func (o *outBuffers) push() {
	if len(o.buf) > 0 {
		o.filled = append(o.filled, o.buf)
		o.hold(int64(cap(o.buf)) - o.bufHeld)
	} else {
		o.hold(-o.bufHeld)
		freeOutBuffer(o.buf)
	}
	o.buf, o.bufHeld = nil, 0
}

// holdBuf counts the octets by which buf exceeds outBufferSize. Field blocks need no window, so nothing else bounds their
// size. A buf that is full beyond that size is not grown again, since both copies would exist for a moment. A new buffer
// follows it instead.
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
	if len(o.filled) > 0 {
		b, o.filled = o.filled[0], o.filled[1:]
		o.writingHeld = int64(cap(b))
		return b
	}
	b, o.writingHeld = o.buf, o.bufHeld
	o.buf, o.bufHeld, o.filled = nil, 0, nil
	return b
}

// give frees the out-buffer that take returned last.
func (o *outBuffers) give(b []byte) {
	o.hold(-o.writingHeld)
	o.writingHeld = 0
	freeOutBuffer(b)
}

// drop drops what waits to be written. What is being written stays the writer's.
func (o *outBuffers) drop() {
	o.hold(-o.bufHeld)
	freeOutBuffer(o.buf)
	for _, b := range o.filled {
		o.hold(-int64(cap(b)))
	}
	o.buf, o.bufHeld, o.filled = nil, 0, nil
}

// memory returns the octets that are held, counted anew.
func (o *outBuffers) memory() (octets int64) {
	octets = o.beyond()
	for _, b := range o.filled {
		octets += int64(cap(b))
	}
	return octets
}

// flushing says which goroutine writes, and which is going to.
type flushing struct {
	writing        bool       // a goroutine writes
	flushScheduled bool       // a goroutine is about to flush
	rest           []byte     // the part of restOf that the socket has not taken
	restOf         []byte     // the out-buffer that rest is part of
	writeRestFunc  func()     // Conn.writeRest, once for all; owned by the writer
	bufferWritten  *sync.Cond // signalled when an out-buffer has been written, or others have left the socket; nil: unused
}

// waitWrittenLocked waits until an out-buffer has been written, or the connection has ended.
func (c *Conn) waitWrittenLocked() {
	if c.out.bufferWritten == nil {
		c.out.bufferWritten = sync.NewCond(&c.mu)
	}
	c.out.bufferWritten.Wait()
}

// signalWritten wakes those that wait until an out-buffer has been written.
func (f *flushing) signalWritten() {
	if f.bufferWritten != nil {
		f.bufferWritten.Broadcast()
	}
}
