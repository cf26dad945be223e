package runtime

import (
	"slices"
	"sync"
	"sync/atomic"
)

// holdback keeps the RPCs of a connection from their handlers while too much of finished responses waits: for the client,
// which leaves them unread (http2.Conn.Congested), or to be written. They wait in the order in which they came, and their
// deadlines run.
//
// Once there is room they go on one by one: whoever is about to run one sends the next on its way. So handlers run at the
// same time as they would otherwise, and yet what they answer is noticed before many more begin. That goes for each
// dispatcher: who is on its way to a worker that others keep busy holds up nobody who has workers of his own.
//
// Handlers that had begun before may still be too many. Workers of which there can be any number therefore wait with a
// large response until it may be encoded.
type holdback struct {
	active  atomic.Bool  // somebody waits, or is about to; written with mu held
	writing atomic.Int64 // octets of large responses that are being encoded, and then written

	mu sync.Mutex
	// Guarded by mu.
	held     []*rpc
	next     map[*dispatcher]*rpc // was the first of them, and is on its way to a worker
	encoders int                  // workers that wait for room
	room     sync.Cond            // signalled when there may be some
}

// hold reports whether an RPC has to wait, which is then held. Whoever is about to run an RPC asks.
func (c *connection) hold(r *rpc) bool {
	h := &c.holdback
	if !h.active.Load() && !c.congested() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.settleLocked()
	h.active.Store(true) // before the question whether there is room: who makes room looks at it
	d := c.dispatcherOf(r.method)
	congested, first := c.congested(), r == h.next[d]
	if first {
		delete(h.next, d)
	}
	switch {
	case first && congested:
		h.held = append([]*rpc{r}, h.held...)
	case first || !congested && !c.othersWaitLocked(d):
		c.releaseLocked()
		return false
	default:
		h.held = append(h.held, r)
	}
	return true
}

// othersWaitLocked reports whether there are RPCs of a dispatcher that have waited, and have not begun.
func (c *connection) othersWaitLocked(d *dispatcher) bool {
	h := &c.holdback
	return h.next[d] != nil || slices.ContainsFunc(h.held, func(r *rpc) bool { return c.dispatcherOf(r.method) == d })
}

// congested reports whether no RPC should begin.
func (c *connection) congested() bool {
	limit := int64(c.server.options.MaxUnreadResponseBytes)
	return limit >= 0 && (c.holdback.writing.Load() > limit || c.h2.Congested())
}

// writes counts a large response that a worker is about to encode, and waits for room if the worker can be spared.
func (c *connection) writes(w *worker, n int) {
	h, limit := &c.holdback, int64(c.server.options.MaxUnreadResponseBytes)
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.large > 0 { // of a response that an interceptor has replaced: nobody has to wait for it, the worker itself included
		h.writing.Add(-int64(w.large))
		w.large = 0
		h.room.Broadcast()
	}
	h.encoders++
	h.active.Store(true)
	for w.patient && limit >= 0 && (c.h2.Congested() || h.writing.Load() > 0 && h.writing.Load()+int64(n) > limit) {
		h.room.Wait()
	}
	h.encoders--
	h.settleLocked()
	w.large += n
	h.writing.Add(int64(n))
}

// wrote is called when the RPC has ended whose response was counted: it has been written, or will not be.
func (c *connection) wrote(w *worker) {
	c.holdback.writing.Add(-int64(w.large))
	w.large = 0
	if c.holdback.active.Load() {
		c.Relieved()
	}
}

// Relieved implements http2.Application.
func (c *connection) Relieved() {
	h := &c.holdback
	h.mu.Lock()
	defer h.mu.Unlock()
	h.room.Broadcast()
	if !c.congested() {
		c.releaseLocked()
	}
	h.settleLocked()
}

// releaseLocked sends the first RPC that is held on its way, of each dispatcher to which none is.
func (c *connection) releaseLocked() {
	h := &c.holdback
	h.held = slices.DeleteFunc(h.held, func(r *rpc) bool {
		d := c.dispatcherOf(r.method)
		if h.next[d] != nil {
			return false
		}
		if h.next == nil {
			h.next = make(map[*dispatcher]*rpc)
		}
		h.next[d] = r
		r.inlined = false // it comes from no reader any more
		d.push(r, r, 1)
		return true
	})
}

func (h *holdback) settleLocked() {
	h.active.Store(len(h.held) > 0 || len(h.next) > 0 || h.encoders > 0)
}
