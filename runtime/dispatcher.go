package runtime

import (
	"container/list"
	"sync"
)

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
	queued     int       // RPCs in the queue
	running    int       // workers that are here or on their way; handlers, if there are interceptors
	waking     bool      // one of them is on its way
	line       list.List // *turn, of RPCs that take waits for
}

// turn is where an RPC stands in the line for a handler's place.
type turn struct {
	come  chan struct{} // closed when it has come
	given bool          // it has. Guarded by dispatcher.mu.
}

// take takes the place of one of a bounded number of handlers. It is for RPCs that are on a goroutine already, that of their
// interceptors. It waits in line, first in, first out, and reports false if the RPC is over before its turn.
func (d *dispatcher) take(r *rpc) bool {
	d.mu.Lock()
	if d.running < d.limit { // so nobody waits
		d.running++
		d.mu.Unlock()
		return true
	}
	t := &turn{come: make(chan struct{})}
	entry := d.line.PushBack(t)
	d.mu.Unlock()
	select {
	case <-t.come:
		return true
	case <-r.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.given {
		d.giveLocked()
	} else {
		d.line.Remove(entry)
	}
	return false
}

// give gives up a place that take has taken.
func (d *dispatcher) give() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.giveLocked()
}

// giveLocked hands a place to the first in line.
func (d *dispatcher) giveLocked() {
	first := d.line.Front()
	if first == nil {
		d.running--
		return
	}
	t := d.line.Remove(first).(*turn)
	t.given = true
	close(t.come)
}

// push adds n RPCs, linked by next.
func (d *dispatcher) push(first, last *rpc, n int) {
	d.mu.Lock()
	d.queued += n
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
	w.patient = d.limit == 0
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
		d.queued--
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

// waiting returns how many RPCs wait for a worker, or for their handler's turn.
func (d *dispatcher) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queued + d.line.Len()
}
