package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
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

// stop has the listener's accept loop end, which closes it.
func (s *Server) stopListener(l *listener) {
	switch socket := l.Listener.(type) {
	case *net.TCPListener:
		socket.SetDeadline(time.Unix(1, 0))
	case *net.UnixListener:
		socket.SetDeadline(time.Unix(1, 0))
	default:
		s.spawn("the close of a listener", func() { s.close(l) }) // which may wait, or ask the server something
	}
}

// stopAccepting closes a listener. The connections in its queue are served before: for their clients connecting has
// succeeded, and the kernel would reset them. Only when no listener is left are the clients asked to go: those that
// come back at once are not to meet one that is about to close.
func (s *Server) stopAccepting(l *listener) {
	defer s.stoppedAccepting() // even if a user's Close ends this goroutine (runtime.Goexit)
	s.serveQueue(l, maxQueued, func() (net.Conn, net.Addr) { return acceptQueued(l.Listener) })
	s.close(l)
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
func (s *Server) serveQueue(l *listener, most int, take func() (net.Conn, net.Addr)) {
	for range most {
		nc, peer := take()
		if nc == nil || !s.begin(l, nc, peer) {
			return
		}
	}
}

// An accept that fails for want of resources is tried again after a pause that doubles. It is said once in a while only,
// even if clients come and go meanwhile.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	acceptLogPause = time.Minute
)

// accept is the accept loop of a port.
func (s *Server) accept(l *listener) {
	defer s.stopAccepting(l)
	var pause time.Duration
	var said time.Time
	for {
		nc, err := acceptOne(l)
		if err == nil {
			pause = 0
			s.begin(l, nc, nil)
			continue
		}
		if s.stopping() {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			s.logger.Error("A listener was closed, and not by the server; its port is no longer served", "address", l.address())
			return
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if now := time.Now(); now.Sub(said) >= acceptLogPause {
			said = now
			s.logger.Error("Accept failed; trying again", "address", l.address(), "error", logtext.Of(err))
		}
		select {
		case <-time.After(pause):
		case <-s.closing:
			return
		}
	}
}

var errNoConn = errors.New("gogreeter: Accept has returned neither a connection nor an error")

// acceptOne accepts a connection. Whatever a user's listener does, there is a connection or an error.
func acceptOne(l *listener) (nc net.Conn, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			nc, err = nil, fmt.Errorf("gogreeter: Accept of a %T has panicked: %s", l.Listener, panicText(reason))
		}
	}()
	nc, err = l.Accept()
	if nc == nil && err == nil {
		return nil, errNoConn
	}
	return nc, err
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage >= grace
}

// begin serves a connection that was accepted, on a goroutine of its own. peer is nil unless the connection may not know
// it. It reports false if the grace is over: then the connection is closed, and no other is to follow.
func (s *Server) begin(l *listener, nc net.Conn, peer net.Addr) bool {
	a := &arrival{nc: s.containConn(nc), peer: peer, setupEnd: time.Now().Add(s.options.SetupTimeout)}
	if s.admitArrival(a) {
		s.spawn("a connection", func() { s.serveConn(l, a) })
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
func (s *Server) serveConn(l *listener, a *arrival) {
	if c := s.setUp(l, a); c != nil {
		c.read()
	}
}

// setUp makes a connection of what was accepted, or closes it. The handshake calls functions of the user's
// configuration; one that panics concerns its own connection only.
func (s *Server) setUp(l *listener, a *arrival) (c *connection) {
	defer func() {
		if c != nil {
			return
		}
		if reason := recover(); reason != nil {
			s.logger.Error("Exception in the TLS handshake", "peer", a.address(), "panic", logtext.Cut(panicText(reason)),
				"stack", string(debug.Stack()))
		}
		s.promote(a, nil, errNotHTTP2)
		a.nc.Close()
		s.ended()
	}()
	if a.late {
		a.hurry()
	}
	ready, err := s.handshake(l, a)
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

// handshake does what TLS needs before HTTP/2 can begin.
func (s *Server) handshake(l *listener, a *arrival) (net.Conn, error) {
	nc := a.nc
	if l.secure != nil {
		nc = l.secure(nc)
	}
	secure, ok := nc.(socket.TLS)
	if !ok {
		return nc, nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), a.setupEnd)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		s.logger.Debug("TLS handshake failed", "peer", a.address(), "error", logtext.Of(err))
		return nil, err
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		// RFC 9113, Section 3.2: HTTP/2 over TLS is negotiated by ALPN.
		s.logger.Debug("TLS client did not negotiate HTTP/2", "peer", a.address())
		return nil, errNotHTTP2
	}
	return secure, nil
}

var errNotHTTP2 = errors.New("gogreeter: the client did not negotiate h2 by ALPN")
