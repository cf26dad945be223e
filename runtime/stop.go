package runtime

import (
	"maps"
	"slices"
	"time"
)

// beginGraceLocked has the listeners closed, and then the clients asked to open no more streams.
func (s *Server) beginGraceLocked() {
	s.stage = grace
	close(s.closing)
	for _, p := range s.ports {
		s.interrupt(p)
	}
	if arrivals := slices.Collect(maps.Keys(s.arrivals)); len(arrivals) > 0 {
		s.spawn("the handshakes of a server that stops", func() {
			for _, a := range arrivals {
				a.hurry()
			}
		})
	}
	s.shutdownLocked()
	s.maybeTerminateLocked()
}

// shutdownLocked asks the clients to open no more streams, once the server accepts no more connections. Those that come
// out of their handshake later are asked as they come.
func (s *Server) shutdownLocked() {
	if s.stage < grace || s.accepting > 0 || s.leaving {
		return
	}
	s.leaving = true
	connections := slices.Collect(maps.Keys(s.connections))
	s.spawn("the shutdown of the connections", func() {
		for _, c := range connections {
			s.shutDown(c)
		}
	})
}

// shutDown asks a client to open no more streams. One that does not read must not hold up the others.
func (s *Server) shutDown(c *connection) { s.spawn("the shutdown of a connection", c.h2.Shutdown) }

// setGraceLocked has all RPCs cancelled after a time, unless that is going to happen sooner.
func (s *Server) setGraceLocked(graceTime time.Duration) {
	ends := time.Now().Add(graceTime)
	switch {
	case graceTime <= 0:
		s.cutOffLocked()
	case s.graceTimer == nil:
		s.graceTimer = time.AfterFunc(graceTime, s.endGrace)
		s.graceEnds = ends
	case ends.Before(s.graceEnds):
		s.graceTimer.Reset(graceTime)
		s.graceEnds = ends
	}
}

func (s *Server) endGrace() {
	defer s.contain("the end of the grace")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutOffLocked()
}

// cutOffLocked ends what is left when the grace is over.
func (s *Server) cutOffLocked() {
	if s.cutOff || s.stage != grace {
		return
	}
	s.cutOff = true
	arrivals, connections := slices.Collect(maps.Keys(s.arrivals)), slices.Collect(maps.Keys(s.connections))
	s.serving++ // the server does not terminate before its log says what it has cut off
	s.spawn("the end of the grace", func() {
		defer s.ended()
		s.endAll(arrivals, connections)
	})
}

// endAll ends arrivals and connections, all at a time: some may have to wait.
func (s *Server) endAll(arrivals []*arrival, connections []*connection) {
	for _, a := range arrivals {
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
}

// maybeTerminateLocked makes the server terminated if nothing is left of it.
func (s *Server) maybeTerminateLocked() {
	if s.stage != grace || s.serving > 0 {
		return
	}
	s.stage = terminated
	if s.graceTimer != nil {
		s.graceTimer.Stop()
	}
	s.workers.Close()
	if s.handlers() == 0 {
		close(s.done)
		return
	}
	s.spawn("the last words of a server", func() { // without mu, which the log may want
		defer close(s.done)
		if handlers := s.lastHandlers(); handlers > 0 {
			s.logger.Warn("Handlers run still, although the server has terminated", "handlers", handlers)
		}
	})
}

// lastMoment is how long handlers have to return, once their connections have ended, before the log says that they run still.
const lastMoment = 100 * time.Millisecond

// lastHandlers returns how many handlers have not returned when lastMoment is over, or 0 as soon as all have. Those that heed
// their context have only just learned that it is done.
func (s *Server) lastHandlers() (n int) {
	const looks = 50
	for range looks {
		if n = s.handlers(); n == 0 {
			return 0
		}
		time.Sleep(lastMoment / looks)
	}
	return s.handlers()
}

// handlers returns how many handlers have not returned, of a server without connections.
func (s *Server) handlers() int {
	return max(int(s.active.Load())-s.queued(), 0)
}
