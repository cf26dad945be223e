package http2

import (
	"math/rand/v2"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// upkeep is what the reader does for its connection while nothing is read: it sends the PING of keepalive, and ends a
// connection that does not answer, that has had no stream for too long, or that is too old.
//
// The read deadline is the only timer. It takes no memory of its own and is not touched while frames are read: what has
// happened meanwhile is found out when it passes. It is the reader's.
type upkeep struct {
	setupEnd clock.Instant // when the peer's first SETTINGS frame has to be there
	lastRead clock.Instant
	pinged   clock.Instant // when keepalive's PING was sent; it is answered by whatever is read
	blockEnd clock.Instant // when the field block under way has to be complete; zero: none is under way
	lookEnd  clock.Instant // when the windows are looked at; zero: they are as configured
	ageEnd   clock.Instant // when the connection is shut down; zero: never
	graceEnd clock.Instant // when a connection that is too old ends with all its streams; zero: never

	// Of the peer's keepalive.
	pingInterval time.Duration // as Config.MinPingInterval
	lastPing     clock.Instant
	strikes      int
}

// newUpkeep sets when the connection will be too old: MaxAge give or take a tenth, so that connections which began
// together do not all begin anew at once.
func newUpkeep(config *Config) (u upkeep) {
	now := clock.Now()
	u.lastRead = now
	u.setupEnd = now.Add(config.SetupTimeout)
	u.pingInterval = config.MinPingInterval
	if config.MaxAge > 0 {
		u.ageEnd = now.Add(time.Duration(float64(config.MaxAge) * (0.9 + 0.2*rand.Float64())))
	}
	return u
}

// keepalive reports whether keepalive's PING is due now, and then takes it as sent, or whether the peer did not answer it.
func (u *upkeep) keepalive(config *Config, now clock.Instant) (ping, gone bool) {
	if late := now.Sub(u.pinged.Add(config.KeepaliveTimeout)); u.waitsForPingAck() && late >= 0 {
		if late < clockJump {
			return false, true
		}
		u.pinged = now // this process did not run; the answer may be there
	}
	if u.waitsForPingAck() || now.Before(u.lastRead.Add(config.KeepaliveTime)) {
		return false, false
	}
	u.pinged = now
	return true, false
}

// waitsForPingAck reports whether nothing has been read since keepalive's PING.
func (u *upkeep) waitsForPingAck() bool { return u.pinged.After(u.lastRead) }

// next returns when something will be due. idleEnd is when a connection without streams is shut down; zero: never.
func (u *upkeep) next(config *Config, idleEnd clock.Instant) clock.Instant {
	next := u.lastRead.Add(config.KeepaliveTime)
	if u.waitsForPingAck() {
		next = u.pinged.Add(config.KeepaliveTimeout)
	}
	for _, t := range [...]clock.Instant{u.ageEnd, u.graceEnd, u.blockEnd, u.lookEnd, idleEnd} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

// permitPing checks a PING that none of our frames has caused, as gRPC's keepalive document (A8) asks of servers: the
// third early PING ends the connection.
func (u *upkeep) permitPing(config *Config, streams bool) bool {
	interval := u.pingInterval
	if interval > 0 && !streams && !config.PingsWithoutStreams {
		interval = max(interval, idlePingInterval)
	}
	now := clock.Now()
	early := now.Sub(u.lastPing) < interval
	u.lastPing = now
	if early {
		u.strikes++
	}
	return u.strikes <= maxPingStrikes
}

// resetPingStrikes is called for a PING that our own frames have caused. It clears the strikes.
func (u *upkeep) resetPingStrikes() { u.strikes, u.lastPing = 0, clock.Now() }
