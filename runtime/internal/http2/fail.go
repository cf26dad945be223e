package http2

import "errors"

// failStream ends a stream by a stream error. Of those, a peer may cause so many.
func (c *Conn) failStream(e StreamError) error {
	if !c.in.floods.takeReset() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many stream errors"}
	}
	return c.resetStream(e)
}

// resetStream answers a stream with RST_STREAM.
func (c *Conn) resetStream(e StreamError) error {
	c.mu.Lock()
	st, idle := c.streams.open[e.StreamID], c.streams.isIdle(e.StreamID)
	if idle && c.life.stage < finalGoAwaySent {
		c.mu.Unlock()
		// RFC 9113, Section 6.4: "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state."
		return ConnError{e.Code, e.Reason}
	}
	c.appendControlLocked(appendRSTStream(c.out.buf, e.StreamID, e.Code))
	if st != nil {
		c.removeLocked(st, true)
	} else if !idle {
		c.streams.recent.add(e.StreamID, true)
	}
	c.streams.opening = false
	c.endIfNoStreamsLocked()
	c.mu.Unlock()
	c.FlushAfterBatch()
	if st != nil {
		st.Handler.HandleClose(e)
	}
	return nil
}

// fail ends the connection by an error: a GOAWAY frame, and then the socket is closed in such a way that the peer
// gets to read it.
func (c *Conn) fail(err error) {
	var connErr ConnError
	if !errors.As(err, &connErr) {
		connErr = ConnError{ErrCodeInternal, err.Error()}
	}
	c.mu.Lock()
	c.endLocked(connErr, connErr.Code, connErr.Reason)
	c.mu.Unlock()
	c.in.buf.drop()
	c.FlushAfterBatch()
	c.closeStreams()
}
