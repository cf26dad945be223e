package runtime

import (
	"errors"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// stage is where a server is in its life:
//
//	          Start            Serve's ctx            Stop           the last connection has ended
//	stopped ─────────▶ started ───────────▶ draining ───────▶ grace ──────────────────────────────▶ terminated
//
// As _ServerStage in grpc-python, which knows no draining, and calls the last stage STOPPED too although a server cannot
// be started twice. A server that drains serves as one that is started; Stop without Serve does not dwell there, and Stop
// without Start leads from stopped to terminated.
type stage uint8

const (
	stopped stage = iota
	started
	draining
	grace
	terminated
)

// Errors of a server that is asked for something its stage does not allow.
var (
	ErrAlreadyStarted = errors.New("gogreeter: cannot start an already-started server")
	ErrStopped        = errors.New("gogreeter: the server has been stopped; make a new one")
)

// lifecycle is the stage of a server, and what has to end before the server terminates. It decides, and acts on nothing but
// its channels and its timer: what else a change asks for, its methods return. The server does that without a lock
// (stop.go), since users' listeners and logs, which it calls then, may ask the server something.
//
// A server that stops goes through these steps:
//
//	stop            the accept loops are to end; handshakes are limited     listenersClosed
//	endedAccepting  after the last one: clients are asked to go             clientsAskedToLeave
//	stop(0)         the time is over, or there was none: everything ends    forceClosed
//	ended           after the last one: the server has terminated
//
// The third is left out if all clients go in time. A server without ports begins with the second.
type lifecycle struct {
	// Immutable after newLifecycle.
	graceOverFunc func()        // called by the timer when the grace is over
	draining      chan struct{} // closed when the stage draining is reached
	closing       chan struct{} // closed when grace begins
	done          chan struct{} // closed when the server has terminated, by the server

	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	stage     stage
	ports     []*ports.Port
	accepting int         // accept loops that have not ended
	serving   int         // what else has not: pending and open connections, and the report of what was cut off
	timer     *time.Timer // nil: no grace has been given
	graceEnds time.Time
}

// effects are what a change in the life of a server asks the server to do. The zero value is nothing.
type effects struct {
	unused      []*ports.Port // to be closed: they have never been served
	interrupted []*ports.Port // their accept loops have to end, which close them
	clients     shutdown      // how far the shutdown of the clients has to be
	terminated  bool          // nothing is left of the server
}

func newLifecycle(graceOver func()) *lifecycle {
	return &lifecycle{
		graceOverFunc: graceOver,
		draining:      make(chan struct{}),
		closing:       make(chan struct{}),
		done:          make(chan struct{}),
	}
}

// at returns the stage.
func (l *lifecycle) at() stage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stage
}

// add adds a port, and reports whether it needs an accept loop now, which is counted.
func (l *lifecycle) add(p *ports.Port) (serve bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stage >= grace {
		return false, ErrStopped
	}
	l.ports = append(l.ports, p)
	if l.stage == stopped {
		return false, nil
	}
	l.accepting++
	return true, nil
}

// start returns the ports that need an accept loop, which are counted.
func (l *lifecycle) start() (serve []*ports.Port, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.stage {
	case stopped:
		l.stage = started
		l.accepting = len(l.ports)
		return l.ports, nil
	case terminated:
		return nil, ErrStopped
	default:
		return nil, ErrAlreadyStarted
	}
}

// drain makes a started server drain.
func (l *lifecycle) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stage == started {
		l.drainLocked()
	}
}

// drainLocked closes the channel draining, once.
func (l *lifecycle) drainLocked() {
	if l.stage < draining {
		l.stage = draining
		close(l.draining)
	}
}

// stop begins the grace, or makes it shorter: a time of zero or less ends it.
func (l *lifecycle) stop(graceTime time.Duration) (e effects) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.stage {
	case stopped:
		e.unused, l.ports = l.ports, nil
		l.beginGraceLocked()
		l.stage = terminated
		close(l.done) // here, so that no listener that misbehaves in its Close is in the way
		return e
	case started, draining:
		e.interrupted = l.ports
		l.beginGraceLocked()
		e.clients = l.shutdownLocked()
	case terminated:
		return e
	}
	if l.limitGraceLocked(graceTime) {
		e.clients = forceClosed
	}
	e.terminated = l.terminateLocked()
	return e
}

// beginGraceLocked closes the channels that tell others that the server stops.
func (l *lifecycle) beginGraceLocked() {
	l.drainLocked()
	l.stage = grace
	close(l.closing)
}

// shutdownLocked is how far the shutdown of the clients is during the grace. Only when no port is left are they asked to go:
// those that come back at once are not to meet a port that is about to close.
func (l *lifecycle) shutdownLocked() shutdown {
	if l.accepting > 0 {
		return listenersClosed
	}
	return clientsAskedToLeave
}

// limitGraceLocked makes the grace end after a time, unless it ends sooner anyway. It reports whether the grace is over
// now.
func (l *lifecycle) limitGraceLocked(graceTime time.Duration) (over bool) {
	ends := time.Now().Add(graceTime)
	switch {
	case graceTime <= 0:
		return true
	case l.timer == nil:
		l.timer = time.AfterFunc(graceTime, l.graceOverFunc)
		l.graceEnds = ends
	case ends.Before(l.graceEnds):
		l.timer.Reset(graceTime)
		l.graceEnds = ends
	}
	return false
}

// begin counts something that has to end before the server terminates. An accept loop that runs, or something else that is
// counted, calls it: else the server may have terminated.
func (l *lifecycle) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving++
}

// ended is called when something has ended that begin has counted.
func (l *lifecycle) ended() (e effects) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving--
	e.terminated = l.terminateLocked()
	return e
}

// endedAccepting is called when an accept loop has ended.
func (l *lifecycle) endedAccepting() (e effects) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepting--
	if l.stage == grace {
		e.clients = l.shutdownLocked()
	}
	e.terminated = l.terminateLocked()
	return e
}

// terminateLocked makes the server terminated if nothing is left of it. It reports whether it did: that is once, and the
// caller has to have the server close done.
func (l *lifecycle) terminateLocked() bool {
	if l.stage != grace || l.accepting+l.serving > 0 {
		return false
	}
	l.stage = terminated
	if l.timer != nil {
		l.timer.Stop()
	}
	return true
}
