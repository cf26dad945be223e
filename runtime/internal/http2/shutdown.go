package http2

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// shutdownPing is the payload of the PING between the two GOAWAY frames of a shutdown.
var shutdownPing = [8]byte{'s', 'h', 'u', 't', 'd', 'o', 'w', 'n'}

// Shutdown ends the connection once the streams that are open have ended. It follows RFC 9113, Section 6.8: a first
// GOAWAY tells the peer to open no more streams; those already under way are still served; after a round trip, or
// shutdownPingTime, a second one names the last stream. Where no stream can be under way, that one is the first.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shutdownLocked("")
}

// shutdownLocked is Shutdown, with a reason for the log of the peer.
func (c *Conn) shutdownLocked(reason string) {
	if c.life.stage != serving {
		return
	}
	last, certain := c.role.lastStreamLocked()
	if certain {
		c.sendFinalGoAwayLocked(last, reason)
		return
	}
	c.life.stage = goAwaySent
	c.out.buf = appendGoAway(c.out.buf, uint32(maxWindow), ErrCodeNo, reason)
	c.out.buf = appendPing(c.out.buf, 0, shutdownPing)
	c.life.timer = time.AfterFunc(shutdownPingTime, c.sendFinalGoAway)
	c.flushLocked()
}

// sendFinalGoAway sends the second GOAWAY. It is called by the reader when the PING has come back, and by the timer.
func (c *Conn) sendFinalGoAway() {
	defer c.life.recoverPanic()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage == goAwaySent {
		c.life.stopTimer()
		last, _ := c.role.lastStreamLocked()
		c.sendFinalGoAwayLocked(last, "")
	}
}

// sendFinalGoAwayLocked sends the GOAWAY that names the peer's last stream.
func (c *Conn) sendFinalGoAwayLocked(last uint32, reason string) {
	c.life.stage = finalGoAwaySent
	c.out.buf = appendGoAway(c.out.buf, last, ErrCodeNo, reason)
	c.endIfNoStreamsLocked()
	c.flushLocked()
}

// End ends the connection now: what has been written goes out, then a GOAWAY frame with code and reason, and then the
// socket is closed. Streams that are open are told by HandleClose. If the connection was passed on, only the socket is closed.
func (c *Conn) End(code ErrCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(endOfConn{}, code, reason)
	c.flushLocked()
}

// endLocked appends the connection's last frame.
func (c *Conn) endLocked(err error, code ErrCode, reason string) {
	c.life.setErr(err)
	if c.life.stage >= ending {
		switch {
		case c.life.stage == passedOn:
			c.releaseLocked()
		case c.life.stage == ending && c.life.timer == nil: // ending in good order; a write may wait for a peer that does not read
			c.life.closeIn(endTime)
		}
		return
	}
	last, _ := c.role.lastStreamLocked()
	c.out.buf = appendGoAway(c.out.buf, last, code, reason)
	c.closeAfterFlushLocked()
}

// closeAfterFlushLocked ends the connection once what is in the out-buffer has been written.
func (c *Conn) closeAfterFlushLocked() {
	c.life.closeAfterFlush(c.out.writing)
	for !c.out.queue.empty() {
		c.out.queue.pop()
	}
	for _, st := range c.streams.open {
		st.wake()
	}
}

// checkProgress ends a connection that is stuck.
func (c *Conn) checkProgress() {
	defer c.life.recoverPanic()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.stuck() {
		err := ConnError{ErrCodeEnhanceYourCalm, "responses are not taken"}
		if c.account.Used(budget.Responses) == 0 {
			err.Reason = "requests are not completed, and the server is full"
		}
		c.endLocked(err, err.Code, err.Reason)
		c.flushLocked()
	}
}
