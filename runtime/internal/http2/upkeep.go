package http2

import (
	"errors"
	"math/rand/v2"
	"os"
	"time"
)

// upkeep is what the reader does for its connection while nothing comes: it sends the PING of keepalive, and ends a
// connection that does not answer, that has had no stream for too long, or that is too old.
//
// The read deadline is the only timer. It takes no memory of its own and is not touched while frames come: what has
// happened meanwhile is found out when it passes. It is the reader's.
type upkeep struct {
	setupEnd time.Time // when the peer's first SETTINGS frame has to be there
	lastRead time.Time
	pinged   time.Time // when keepalive's PING was sent; it is answered by whatever comes
	blockEnd time.Time // when the field block under way has to be complete
	ageEnd   time.Time // when the connection is shut down; zero: never
	graceEnd time.Time // when a connection that is too old ends with all its streams; zero: never

	// Of the peer's keepalive.
	lastPing time.Time
	strikes  int
}

// begin sets when the connection will be too old: MaxAge give or take a tenth, so that connections which began
// together do not all come back at once.
func (u *upkeep) begin(config *Config) {
	now := time.Now()
	u.lastRead = now
	u.setupEnd = now.Add(config.SetupTimeout)
	if config.MaxAge > 0 {
		u.ageEnd = now.Add(time.Duration(float64(config.MaxAge) * (0.9 + 0.2*rand.Float64())))
	}
}

// SetupBy sets when the peer's first SETTINGS frame has to be there, in place of Config.SetupTimeout after NewConn: a
// handshake may have taken some of that time. It is for before Serve.
func (c *Conn) SetupBy(end time.Time) { c.upkeep.setupEnd = end }

// watchSetupLocked bounds the time until the peer's first SETTINGS frame has come.
func (c *Conn) watchSetupLocked() {
	if c.life.stage >= ending || c.nc.SetReadDeadline(c.upkeep.setupEnd) == nil || c.life.timer != nil {
		return
	}
	c.life.timer = time.AfterFunc(time.Until(c.upkeep.setupEnd), c.endSetup) // the socket knows no deadlines
}

func (c *Conn) endSetup() {
	defer c.life.contain()
	c.mu.Lock()
	late := !c.greeted
	c.mu.Unlock()
	if late {
		c.nc.Close()
	}
}

var errKeepalive = errors.New("http2: the peer did not answer a keepalive PING")

// tend is called when reading has failed with err. If that means that the read deadline has passed, it does what is due
// and sets the next deadline; it returns why the connection is over otherwise.
func (c *Conn) tend(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !c.greeted {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage >= ending {
		return err
	}
	now := time.Now()
	passed := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	u := &c.upkeep
	if late := now.Sub(u.pinged.Add(c.config.KeepaliveTimeout)); u.waitsForPong() && late >= 0 {
		if late < suspended {
			return errKeepalive
		}
		u.pinged = now // it was we who did not run; the answer may be there
	}
	switch {
	case c.block.streamID != 0 && passed(u.blockEnd):
		slow := ConnError{ErrCodeEnhanceYourCalm, "field block takes too long"}
		c.endLocked(slow, slow.Code, slow.Reason)
	case passed(u.graceEnd):
		c.endLocked(endOfConn{}, ErrCodeNo, "max_age")
	case passed(u.ageEnd):
		u.ageEnd = time.Time{}
		if c.config.MaxAgeGrace > 0 {
			u.graceEnd = now.Add(c.config.MaxAgeGrace)
		}
		c.shutdownLocked("max_age")
	case c.config.MaxIdle > 0 && len(c.streams.open) == 0 && passed(c.streams.idleSince.Add(c.config.MaxIdle)):
		c.shutdownLocked("max_idle")
	}
	if !u.waitsForPong() && passed(u.lastRead.Add(c.config.KeepaliveTime)) {
		u.pinged = now
		c.appendControlLocked(appendPing(c.out.buf, 0, [8]byte{'a', 'l', 'i', 'v', 'e', '?'}))
	}
	c.watchLocked()
	c.flushLocked()
	return nil
}

func (u *upkeep) waitsForPong() bool { return u.pinged.After(u.lastRead) }

// watchLocked sets the read deadline to when something will be due.
func (c *Conn) watchLocked() {
	u := &c.upkeep
	next := u.lastRead.Add(c.config.KeepaliveTime)
	if u.waitsForPong() {
		next = u.pinged.Add(c.config.KeepaliveTimeout)
	}
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(u.ageEnd)
	sooner(u.graceEnd)
	if c.block.streamID != 0 {
		sooner(u.blockEnd)
	}
	if c.config.MaxIdle > 0 && c.life.stage == serving {
		if len(c.streams.open) == 0 {
			sooner(c.streams.idleSince.Add(c.config.MaxIdle))
		} else {
			sooner(time.Now().Add(c.config.MaxIdle)) // it cannot have been idle for that long before
		}
	}
	c.life.setReadDeadline(next)
}

// watchBlock bounds the time that a field block may take whose HEADERS frame has come.
func (c *Conn) watchBlock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upkeep.blockEnd = time.Now().Add(c.config.SetupTimeout)
	c.watchLocked()
}

// permitPing judges a PING that nothing of ours has caused, as gRPC's keepalive document (A8) asks of servers: the
// third that comes too early ends the connection.
func (c *Conn) permitPing() bool {
	u := &c.upkeep
	interval := c.config.MinPingInterval
	if interval > 0 && c.Open() == 0 && !c.config.PingsWithoutStreams {
		interval = max(interval, idlePingInterval)
	}
	now := time.Now()
	early := now.Sub(u.lastPing) < interval
	u.lastPing = now
	if early {
		u.strikes++
	}
	return u.strikes <= maxPingStrikes && c.controls.take()
}

// excusePing takes note of a PING that something of ours has caused.
func (u *upkeep) excusePing() { u.strikes, u.lastPing = 0, time.Now() }
