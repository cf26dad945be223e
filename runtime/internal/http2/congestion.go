package http2

import "time"

// congestion is about responses that are complete, and wait for flow-control window that the peer does not give. Their
// handlers have returned, so nothing else bounds them. Guarded by Conn.mu.
type congestion struct {
	asked bool        // the application has been told, and waits for Relieved
	sent  uint64      // octets of DATA appended
	watch *time.Timer // while the connection is congested
}

// Congested reports whether more than Config.MaxUnreadBytes of responses that are complete wait for the peer. The
// application should begin nothing that makes it more; it is told by Relieved when to go on.
func (c *Conn) Congested() bool {
	if !c.congested() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.congestion.asked = c.congested()
	return c.congestion.asked
}

func (c *Conn) congested() bool { return c.unread.Load() > int64(c.config.MaxUnreadBytes) }

// addUnreadLocked counts n octets of a response that has been completed, and that wait.
func (c *Conn) addUnreadLocked(n int) {
	c.unread.Add(int64(n))
	if w := &c.congestion; c.congested() && w.watch == nil && c.stage < ending {
		sent := w.sent
		w.watch = time.AfterFunc(c.config.WriteTimeout, func() { c.checkProgress(sent) })
	}
}

// subUnreadLocked is called when n octets of such a response have gone, or have been dropped.
func (c *Conn) subUnreadLocked(n int) {
	c.unread.Add(-int64(n))
	if c.congested() {
		return
	}
	c.congestion.stopWatch()
	if c.stage < ending { // else closeStreams will
		c.relieveLocked()
	}
}

// relieveLocked calls Relieved if the application waits for it.
func (c *Conn) relieveLocked() {
	if c.congestion.asked {
		c.congestion.asked = false
		go c.app.Relieved()
	}
}

func (w *congestion) stopWatch() {
	if w.watch != nil {
		w.watch.Stop()
		w.watch = nil
	}
}

// checkProgress ends a congested connection if no DATA has gone since there were sent octets of it.
func (c *Conn) checkProgress(sent uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.congestion
	if w.watch == nil {
		return // stopped too late
	}
	w.watch = nil
	if w.sent == sent {
		err := ConnError{ErrCodeEnhanceYourCalm, "responses are not taken"}
		c.endLocked(err, err.Code, err.Reason)
		c.flushLocked()
		return
	}
	c.addUnreadLocked(0)
}
