package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// An accept that fails for want of resources is tried again after a pause that doubles. At most one error in
// acceptLogPause is logged, even if other accepts succeed meanwhile.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	acceptLogPause = time.Minute
)

// serve starts the accept loop of a port. The server's life has counted it.
func (s *Server) serve(p *ports.Port) { s.spawn("an accept loop", func() { s.accept(p) }) }

// accept is the accept loop of a port. It ends when the server stops, or when somebody else has closed the listener.
// Every other error may be temporary.
func (s *Server) accept(p *ports.Port) {
	defer s.stopAccepting(p)
	var pause time.Duration
	var reported time.Time
	for {
		nc, err := p.Accept()
		if err == nil {
			pause = 0
			s.accepted(p, nc, nil)
			continue
		}
		if s.life.at() >= grace {
			return
		}
		if errors.Is(err, net.ErrClosed) {
			s.logger.Error("A listener was closed, and not by the server; its port is no longer served", "address", p.Address())
			return
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if now := time.Now(); now.Sub(reported) >= acceptLogPause {
			reported = now
			s.logOnOtherGoroutine(func() { // or the port would be closed
				s.logger.Error("Accept failed; trying again", "address", p.Address(), "error", logtext.Of(err))
			})
		}
		select {
		case <-time.After(pause):
		case <-s.closing:
			return
		}
	}
}

// stopAccepting closes a port. It serves the connections in the listener's queue first: their clients have connected
// already, and the kernel would reset them.
func (s *Server) stopAccepting(p *ports.Port) {
	defer func() { s.apply(s.life.endedAccepting()) }() // even if a user's Close ends this goroutine (runtime.Goexit)
	s.serveQueue(p, maxQueued, p.AcceptQueued)
	s.closePort(p)
}

// maxQueued is how many connections of a listener's queue are served when the server stops. Clients go on connecting
// meanwhile, and must not keep the listener open by that. Queues are shorter than this: package net asks for no longer
// ones on most systems.
const maxQueued = 1<<16 - 1

// serveQueue serves the connections that take returns, until that is nil or the grace is over.
func (s *Server) serveQueue(p *ports.Port, most int, take func() (net.Conn, net.Addr)) {
	for range most {
		nc, peer := take()
		if nc == nil || !s.accepted(p, nc, peer) {
			return
		}
	}
}

// accepted serves a connection that was accepted, on a goroutine of its own. peer is nil unless the connection may not know
// it. It reports false if the grace is over: then the connection is closed, and no other is to follow.
func (s *Server) accepted(p *ports.Port, nc net.Conn, peer net.Addr) bool {
	now := time.Now()
	a := &pendingConn{nc: ports.Contain(nc, s.connPanicked), peer: peer, opened: now, setupEnd: now.Add(s.options.SetupTimeout)}
	asked := s.clients.addPending(a)
	if asked == forceClosed {
		s.spawn("the close of a connection", func() { a.nc.Close() })
		return false
	}
	s.life.begin()
	s.spawn("a connection", func() {
		if c := s.setUp(p, a, asked); c != nil {
			c.begin()
		}
	})
	return true
}

// setUp turns a pendingConn into a connection, or closes it. The handshake calls functions of the user's configuration; if
// one panics, only its own connection fails. In each case lifecycle.ended is called once for each of them: here, or by
// forget.
func (s *Server) setUp(p *ports.Port, a *pendingConn, asked shutdown) (c *connection) {
	defer func() {
		if c == nil {
			defer s.doneServing() // even if Close ends this goroutine
			s.clients.fail(a)
			a.nc.Close()
			a.observers.failed(a.err)
		}
	}()
	safely(func() { c = s.handshake(p, a, asked) }, func(reason any) {
		if reason != nil {
			s.logger.Error("Exception in the TLS handshake", "peer", a.address(), "panic", logtext.Cut(panicText(reason)),
				"stack", string(debug.Stack()))
		}
	})
	return c
}

// handshake performs the handshake and makes the connection. It returns nil if the handshake fails, or the grace is over.
func (s *Server) handshake(p *ports.Port, a *pendingConn, asked shutdown) *connection {
	a.err = errHandshakeBroken
	a.observe(&s.serverState)
	if asked >= listenersClosed {
		a.limitHandshake()
	}
	nc, err := p.Handshake(a.nc, a.setupEnd, s.table.Load().serve != nil)
	a.err = err
	switch {
	case err == ports.ErrNotHTTP2:
		s.logger.Debug("TLS client did not negotiate HTTP/2", "peer", a.address())
		return nil
	case err != nil:
		s.logger.Debug("TLS handshake failed", "peer", a.address(), "error", logtext.Of(err))
		return nil
	}
	// Without a lock: this asks a user's connection for what is below its TLS.
	c := newConnection(&s.serverState, nc, a.peer, s.forget)
	c.id, c.observers, c.opened = a.id, a.observers, a.opened
	if s.options.ConnContext != nil && !s.callConnContext(c) {
		a.err = errNoContext
		return nil
	}
	c.h2.SetupBy(a.setupEnd)
	asked = s.clients.promotePending(a, c)
	if asked == forceClosed {
		return nil
	}
	if s.testHookConn != nil {
		s.testHookConn(c)
	}
	if asked == clientsAskedToLeave {
		s.startShutdown(c)
	}
	return c
}

func newConnection(s *serverState, nc net.Conn, peer net.Addr, forget func(*connection)) *connection {
	c := &connection{forget: forget}
	c.connState = connState{shared: s, nc: nc, peer: peer, values: context.Background(), inflatingLarge: work.NewSemaphore(1)}
	c.deadlines.owner = c
	c.account = budget.New(int64(s.options.MaxConnectionBytes), s.account, c.Panicked)
	if _, other := nc.(ports.Other); other {
		nc = struct{ net.Conn }{nc} // package socket would take hold of what TLS writes
	}
	c.h2 = http2.NewConn(nc, c, s.transport, c.account)
	c.queue = work.NewQueue(s.workers, c.h2)
	return c
}

// What observers are told; the log has more.
var (
	errHandshakeBroken = errors.New("gogreeter: the handshake has panicked")
	errNoContext       = errors.New("gogreeter: ServerOptions.ConnContext has panicked, or returned nil")
)

// callConnContext calls ServerOptions.ConnContext for the parent context of the connection's RPCs. It reports false if
// that panics or returns nil.
func (s *Server) callConnContext(c *connection) (ok bool) {
	return safely(func() {
		c.values = context.WithoutCancel(s.options.ConnContext(context.Background(), ports.Uncontained(c.nc)))
	}, func(reason any) {
		s.logger.Error("Exception in ServerOptions.ConnContext", "peer", logtext.Address(c.remoteAddr()),
			"panic", logtext.Cut(panicText(reason)), "stack", string(debug.Stack()))
	})
}

// forget is called when a connection has ended.
func (s *Server) forget(c *connection) {
	s.clients.remove(c)
	s.doneServing()
}

// connPanicked logs that a method of a user's net.Conn has panicked.
func (s *Server) connPanicked(nc net.Conn, method string, reason any) {
	stack := string(debug.Stack())
	s.logOnOtherGoroutine(func() {
		s.logger.Error("Exception in a method of a connection", "type", fmt.Sprintf("%T", nc), "method", method,
			"panic", logtext.Cut(panicText(reason)), "stack", stack)
	})
}

// pendingConn is an accepted connection whose handshake has not succeeded yet.
type pendingConn struct {
	nc        net.Conn
	peer      net.Addr  // nil: nc knows
	setupEnd  time.Time // when the client's first SETTINGS frame has to be there
	opened    time.Time // when it was accepted
	id        ConnectionID
	observers *connectionObservers // nil: there are none
	err       error                // why it does not become a connection; nil: the server has stopped
}

// address is the client's address for the log.
func (a *pendingConn) address() string {
	if a.peer != nil {
		return logtext.Address(a.peer)
	}
	return logtext.Address(a.nc.RemoteAddr())
}

// observe asks observers whether they care for the connection.
func (a *pendingConn) observe(s *serverState) {
	if len(s.options.Observers) == 0 {
		return
	}
	p := &peer.Peer{Addr: a.peer, LocalAddr: ports.Known(a.nc.LocalAddr())}
	if p.Addr == nil {
		p.Addr = ports.Known(a.nc.RemoteAddr())
	}
	a.observers = observeConnection(s, ConnectionInfo{ID: a.id, Peer: p, Opened: a.opened})
}

// limitHandshake gives a client that is in the middle of its handshake, while the server stops, a second for the rest.
func (a *pendingConn) limitHandshake() { a.nc.SetReadDeadline(time.Now().Add(time.Second)) }

// shutdown is how far a server has got in sending its clients away. It only grows.
type shutdown uint8

const (
	noShutdown          shutdown = iota
	listenersClosed              // no client can connect any more, and a handshake under way is limited
	clientsAskedToLeave          // clients have been asked to open no more streams, and new ones are as they come
	forceClosed                  // the grace is over: everything ends
)

// clients are the pending and open connections of a server, how far their shutdown has got, and the totals of those that have
// ended. It holds no lock while it calls one of them.
//
// A client may come at the moment when the shutdown goes further. Then either advance returns it, or addPending and promotePending
// return that it has to be told. If both did, it would be asked twice; if neither did, the server would wait for it for
// ever.
type clients struct {
	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	shutdown    shutdown
	pending     map[*pendingConn]struct{}
	connections map[*connection]struct{}
	accepted    uint64
	received    uint64 // octets, of the connections that have ended
	sent        uint64
}

func newClients() *clients {
	return &clients{pending: make(map[*pendingConn]struct{}), connections: make(map[*connection]struct{})}
}

// addPending adds a pending connection, unless the grace is over, and returns how far the shutdown has got: the caller asks of
// this one what the others were asked before.
func (c *clients) addPending(a *pendingConn) shutdown {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutdown < forceClosed {
		c.accepted++
		a.id = ConnectionID(c.accepted)
		c.pending[a] = struct{}{}
	}
	return c.shutdown
}

// fail removes a pending connection that does not become a connection.
func (c *clients) fail(a *pendingConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, a)
}

