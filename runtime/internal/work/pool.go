package work

import (
	"sync"
	"time"
)

// Pool keeps the workers that have nothing to do: last in, first out, so that a queue gets the warmest, and those that no
// queue needs gather at the bottom.
type Pool struct {
	panicked func(doing string, reason any) // immutable

	mu sync.Mutex
	// Guarded by mu.
	idle   []*Worker
	spare  int // the fewest that were idle since the last trim
	timer  *time.Timer
	closed bool
}

// trimInterval is how often the workers go that no queue has needed meanwhile.
const trimInterval = 5 * time.Second

// NewPool returns a pool without workers; queues make them. It calls panicked when a task has panicked.
func NewPool(panicked func(doing string, reason any)) *Pool { return &Pool{panicked: panicked} }

// wake has a worker work for q.
func (p *Pool) wake(q *Queue) {
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		w := &Worker{wake: make(chan *Queue, 1)}
		go p.run(w, q, true)
		return
	}
	w := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	p.spare = min(p.spare, last)
	p.mu.Unlock()
	w.wake <- q
}

// run is the life of a worker. arrives says whether the queue counts on its arrival.
func (p *Pool) run(w *Worker, q *Queue, arrives bool) {
	defer func() {
		if reason := recover(); reason != nil {
			w.unflushed = nil // it may be what panics
			p.panicked("a worker", reason)
		}
		if q != nil { // after a panic, or runtime.Goexit: another goroutine takes the place of this one
			go p.run(w, q, false)
		}
	}()
	for q != nil {
		q.work(w, arrives)
		q = nil // which counts on the worker no more
		w.flush()
		if p.park(w) {
			q, arrives = <-w.wake, true
		}
	}
}

// park adds a worker to those with nothing to do. It reports false if nobody wants the worker any more.
func (p *Pool) park(w *Worker) bool {
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

// trim dismisses the workers that were idle all the time since the last trim.
func (p *Pool) trim() {
	defer p.contain()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // Close came between the timer and mu, and has dismissed all of them
	}
	p.dismissLocked(p.spare)
	p.spare = len(p.idle)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(trimInterval, p.trim)
	}
}

// contain is deferred by the timer. A panic there would end the process.
func (p *Pool) contain() {
	if reason := recover(); reason != nil {
		p.panicked("the trim of the workers", reason)
	}
}

// Close dismisses all workers, those that are busy once they are done.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.dismissLocked(len(p.idle))
	if p.timer != nil {
		p.timer.Stop()
	}
}

// dismissLocked ends the n workers that have been idle longest.
func (p *Pool) dismissLocked(n int) {
	for _, w := range p.idle[:n] {
		w.wake <- nil
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
}
