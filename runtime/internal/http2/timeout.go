package http2

import (
	"errors"
	"os"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// SetupBy sets when the peer's first SETTINGS frame has to be there, in place of Config.SetupTimeout after NewConn: a
// handshake may have taken some of that time. It is for before Serve.
func (c *Conn) SetupBy(end time.Time) { c.in.upkeep.setupEnd = clock.Of(end) }

// watchSetup bounds the time until the peer's first SETTINGS frame is there.
func (c *Conn) watchSetup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.in.upkeep.setupEnd.Time()
	if c.life.stage >= ending || c.nc.SetReadDeadline(end) == nil || c.life.setup != nil {
		return
	}
	c.life.setup = time.AfterFunc(time.Until(end), c.endSetup) // the socket knows no deadlines
}

// endSetup closes a connection whose peer has not said what it speaks.
func (c *Conn) endSetup() {
	defer c.life.recoverPanic()
	c.mu.Lock()
	late := c.in.preface < prefaceDone
	c.mu.Unlock()
	if late {
		c.nc.Close()
	}
}

// errKeepalive ends a connection if the peer has not answered keepalive's PING.
var errKeepalive = errors.New("http2: the peer did not answer a keepalive PING")

// onReadError is called when reading has failed with err. If that means that the read deadline has passed, it does what is
// due and sets the next deadline; it returns why the connection is over otherwise.
func (c *Conn) onReadError(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.in.preface < prefaceDone {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage >= ending {
		return err
	}
	u, now := &c.in.upkeep, clock.Now()
	ping, gone := u.keepalive(c.config, now)
	if gone {
		return errKeepalive
	}
	c.expireLocked(now)
	if ping {
		c.appendControlLocked(appendPing(c.out.buf, 0, [8]byte{'a', 'l', 'i', 'v', 'e', '?'}))
	}
	c.watchLocked(now)
	c.flushLocked()
	return nil
}

// expireLocked ends what has had its time.
func (c *Conn) expireLocked(now clock.Instant) {
	u := &c.in.upkeep
	passed := func(t clock.Instant) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case passed(u.blockEnd):
		slow := ConnError{ErrCodeEnhanceYourCalm, "field block takes too long"}
		c.endLocked(slow, slow.Code, slow.Reason)
	case passed(u.graceEnd):
		c.endLocked(endOfConn{}, ErrCodeNo, "max_age")
	case passed(u.ageEnd):
		u.ageEnd = 0
		if c.config.MaxAgeGrace > 0 {
			u.graceEnd = now.Add(c.config.MaxAgeGrace)
		}
		c.shutdownLocked("max_age")
	case passed(c.idleEndLocked(now)):
		c.shutdownLocked("max_idle")
	case passed(u.lookEnd):
		u.lookEnd = 0
		if again := c.lookLocked(now); again > 0 {
			u.lookEnd = now.Add(again)
		}
	}
}

// watchWindows has the windows looked at after a while, unless they are before.
func (c *Conn) watchWindows(after time.Duration) {
	u := &c.in.upkeep
	if end := u.lastRead.Add(after); u.lookEnd.IsZero() || end.Before(u.lookEnd) {
		u.lookEnd = end
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watchLocked(u.lastRead)
	}
}

// idleEndLocked returns when the connection is shut down if it has no stream until then; zero is never.
func (c *Conn) idleEndLocked(now clock.Instant) clock.Instant {
	switch {
	case c.config.MaxIdle <= 0 || c.life.stage != serving:
		return 0
	case len(c.streams.open) == 0:
		return c.streams.idleSince.Add(c.config.MaxIdle)
	}
	return now.Add(c.config.MaxIdle) // it cannot have been idle for that long before
}

// watchLocked sets the read deadline to when something will be due.
func (c *Conn) watchLocked(now clock.Instant) {
	c.life.setReadDeadline(c.in.upkeep.next(c.config, c.idleEndLocked(now)).Time())
}

// watchBlock bounds the time that a field block may take whose HEADERS frame has been read.
func (c *Conn) watchBlock() {
	now := clock.Now()
	c.in.upkeep.blockEnd = now.Add(c.config.SetupTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchLocked(now)
}
