package http2

import "time"

// shutdownPing is the payload of the PING between the two GOAWAY frames of a shutdown.
var shutdownPing = [8]byte{'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'}

// Shutdown ends the connection once the streams that are open have ended. It follows RFC 9113, Section 6.8: a first
// GOAWAY tells the peer to open no more streams; those already under way are still served; after a round trip, or
// shutdownPingTime, a second one names the last stream.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shutdownLocked("")
}

func (c *Conn) shutdownLocked(reason string) {
	if c.stage != serving {
		return
	}
	c.stage = goneAway
	c.out.buf = appendGoAway(c.out.buf, uint32(maxWindow), ErrCodeNo, reason)
	c.out.buf = appendPing(c.out.buf, 0, shutdownPing)
	c.timer = time.AfterFunc(shutdownPingTime, c.drain)
	c.flushLocked()
}

// drain sends the second GOAWAY. It is called by the reader when the PING has come back, and by the timer.
func (c *Conn) drain() {
	defer c.contain()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage != goneAway {
		return
	}
	c.stage = draining
	c.timer.Stop()
	c.timer = nil
	c.out.buf = appendGoAway(c.out.buf, c.streams.highest, ErrCodeNo, "")
	c.endIfDrainedLocked()
	c.flushLocked()
}

// endIfDrainedLocked ends the connection if it is being shut down and its last stream has ended. What has been written
// still has to be flushed.
func (c *Conn) endIfDrainedLocked() {
	if c.stage == draining && c.streams.none() {
		c.setEndErrLocked(endOfConn{})
		c.stage = ending
	}
}

// End ends the connection now: what has been written goes out, then a GOAWAY frame with code and reason, and then the
// socket is closed. Streams that are open are told by HandleClose.
func (c *Conn) End(code ErrCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(endOfConn{}, code, reason)
	c.flushLocked()
}

// endLocked appends the last frame there will be.
func (c *Conn) endLocked(err error, code ErrCode, reason string) {
	c.setEndErrLocked(err)
	if c.stage >= ending {
		if c.stage == ending && c.timer == nil { // in good order, and a write may wait for a peer that does not read
			c.closeInLocked(endTime)
		}
		return
	}
	c.out.buf = appendGoAway(c.out.buf, c.streams.highest, code, reason)
	c.lastWordsLocked()
}

// lastWordsLocked ends the connection once what is in the out-buffer has been written.
func (c *Conn) lastWordsLocked() {
	c.stage = ending
	c.closeInLocked(endTime)
	c.nc.SetReadDeadline(time.Now().Add(endTime)) // one that has passed would end the reader, and the socket with it, first
	if c.out.writing {
		c.nc.SetWriteDeadline(time.Now().Add(lingerTime)) // a peer that does not read cannot hold us up
	}
	for !c.out.queue.empty() {
		c.out.queue.pop()
	}
	for _, st := range c.streams.open {
		st.wake()
	}
}

// closeInLocked has the socket closed after a time, whatever the peer does and whether the socket knows deadlines.
func (c *Conn) closeInLocked(after time.Duration) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(after, func() {
		defer c.contain()
		c.nc.Close()
	})
}

func (c *Conn) setEndErrLocked(err error) {
	if c.endErr == nil {
		c.endErr = err
	}
}

// halfClose tells the peer that we have said everything, and gives it lingerTime to close its side. Closing the
// socket at once could destroy what it has not read yet: data that arrives on a closed socket is answered with a TCP
// reset.
func (c *Conn) halfClose() {
	c.nc.CloseWrite()
	c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	if c.timer == nil {
		c.closeInLocked(endTime) // the socket may know no deadlines
	}
}

// setReadDeadlineLocked sets when the reader gives up, unless the connection has ended: then that is settled.
func (c *Conn) setReadDeadlineLocked(at time.Time) {
	if c.stage < ending {
		c.nc.SetReadDeadline(at)
	}
}

// Streams calls visit for each open stream. visit must not block or use the connection.
func (c *Conn) Streams(visit func(*Stream)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.streams.open {
		visit(st)
	}
}

// Stream returns an open stream by its identifier; nil if it is not open.
func (c *Conn) Stream(id uint32) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams.open[id]
}
