package runtime

import (
	"sync"
	"sync/atomic"
)

// holdback keeps the RPCs of a connection from their handlers while its client leaves too much of finished responses
// unread (http2.Conn.Congested). They wait in the order in which they came, and their deadlines run.
//
// Once the client has read enough, they go on one by one: whoever is about to run one sends the next on its way. So
// handlers run at the same time as they would otherwise, and yet what they answer is noticed before many more begin.
type holdback struct {
	active atomic.Bool // there are some; written with mu held

	mu sync.Mutex
	// Guarded by mu.
	held []*rpc
	next *rpc // was the first of them, and is on its way to a worker
}

// hold reports whether an RPC has to wait, which is then held. Whoever is about to run an RPC asks.
func (c *connection) hold(r *rpc) bool {
	h := &c.holdback
	if !h.active.Load() && !c.h2.Congested() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	congested := c.h2.Congested()
	switch {
	case r == h.next && congested:
		h.next = nil
		h.held = append([]*rpc{r}, h.held...)
	case r == h.next:
		h.next = nil
		c.releaseLocked()
		return false
	case congested || h.active.Load():
		h.held = append(h.held, r)
		h.active.Store(true)
	default:
		return false
	}
	return true
}

// Relieved implements http2.Application.
func (c *connection) Relieved() {
	c.holdback.mu.Lock()
	defer c.holdback.mu.Unlock()
	if c.holdback.next == nil {
		c.releaseLocked()
	}
}

// releaseLocked sends the first RPC that is held on its way.
func (c *connection) releaseLocked() {
	h := &c.holdback
	if len(h.held) == 0 {
		h.active.Store(false)
		h.held = nil
		return
	}
	r := h.held[0]
	h.held[0] = nil
	h.held, h.next = h.held[1:], r
	r.inlined = nil // it comes from no reader any more
	c.dispatcherOf(r.method).push(r, r, 1)
}
