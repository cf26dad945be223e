package work

import "sync"

// Queue is a run queue: tasks that wait for a worker, first in, first out.
type Queue struct {
	// Immutable.
	pool    *Pool
	flusher Flusher // of all its tasks; nil: they have several
	limit   int     // workers at a time; 0: any number

	mu sync.Mutex
	// Guarded by mu.
	tasks   List
	running int  // workers that are here or on their way
	waking  bool // one of them is on its way
}

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

// wakeLocked reports whether the caller has to wake a worker, and counts on it.
func (q *Queue) wakeLocked() bool {
	if q.waking || q.tasks.n == 0 || q.limit > 0 && q.running >= q.limit {
		return false
	}
	q.waking = true
	q.running++
	return true
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