// promotePending replaces a pendingConn by its connection, and returns how far the shutdown has got, as addPending does.
func (c *clients) promotePending(a *pendingConn, made *connection) shutdown {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, a)
	if c.shutdown < forceClosed {
		c.connections[made] = struct{}{}
	}
	return c.shutdown
}

// remove removes a connection that has ended.
func (c *clients) remove(ended *connection) {
	received, sent := ended.h2.Octets() // they move to the totals at one moment: Stats sees them once
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.connections, ended)
	c.received += received
	c.sent += sent
}

// all returns the connections.
func (c *clients) all() []*connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.connections))
}

// advance takes the shutdown further, and returns the pending and open connections that this concerns: none if the shutdown
// has got that far already.
func (c *clients) advance(to shutdown) (pending []*pendingConn, connections []*connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.shutdown
	if to <= from {
		return nil, nil
	}
	c.shutdown = to
	if from < listenersClosed || to == forceClosed {
		pending = slices.Collect(maps.Keys(c.pending))
	}
	if to >= clientsAskedToLeave {
		connections = slices.Collect(maps.Keys(c.connections))
	}
	return pending, connections
}

// addTo adds the numbers of the clients.
func (c *clients) addTo(stats *ServerStats) {
	c.mu.Lock()
	connections := slices.Collect(maps.Keys(c.connections)) // at the same moment as the totals
	stats.Accepted += c.accepted
	stats.ReceivedBytes += c.received
	stats.SentBytes += c.sent
	c.mu.Unlock()
	for _, each := range connections {
		each.addTo(stats)
	}
}
