package runtime

import (
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// worker is a goroutine that runs handlers. It stays when there is nothing to do, so that its stack, grown once, and
// its buffer serve the next RPC: growing stacks is a third of what a goroutine for each RPC costs.
type worker struct {
	wake    chan *dispatcher // nil: go home
	buffer  []byte           // for responses; nil while somebody else has it
	patient bool             // it may wait: there can be any number of workers
	paid    int64            // octets that are reserved for the response that is being encoded or written
	dirty   *connection      // where this worker has left something that nobody may have flushed
}

// takeBuffer returns the worker's buffer, empty.
func (w *worker) takeBuffer() []byte {
	b := w.buffer[:0]
	w.buffer = nil
	return b
}

// putBuffer gives the worker its buffer back, or another in its place.
func (w *worker) putBuffer(b []byte) {
	if cap(b) > maxKeptBuffer {
		buffer.Put(b)
		return
	}
	w.buffer = b
}

// maxKeptBuffer is the largest buffer that a worker keeps for its next response.
const maxKeptBuffer = 4 << 10

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
	panicked func(doing string, reason any) // immutable; logs a panic

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
		if d == nil {
			return
		}
		if reason := recover(); reason != nil {
			w.dirty = nil
			p.panicked("a worker", reason)
		}
		// Or the handler has called runtime.Goexit. This goroutine ends, and another takes over where it was.
		go p.run(w, d, false)
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
	defer p.contain()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // close came between the timer and mu, and has sent all of them home
	}
	p.dismissLocked(p.spare)
	p.spare = len(p.idle)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(trimInterval, p.trim)
	}
}

func (p *workerPool) contain() {
	if reason := recover(); reason != nil {
		p.panicked("the trim of the workers", reason)
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
