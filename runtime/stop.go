package runtime

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// apply carries out what a change in the server's life asks for. Several goroutines may run it at a time, and their effects may
// come in any order: a port is closed once, the shutdown of the clients only grows, and the server terminates once.
func (s *Server) apply(e effects) {
	for _, p := range e.unused {
		defer s.closePort(p) // even if closing another ends this goroutine (runtime.Goexit)
	}
	for _, p := range e.interrupted {
		s.interrupt(p)
	}
	s.shutDown(e.clients)
	if e.terminated {
		s.terminate()
	}
}

// interrupt makes a port's accept loop end. The loop closes the port when it has served the queue. A user's listener
// cannot be interrupted; it is closed instead.
func (s *Server) interrupt(p *ports.Port) {
	if !p.Interrupt() {
		s.spawn("the close of a listener", func() { s.closePort(p) }) // which may wait, or ask the server something
	}
}

// graceOver is called by the timer when the time of grace is over. The server may have terminated just before.
func (s *Server) graceOver() {
	s.survive("the end of the grace", func() { s.apply(s.life.stop(0)) })
}

// doneServing is called when something has ended that life.begin has counted.
func (s *Server) doneServing() { s.apply(s.life.ended()) }

// shutDown takes the shutdown of the clients further, on other goroutines, so that clients that do not read hold up no
// others.
func (s *Server) shutDown(to shutdown) {
	if to == forceClosed {
		s.forceClose()
		return
	}
	pending, connections := s.clients.advance(to)
	for _, c := range connections {
		s.startShutdown(c)
	}
	if len(pending) > 0 {
		s.spawn("the handshakes of a server that stops", func() {
			for _, a := range pending {
				a.limitHandshake()
			}
		})
	}
}

// startShutdown asks a client to open no more streams.
func (s *Server) startShutdown(c *connection) { s.spawn("the shutdown of a connection", c.h2.Shutdown) }

// forceClose ends all pending and open connections, all at a time: each may have to wait. The server terminates only after it has
// logged what it cut off.
func (s *Server) forceClose() {
	s.life.begin()
	pending, connections := s.clients.advance(forceClosed)
	s.spawn("the end of the grace", func() {
		defer s.doneServing()
		for _, a := range pending {
			s.spawn("the close of a connection", func() { a.nc.Close() })
		}
		rpcs := 0
		for _, c := range connections {
			rpcs += c.cancelAll()
			s.spawn("the end of a connection", c.end)
		}
		if rpcs > 0 {
			s.logger.Warn("RPCs were cut off since the grace is over", "rpcs", rpcs)
		}
	})
}

// terminate is called once, when all connections have ended.
func (s *Server) terminate() {
	s.workers.Close() // those that are busy end with their handler
	if s.handlers() == 0 {
		close(s.life.done)
		return
	}
	s.spawn("waiting for handlers after the stop", func() {
		defer close(s.life.done)
		if handlers := s.waitForHandlers(); handlers > 0 {
			s.logger.Warn("Handlers run still, although the server has terminated", "handlers", handlers)
		}
	})
}

// handlerExitTimeout is how long handlers may take to return once their connections have ended. After that, the log says that they
// still run.
const handlerExitTimeout = 100 * time.Millisecond

// waitForHandlers returns how many handlers have not returned when handlerExitTimeout is over, or 0 as soon as all have.
// Handlers that heed their context have only just learned that it is done.
func (s *Server) waitForHandlers() (n int) {
	const looks = 50
	for range looks {
		if n = s.handlers(); n == 0 {
			return 0
		}
		time.Sleep(handlerExitTimeout / looks)
	}
	return s.handlers()
}

// handlers returns how many handlers have not returned, of a server without connections.
func (s *Server) handlers() int { return max(int(s.active.Load())-s.queued(), 0) }
