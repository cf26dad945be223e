package work

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// Queue is a run queue: tasks that wait for a worker, first in, first out.
type Queue struct {
	// Immutable.
	pool    *Pool
	flusher Flusher // of all its tasks; nil: they have several
	limit   int     // workers at a time; 0: any number

	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	tasks   List
	running int  // workers that are here or on their way
	waking  bool // one of them is on its way
}

// Pool keeps the workers that have nothing to do: last in, first out, so that a queue gets the warmest, and those that no
// queue needs gather at the bottom.
type Pool struct {
	panicked func(doing string, reason any) // immutable

	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	idle   []*Worker
	spare  int // the fewest that were idle since the last trim
	timer  *time.Timer
	closed bool
}

// Worker is a goroutine that runs tasks. It stays when there is nothing to do, so that its stack, grown once, and its
// buffer serve the next task: to grow stacks is a third of what a goroutine for each task costs. The zero value is for a
// goroutine that is not a pool's; it lends its tasks a buffer all the same.
type Worker struct {
	wake      chan *Queue // nil in it: the goroutine ends
	buffer    []byte      // nil: a task has it
	mayBlock  bool
	unflushed Flusher // the last task may have left something there, and this worker owes the flush; nil: it owes none
}

// trimInterval is how often the workers go that no queue has needed meanwhile.
const trimInterval = 5 * time.Second

// NewPool returns a pool without workers; queues make them. It calls panicked when a task has panicked.
func NewPool(panicked func(doing string, reason any)) *Pool { return &Pool{panicked: panicked} }

// NewQueue returns a queue for tasks that all have the same Flusher. Any number of them run at a time.
func NewQueue(pool *Pool, flusher Flusher) *Queue { return &Queue{pool: pool, flusher: flusher} }

// Push adds a task.
func (q *Queue) Push(t Task) { q.PushAll(&List{t, t, 1}) }

// PushAll moves the tasks of a list to the queue.
func (q *Queue) PushAll(tasks *List) {
	if tasks.n == 0 {
		return
	}
	q.mu.Lock()
	q.tasks.pushAll(tasks)
	wake := q.wakeLocked()
	q.mu.Unlock()
	if wake {
		q.pool.wake(q)
	}
}

// wakeLocked reports whether the caller has to wake a worker, and counts on it.
func (q *Queue) wakeLocked() bool {
	if q.waking || q.tasks.n == 0 || q.limit > 0 && q.running >= q.limit {
		return false
	}
	q.waking = true
	q.running++
	return true
}

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

// work runs tasks until there are none. Then the queue does not count on the worker any more, which still has to flush.
// arrives says that the worker was on its way.
func (q *Queue) work(w *Worker, arrives bool) {
	if w.unflushed == nil { // otherwise a task has ended the goroutine before this one
		w.unflushed = q.flusher
	}
	w.mayBlock = !q.Bounded()
	for {
		t, promised := q.next(arrives)
		arrives = false
		if t == nil {
			return
		}
		if !promised {
			w.flush()
		}
		w.unflushed = t.Flusher()
		t.Run(w)
	}
}

// next takes the first task; nil: there is none, and the worker leaves. promised says that another worker is on its way
// that is going to flush.
func (q *Queue) next(arrives bool) (t Task, promised bool) {
	q.mu.Lock()
	if arrives {
		q.waking = false
	}
	if t = q.tasks.pop(); t == nil {
		q.running--
	}
	wake := q.wakeLocked()
	promised = q.waking && q.flusher != nil
	q.mu.Unlock()
	if wake {
		q.pool.wake(q)
	}
	return t, promised
}

// flush does what the worker owes, and then it owes nothing.
func (w *Worker) flush() {
	if w.unflushed != nil {
		w.unflushed.Flush()
		w.unflushed = nil
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
	defer p.recoverPanic()
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

// recoverPanic is deferred by the timer. A panic there would end the process.
func (p *Pool) recoverPanic() {
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

// Waiting returns how many tasks wait for a worker.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tasks.n
}

// Bounded reports whether only so many workers run tasks of the queue at a time.
func (q *Queue) Bounded() bool { return q.limit > 0 }

// Running returns how many workers run tasks of the queue, or are about to.
func (q *Queue) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}

// MayBlock reports whether the task may wait for long: there can be any number of workers besides this one.
func (w *Worker) MayBlock() bool { return w.mayBlock }

// MaxBuffer is the largest buffer that a worker keeps for its next task, in octets.
const MaxBuffer = 4 << 10

// TakeBuffer returns the worker's buffer, empty. It is the caller's until PutBuffer.
func (w *Worker) TakeBuffer() []byte {
	b := w.buffer[:0]
	w.buffer = nil
	return b
}

// PutBuffer gives the worker its buffer back, or another of package buffer in its place.
func (w *Worker) PutBuffer(b []byte) {
	if cap(b) > MaxBuffer {
		buffer.Put(b)
		return
	}
	w.buffer = b
}
