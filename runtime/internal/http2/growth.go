package http2

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

const (
	// stuckAfter is how long the peer has little of the connection's window, while no handler takes what streams hold, until the
	// windows of streams become small; and how long they stay so at least.
	stuckAfter = time.Second
)

// beginEstimateLocked begins the estimate, if windows may grow at all.
func (c *Conn) beginEstimateLocked() {
	if c.in.estimate == nil {
		c.in.estimate = new(estimate)
	}
	if most := c.mostLocked(); min(int64(c.config.MaxWindow), most) > int64(c.config.StreamWindow) && most >= int64(c.windows.conn) {
		c.in.estimate.begin()
	} else {
		c.in.estimate.stop()
	}
}

// measure sends the PING of the estimate.
func (c *Conn) measure() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mayAdjustLocked() {
		c.appendControlLocked(appendPing(c.out.buf, 0, c.in.estimate.payload()))
		c.FlushAfterBatch()
	}
}

// mayAdjustLocked reports whether windows may change, for which the peer has to acknowledge something. A connection that is
// being shut down ends behind its last response. nginx, which owes an acknowledgement then, takes that for an end in the middle
// of the response.
func (c *Conn) mayAdjustLocked() bool {
	return c.life.stage == serving
}

// grow is called when the PING of the estimate has been acknowledged. It lets windows grow that are what limits the peer, and
// reports whether any does.
func (c *Conn) grow() (grown bool) {
	e, now := c.in.estimate, c.in.upkeep.lastRead
	c.mu.Lock()
	defer c.mu.Unlock()
	stream, conn := e.end(now, int(c.windows.initial), int(c.in.window.target))
	if !c.mayAdjustLocked() || !c.account.MayBegin() {
		return false
	}
	most := int(min(int64(c.config.MaxWindow), c.mostLocked()))
	grown = c.growStreamsLocked(min(stream, most, defaultWindow+most/max(len(c.streams.open), 1)))
	if grown = c.growConnLocked(min(conn, most)) || grown; grown {
		e.grew(now)
		c.FlushAfterBatch()
	}
	if c.windows.shrunk || min(int(c.windows.initial), int(c.in.window.target)) >= most {
		e.stop()
	}
	return grown
}

// growStreamsLocked lets the windows of streams grow, and reports whether they do.
func (c *Conn) growStreamsLocked(want int) (grown bool) {
	w := &c.windows
	if want <= int(w.initial) || w.unacked || w.shrunk || c.beyondLocked()+c.credit.left > c.shareLocked() {
		return false
	}
	return c.setInitialLocked(int32(want))
}

// growConnLocked lets the window of the connection grow, as far as the account promises, and reports whether it does.
func (c *Conn) growConnLocked(want int) (grown bool) {
	w, target := &c.windows, c.in.window.target
	if want <= int(target) {
		return false
	}
	base := min(c.config.ConnWindow, baseConnWindow)
	if more := int64(want-base) - w.promised; more > 0 {
		w.promised += c.account.Promise(more)
	}
	if want = min(want, base+int(w.promised)); want <= int(target) {
		return false
	}
	c.oweLocked(c.in.window.retarget(int32(want)), 0)
	return true
}

// setInitialLocked has the windows of streams become larger, or smaller once the peer has acknowledged that. It reports false,
// and does nothing, if a stream's window would become too large.
func (c *Conn) setInitialLocked(initial int32) (done bool) {
	if !c.fitsLocked(initial) {
		return false
	}
	c.tellInitialLocked(initial)
	if initial < c.windows.initial {
		c.windows.smaller = initial
	} else {
		c.resizeStreamsLocked(initial)
	}
	return true
}

// fitsLocked reports whether no stream's window becomes larger than windows may be. RFC 9113, Section 6.9.2: the peer would
// have to end the connection.
func (c *Conn) fitsLocked(initial int32) bool {
	for _, st := range c.streams.open {
		if int64(st.in.window)+int64(initial)-int64(c.windows.initial) > maxWindow {
			return false
		}
	}
	return true
}

// resizeStreamsLocked changes the windows of all streams. Those for which more is expected get that back at once.
func (c *Conn) resizeStreamsLocked(initial int32) {
	by := initial - c.windows.initial
	c.windows.initial = initial
	for id, st := range c.streams.open {
		if increment := st.in.resize(by); increment > 0 && st.state.canReceive() {
			c.appendControlLocked(appendWindowUpdate(c.out.buf, id, increment))
		}
	}
}

// acknowledged is called when the peer has acknowledged SETTINGS. It reports whether windows of streams are smaller now. A peer
// that acknowledges too early harms nobody but itself.
func (c *Conn) acknowledged() (smaller bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.windows
	w.unacked = false
	if smaller = w.smaller > 0; smaller {
		c.resizeStreamsLocked(w.smaller)
		w.smaller = 0
		c.FlushAfterBatch()
	}
	if c.credit.owed > 0 {
		c.in.flushDue = c.openWindowLocked() || c.in.flushDue
	}
	if smaller && c.credit.withheld {
		c.in.flushDue = c.allowLocked(w.beyond.Load()) || c.in.flushDue
	}
	return smaller
}

// owe is called when so much has come that the peer is owed window of the connection's: see oweLocked. It reports whether the
// peer has little left that it could use, because of what streams hold.
func (c *Conn) owe(increment uint32, n int) (short bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oweLocked(increment, n)
	if c.windows.promised > 0 {
		c.recantLocked(max(int(c.in.window.window), int(c.in.window.target)))
	}
	return c.windows.short
}

// recantLocked gives back what the account has promised beyond a window of the connection's.
func (c *Conn) recantLocked(window int) {
	w := &c.windows
	needed := min(w.promised, int64(max(window-baseConnWindow, 0)))
	c.account.Recant(w.promised - needed)
	w.promised = needed
}

// lookLocked is called a while after the windows have become other than they were, or the peer short of the connection's. It
// has them become what the configuration says if the connection is idle. Of the connection's window, the peer keeps what it
// has; it gets no more until it has used that. It returns how much later to look again; 0 is not before something happens.
func (c *Conn) lookLocked(now clock.Instant) (again time.Duration) {
	w, configured := &c.windows, int32(c.config.StreamWindow)
	idle := c.in.estimate.idle(now)
	switch {
	case w.short && !w.moved:
		c.shrinkLocked()
	case w.shrunk && (c.credit.withheld || c.beyondLocked() > c.shareLocked()/4 || !c.fitsLocked(configured)):
	case !c.mayAdjustLocked():
	case w.shrunk || idle:
		w.shrunk = false
		c.beginEstimateLocked()
		if !w.unacked && w.initial != configured {
			c.setInitialLocked(configured)
		}
	}
	w.moved = false
	if idle {
		c.in.window.target = min(c.in.window.target, w.conn)
	}
	switch {
	case w.short || w.shrunk:
		return stuckAfter
	case w.initial != configured || c.in.window.target > w.conn:
		return idleAfter
	}
	return 0
}
