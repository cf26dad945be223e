package runtime

import (
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// arrival is a connection that was accepted, until it is one of HTTP/2.
type arrival struct {
	nc       net.Conn
	peer     net.Addr  // nil: nc knows
	setupEnd time.Time // when the client's first SETTINGS frame has to be there
	late     bool      // the server had begun to stop
}

// address is the client's address for the log.
func (a *arrival) address() string {
	if a.peer != nil {
		return logtext.Address(a.peer)
	}
	return logtext.Address(a.nc.RemoteAddr())
}

// interrupt has the port's accept loop end, which closes the port.
func (s *Server) interrupt(p *ports.Port) {
	if !p.Interrupt() {
		s.spawn("the close of a listener", func() { s.closePort(p) }) // which may wait, or ask the server something
	}
}

// stopAccepting closes a port. The connections in its listener's queue are served before: for their clients connecting has
// succeeded, and the kernel would reset them. Only when no listener is left are the clients asked to go: those that
// come back at once are not to meet one that is about to close.
func (s *Server) stopAccepting(p *ports.Port) {
	defer s.stoppedAccepting() // even if a user's Close ends this goroutine (runtime.Goexit)
	s.serveQueue(p, maxQueued, p.AcceptQueued)
	s.closePort(p)
}

func (s *Server) stoppedAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepting--
	s.shutdownLocked()
	s.endedLocked()
}

// maxQueued is how many connections of a listener's queue are served when the server stops. Clients go on connecting
// meanwhile, and must not keep the listener open by that. Queues are shorter than this: package net asks for no longer
// ones on most systems.
const maxQueued = 1<<16 - 1

// serveQueue serves what take returns, until that is nil or the grace is over.
func (s *Server) serveQueue(p *ports.Port, most int, take func() (net.Conn, net.Addr)) {
	for range most {
		nc, peer := take()
		if nc == nil || !s.begin(p, nc, peer) {
			return
		}
	}
}

// An accept that fails for want of resources is tried again after a pause that doubles. That is logged once in a while
// only, even if clients come and go meanwhile.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	acceptLogPause = time.Minute
)

// accept is the accept loop of a port.
func (s *Server) accept(p *ports.Port) {
	defer s.stopAccepting(p)
	var pause time.Duration
	var reported time.Time
	for {
		nc, err := p.Accept()
		if err == nil {
			pause = 0
			s.begin(p, nc, nil)
			continue
		}
		if s.stopping() {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			s.logger.Error("A listener was closed, and not by the server; its port is no longer served", "address", p.Address())
			return
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if now := time.Now(); now.Sub(reported) >= acceptLogPause {
			reported = now
			s.logger.Error("Accept failed; trying again", "address", p.Address(), "error", logtext.Of(err))
		}
		select {
		case <-time.After(pause):
		case <-s.closing:
			return
		}
	}
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage >= grace
}

// begin serves a connection that was accepted, on a goroutine of its own. peer is nil unless the connection may not know
// it. It reports false if the grace is over: then the connection is closed, and no other is to follow.
func (s *Server) begin(p *ports.Port, nc net.Conn, peer net.Addr) bool {
	a := &arrival{nc: ports.Contain(nc, s.connPanicked), peer: peer, setupEnd: time.Now().Add(s.options.SetupTimeout)}
	if s.admitArrival(a) {
		s.spawn("a connection", func() { s.serveConn(p, a) })
		return true
	}
	s.spawn("the close of a connection", func() { a.nc.Close() })
	return false
}

// admitArrival notes a connection that was accepted, unless the grace is over.
func (s *Server) admitArrival(a *arrival) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cutOff {
		return false
	}
	s.serving++
	s.accepted.Add(1)
	s.arrivals[a] = struct{}{}
	a.late = s.stage >= grace
	return true
}

// serveConn is the life of a connection.
func (s *Server) serveConn(p *ports.Port, a *arrival) {
	if c := s.setUp(p, a); c != nil {
		c.read()
	}
}

// setUp makes a connection of what was accepted, or closes it. The handshake calls functions of the user's
// configuration; one that panics concerns its own connection only.
func (s *Server) setUp(p *ports.Port, a *arrival) (c *connection) {
	defer func() {
		if c != nil {
			return
		}
		if reason := recover(); reason != nil {
			s.logger.Error("Exception in the TLS handshake", "peer", a.address(), "panic", logtext.Cut(panicText(reason)),
				"stack", string(debug.Stack()))
		}
		s.promote(a, nil, ports.ErrNotHTTP2)
		a.nc.Close()
		s.ended()
	}()
	if a.late {
		a.hurry()
	}
	ready, err := s.handshake(p, a)
	return s.promote(a, ready, err)
}

// forget is called when a connection has ended.
func (s *Server) forget(c *connection) {
	received, sent := c.h2.Octets()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c)
	s.received += received
	s.sent += sent
	s.endedLocked()
}

// promote makes a connection of what has arrived, or forgets it.
func (s *Server) promote(a *arrival, ready net.Conn, err error) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.arrivals, a)
	if err != nil || s.cutOff {
		return nil
	}
	c := newConnection(&s.shared, ready, a.peer, s.forget)
	c.h2.SetupBy(a.setupEnd)
	s.connections[c] = struct{}{}
	if s.watched != nil {
		s.watched(c)
	}
	if s.leaving {
		s.shutDown(c)
	}
	return c
}

// hurry gives a client that is in the middle of its handshake, while the server stops, a second for the rest.
func (a *arrival) hurry() { a.nc.SetReadDeadline(time.Now().Add(time.Second)) }

// ended is called when an accept loop, an arrival or a connection has ended.
func (s *Server) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endedLocked()
}

func (s *Server) endedLocked() {
	s.serving--
	s.maybeTerminateLocked()
}

// handshake makes a connection of what has arrived that HTTP/2 can begin on.
func (s *Server) handshake(p *ports.Port, a *arrival) (net.Conn, error) {
	nc, err := p.Handshake(a.nc, a.setupEnd)
	switch {
	case err == ports.ErrNotHTTP2:
		s.logger.Debug("TLS client did not negotiate HTTP/2", "peer", a.address())
	case err != nil:
		s.logger.Debug("TLS handshake failed", "peer", a.address(), "error", logtext.Of(err))
	}
	return nc, err
}

// connPanicked logs that a method of a connection has panicked whose type is a user's.
func (s *Server) connPanicked(nc net.Conn, method string, reason any) {
	s.logger.Error("Exception in a method of a connection", "type", fmt.Sprintf("%T", nc), "method", method,
		"panic", logtext.Cut(panicText(reason)), "stack", string(debug.Stack()))
}
