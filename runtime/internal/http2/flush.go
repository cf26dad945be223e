package http2

import (
	"errors"
	"runtime"
	"time"
)

// Flush lets everything go that has been appended. If another goroutine is writing, that one takes it along and Flush
// returns at once.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.flushLocked()
	c.mu.Unlock()
}

// FlushAfterBatch has everything flushed that has been appended, once the reader has processed what was readable. Only the
// reader may call it.
func (c *Conn) FlushAfterBatch() { c.in.flushDue = true }

// promiseLocked has everything flushed that has been appended, but not at once: goroutines that can run get their turn
// before, and what they append leaves in the same write.
func (c *Conn) promiseLocked() {
	if !c.out.promised && !c.out.writing && c.out.any() {
		c.out.promised = true
		go c.flushPromised()
	}
}

// flushPromised is the goroutine of promiseLocked. Gosched puts it behind those that can run: a reader that has just woken many
// handlers would otherwise have each of their responses written on its own.
func (c *Conn) flushPromised() {
	defer c.life.contain()
	runtime.Gosched()
	c.mu.Lock()
	c.out.promised = false
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

// flusherWrites is how often the goroutine writes that came to flush. What others append meanwhile must not keep a worker
// from its handlers, nor the reader from reading.
const flusherWrites = 2

// writeLocked writes until nothing is left. After a number of writes, and if the socket is full, a goroutine of its own
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
			c.goOnLocked(nil, nil)
			return
		}
		out, timeout := c.out.take(), c.writeTimeoutLocked()
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
	c.out.writing = false
	c.life.written()
}

// goOnLocked has a goroutine of its own write the rest of an out-buffer, and what is appended meanwhile.
func (c *Conn) goOnLocked(out, rest []byte) {
	c.out.restOf, c.out.rest = out, rest
	if c.out.writeRestFunc == nil {
		c.out.writeRestFunc = c.writeRest
	}
	go c.out.writeRestFunc()
}

// writeRest writes the rest of an out-buffer, however long that takes, and then what was appended meanwhile.
func (c *Conn) writeRest() {
	defer c.life.contain()
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
		if ok = c.wroteLocked(out, err); !ok {
			c.out.writing = false
		}
	}()
	_, err = c.nc.Write(rest, timeout, true)
	return err == nil
}

// errWriterEnded is why a connection ends whose Write, of a type of the user's, has called runtime.Goexit or panicked.
var errWriterEnded = errors.New("a Write has ended its goroutine")

// writeTimeoutLocked is how long a write may make no progress: the last words of a connection have less time.
func (c *Conn) writeTimeoutLocked() time.Duration {
	if c.life.stage >= ending {
		return lingerTime
	}
	return c.config.WriteTimeout
}

// wroteLocked is called when an out-buffer has been written. It reports whether that went well; if not, the connection
// is over.
func (c *Conn) wroteLocked(out []byte, err error) bool {
	c.sent.Add(uint64(len(out)))
	c.out.give(out)
	c.out.drained.Broadcast()
	if err == nil {
		return true
	}
	c.out.drop()
	c.life.broken(err)
	return false
}

// yield is where the reader pauses between batches. If a writer is stuck, it waits: a peer that makes us answer and
// does not read the answers gets no more of our attention. It reports whether the connection has ended.
func (c *Conn) yield() (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.out.writing && (len(c.out.buf) > maxOutReader || len(c.out.full) > 0) {
		c.out.drained.Wait()
	}
	return c.life.stage >= ending
}
