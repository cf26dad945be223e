package runtime

import (
	"fmt"
	"sync"
	"time"
)

// worker is a goroutine that runs handlers. It stays when there is nothing to do, so that its stack, grown once, and
// its buffer serve the next RPC: growing stacks is a third of what a goroutine for each RPC costs.
type worker struct {
	wake   chan *dispatcher // nil: go home
	buffer []byte           // for responses; nil while somebody else has it
	dirty  *connection      // where this worker has left something that nobody may have flushed
}

// takeBuffer returns the worker's buffer, empty.
func (w *worker) takeBuffer() []byte {
	b := w.buffer[:0]
	w.buffer = nil
	return b
}

// putBuffer gives the worker its buffer back, unless it has grown beyond use.
func (w *worker) putBuffer(b []byte) {
	if cap(b) <= maxKeptBuffer {
		w.buffer = b
	}
}

// flush flushes what the worker has left behind.
func (w *worker) flush() {
	if w.dirty != nil {
		w.dirty.h2.Flush()
		w.dirty = nil
	}
}

// workerPool keeps the workers that have nothing to do: last in, first out, so that the warmest is taken first and
// those that are not needed show at the bottom.
type workerPool struct {
	mu     sync.Mutex
	idle   []*worker
	spare  int // the fewest that were idle since the last trim
	timer  *time.Timer
	closed bool
}

// trimInterval is how often the workers that were not needed meanwhile are sent home.
const trimInterval = 5 * time.Second

// wake has a worker work for d.
func (p *workerPool) wake(d *dispatcher) {
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		w := &worker{wake: make(chan *dispatcher, 1)}
		go p.run(w, d, true)
		return
	}
	w := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	p.spare = min(p.spare, last)
	p.mu.Unlock()
	w.wake <- d
}

// run is the life of a worker. arrives says whether the dispatcher counts on its arrival.
func (p *workerPool) run(w *worker, d *dispatcher, arrives bool) {
	defer func() {
		if d != nil {
			// The handler has called runtime.Goexit, which ends this goroutine. Another takes over where it was.
			go p.run(w, d, false)
		}
	}()
	for d != nil {
		d.work(w, arrives)
		arrives = true
		if !p.park(w) {
			d = nil
			return
		}
		d = <-w.wake
	}
}

// park adds a worker to those with nothing to do. It reports false if the worker is not wanted any more.
func (p *workerPool) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, w)
	if p.timer == nil {
		p.spare = 0
		p.timer = time.AfterFunc(trimInterval, p.trim)
	}
	return true
}

// trim sends the workers home that were idle all the time since the last trim.
func (p *workerPool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dismissLocked(p.spare)
	p.spare = len(p.idle)
	p.timer = nil
	if len(p.idle) > 0 && !p.closed {
		p.timer = time.AfterFunc(trimInterval, p.trim)
	}
}

// close sends all workers home, those that are busy once they are done.
func (p *workerPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.dismissLocked(len(p.idle))
	if p.timer != nil {
		p.timer.Stop()
	}
}

// dismissLocked sends the n workers home that have been idle longest.
func (p *workerPool) dismissLocked(n int) {
	for _, w := range p.idle[:n] {
		w.wake <- nil
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
}

// dispatcher is a queue of RPCs that wait for a worker, first in, first out. A connection has its own; or the server
// has one for all, if Options.Workers bounds the number of handlers that run.
//
// A batch of RPCs wakes one worker, not one for each: it takes one RPC after another. Whenever there is more to take,
// a worker is on its way (waking) besides those that run handlers; so a handler that blocks holds up nobody, and
// handlers that do not block are run by few workers and without a hand-over between goroutines.
type dispatcher struct {
	pool  *workerPool
	conn  *connection // nil: RPCs of many connections
	limit int         // workers at a time; 0: no limit

	mu sync.Mutex
	// Guarded by mu.
	head, tail *rpc
	running    int  // workers that are here or on their way
	waking     bool // one of them is on its way
}

// push adds RPCs, linked by next.
func (d *dispatcher) push(first, last *rpc) {
	d.mu.Lock()
	if d.head == nil {
		d.head = first
	} else {
		d.tail.next = first
	}
	d.tail = last
	wake := d.wakeLocked()
	d.mu.Unlock()
	if wake {
		d.pool.wake(d)
	}
}

// wakeLocked reports whether a worker has to be woken, and counts on it.
func (d *dispatcher) wakeLocked() bool {
	if d.waking || d.head == nil || d.limit > 0 && d.running >= d.limit {
		return false
	}
	d.waking = true
	d.running++
	return true
}

// work runs RPCs until there are none.
//
// Responses are flushed when nothing is left to do, so that a batch leaves in one write. But a response never waits
// for another RPC's handler: before a worker enters one, it makes sure that somebody who is not in a handler is going
// to flush, and that is the worker on its way. If there is none, it flushes itself. Who arrives inherits the promise.
func (d *dispatcher) work(w *worker, arrives bool) {
	if w.dirty == nil { // else the worker before has left something, and ended in a handler
		w.dirty = d.conn
	}
	for {
		d.mu.Lock()
		if arrives {
			d.waking = false
			arrives = false
		}
		r := d.head
		if r == nil {
			d.running--
			d.mu.Unlock()
			w.flush()
			return
		}
		if d.head = r.next; d.head == nil {
			d.tail = nil
		}
		r.next = nil
		wake := d.wakeLocked()
		promised := d.waking && r.conn == d.conn
		d.mu.Unlock()
		if wake {
			d.pool.wake(d)
		}
		if !promised {
			w.flush()
		}
		w.dirty = r.conn
		r.run(w)
	}
}

// panicText describes what a handler panicked with. A value that cannot be printed is no reason to leave the RPC
// unanswered.
func panicText(reason any) (text string) {
	defer func() {
		if recover() != nil {
			text = unprintableText(reason)
		}
	}()
	if reason == nil {
		return "the handler ended its goroutine (runtime.Goexit)"
	}
	return fmt.Sprint(reason)
}

func unprintableText(reason any) string { return fmt.Sprintf("a %T that cannot be printed", reason) }
