package http2

// beginWindows sets the windows to what the configuration says, as far as the account promises.
func (c *Conn) beginWindows() {
	w, base := &c.windows, min(c.config.ConnWindow, baseConnWindow)
	w.promised = c.account.Promise(int64(c.config.ConnWindow - base))
	w.conn = int32(base) + int32(w.promised)
	w.initial, w.unacked = int32(c.config.StreamWindow), true
	c.in.window = newInflow(w.conn)
}

// shareLocked is how much the connection's window may be, with what streams hold beyond defaultWindow. It is less if there are so
// many streams that they fill the account anyway.
func (c *Conn) shareLocked() int64 { return min(c.mostLocked(), baseConnWindow+c.windows.promised) }

// mostLocked is how much the share can become.
func (c *Conn) mostLocked() int64 {
	limit := c.account.Limit()
	return min(limit/4, max(limit+limit/8-int64(len(c.streams.open))*defaultWindow, limit/8))
}

// Beyond returns how many octets streams hold beyond what every stream may, and beyond what was granted.
func (c *Conn) Beyond() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beyondLocked()
}

func (c *Conn) beyondLocked() int64 {
	beyond := c.windows.beyond.Load()
	if beyond > 0 {
		beyond = max(beyond-c.account.Open(), 0)
	}
	return beyond
}

// changedLocked is called when a stream's window has changed. It reports whether that lets the connection's open. The caller
// flushes then.
func (c *Conn) changedLocked(before, after inflow) (flush bool) {
	w := &c.windows
	beyond := after.beyond() - before.beyond()
	if beyond != 0 {
		w.beyond.Add(beyond)
		w.moved = w.moved || beyond < 0
	}
	w.expected += int64(after.expected) - int64(before.expected)
	return c.credit.owed > 0 && (beyond < 0 || c.credit.withheld || c.credit.left < baseConnWindow/2) && c.openWindowLocked()
}

// openWindowLocked gives the peer the window of the connection's that it is owed, as far as it may have it. The caller flushes if
// it reports true.
//
// While the account has no room, the windows of streams are small. What the peer gets then is for requests that were asked for,
// and it should not spend that on others. It may do so all the same, and what streams hold beyond has cost it window. So it gets
// somewhat more: as if the connection's window were as large as in the beginning.
func (c *Conn) openWindowLocked() (flush bool) {
	switch {
	case c.life.stage >= ending: // in line, the claim would stay there
		return false
	case c.credit.withheld:
	case c.account.Pressed():
		if c.credit.left >= max(c.windows.expected, defaultWindow) {
			return c.shrinkLocked() // the peer has what it needs, and nobody is to wait for room on its behalf
		}
		c.credit.claim.Size = int64(c.credit.owed)
		if c.credit.withheld = !c.account.Ask(&c.credit.claim); c.credit.withheld {
			c.windows.allowed = max(baseConnWindow-c.credit.left, 0) + min(c.windows.expected, c.account.Open())
			c.out.watch()
		}
	}
	if !c.credit.withheld {
		return c.giveLocked(int64(c.credit.owed))
	}
	flush = c.shrinkLocked()
	return c.allowLocked(c.windows.expected-c.credit.left) || flush
}

// allowLocked gives the peer up to n octets of the window that is withheld, as far as that is allowed.
func (c *Conn) allowLocked(n int64) (flush bool) {
	if n = min(n, c.windows.allowed); n <= 0 || c.account.Full() {
		return false
	}
	owed := c.credit.owed
	flush = c.giveLocked(n)
	c.windows.allowed -= int64(owed - c.credit.owed)
	return flush
}

// giveLocked gives the peer up to n octets of the window that it is owed, if it may have them.
func (c *Conn) giveLocked(n int64) (flush bool) {
	w, owed := &c.windows, int64(c.credit.owed)
	share, beyond := c.shareLocked(), c.beyondLocked()
	room := share - beyond - c.credit.left
	if w.initial <= defaultWindow {
		room = max(room, baseConnWindow-c.credit.left)
	}
	n = min(n, owed, room)
	if n > 0 && (n >= min(owed, defaultWindow) || c.credit.withheld) { // less is not worth a frame
		c.appendControlLocked(appendWindowUpdate(c.out.buf, 0, uint32(n)))
		c.credit.owed -= uint32(n)
		c.credit.left += n
		flush = true
	}
	w.short = w.initial > defaultWindow && c.credit.owed > 0 && c.credit.left < share/4
	return flush
}

// shrinkLocked has the windows of streams become small, and stay so for a while, unless they are or SETTINGS are under way. The
// caller flushes if it reports true.
func (c *Conn) shrinkLocked() (flush bool) {
	w := &c.windows
	if w.initial <= defaultWindow || w.unacked {
		return false
	}
	w.smaller, w.shrunk = min(int32(c.config.StreamWindow), defaultWindow), true
	c.tellInitialLocked(w.smaller)
	return true
}

// tellInitialLocked tells the peer another SETTINGS_INITIAL_WINDOW_SIZE. There must be none that it has not acknowledged.
func (c *Conn) tellInitialLocked(initial int32) {
	c.windows.unacked = true
	c.appendControlLocked(appendSettings(c.out.buf, setting{settingInitialWindowSize, uint32(initial)}))
}

// oweLocked gives the peer window of the connection's, or owes it until there is room. The reader calls it when enough has
// come, with a frame of n octets last, which its stream does not hold yet.
func (c *Conn) oweLocked(increment uint32, n int) {
	c.credit.owed += increment
	c.setLeftLocked(n)
	c.in.flushDue = c.openWindowLocked() || c.in.flushDue
}

// setLeftLocked notes what the peer has of the connection's window, before its last n octets.
func (c *Conn) setLeftLocked(n int) {
	c.credit.left = int64(c.in.window.window) - int64(c.credit.owed) + int64(n)
}
