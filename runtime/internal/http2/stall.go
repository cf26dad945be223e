package http2

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// stall is about responses that the peer leaves unread while they keep something else from going on. Guarded by Conn.mu.
type stall struct {
	sent  uint64      // octets of DATA appended
	watch *time.Timer // nil: nobody has had to wait lately
}

// WatchStall has the connection end if it is still stuck when Config.WriteTimeout is over, and the peer has taken nothing
// meanwhile. Call it when something has to wait for room in the account.
func (c *Conn) WatchStall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchStallLocked()
}

func (c *Conn) watchStallLocked() {
	if c.stall.watch != nil || c.stage >= ending {
		return
	}
	sent, progress := c.stall.sent, c.account.Progress()
	c.stall.watch = time.AfterFunc(c.config.WriteTimeout, func() {
		defer c.contain()
		c.checkProgress(sent, progress)
	})
}

func (c *Conn) stopWatchLocked() {
	if c.stall.watch != nil {
		c.stall.watch.Stop()
		c.stall.watch = nil
	}
}

// checkProgress ends a connection that is stuck, if it is as it was when that much DATA had been sent, and the account made
// that progress.
func (c *Conn) checkProgress(sent, progress uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stall.watch == nil {
		return // stopped too late
	}
	c.stall.watch = nil
	switch {
	case !c.account.Stuck():
	case sent == c.stall.sent && progress == c.account.Progress():
		err := ConnError{ErrCodeEnhanceYourCalm, "responses are not taken"}
		if c.account.Used(budget.Responses) == 0 {
			err.Reason = "requests are not completed, and the server is full"
		}
		c.endLocked(err, err.Code, err.Reason)
		c.flushLocked()
	default:
		c.watchStallLocked()
	}
}

// holdLocked counts n octets more that are held for responses, or fewer if n is negative.
func (c *Conn) holdLocked(n int64) {
	if n < 0 {
		c.account.Sub(budget.Responses, -n)
		return
	}
	if n == 0 {
		return
	}
	c.account.Add(budget.Responses, n)
	if !c.account.MayBegin() {
		c.watchStallLocked()
	}
}

// Backlog returns the memory behind what waits of responses, octet by octet counted anew: for tests.
func (c *Conn) Backlog() (octets int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	octets = beyondOut(c.out)
	for _, out := range c.full {
		octets += int64(cap(out))
	}
	for _, st := range c.streams.open {
		for _, chunk := range st.backlog.chunks {
			octets += int64(cap(chunk.memory))
		}
		octets += int64(cap(st.trailers))
	}
	return octets
}
