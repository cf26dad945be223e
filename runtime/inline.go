package runtime

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
)

// inlineLimit is how long a handler may occupy the reader of its connection before its method is taken to be one that
// blocks.
const inlineLimit = 10 * time.Millisecond

// inlineRunner runs handlers on a connection's reader, and watches that they do not block. There is one timer for a
// batch, not one for each RPC: while batches are shorter than inlineLimit, it never goes off.
//
// When a handler blocks, another goroutine becomes the connection's reader, with an inlineRunner of its own, and this
// one ends when its handler has returned. Who takes the RPC out of current is, or names, the reader.
type inlineRunner struct {
	server *Server // immutable

	// Owned by the reader.
	worker   worker
	timer    *time.Timer
	armed    bool
	replaced bool // another goroutine is the reader now

	method  *method             // of current; written before it
	current atomic.Pointer[rpc] // nil: none
	mu      sync.Mutex
	seen    *rpc      // current, when the timer went off last. Guarded by mu.
	since   time.Time // when it was first seen. Guarded by mu.
}

func (i *inlineRunner) run(r *rpc) {
	switch {
	case i.armed:
	case i.timer == nil:
		i.timer = time.AfterFunc(inlineLimit, i.watch)
	default:
		i.timer.Reset(inlineLimit)
	}
	i.armed = true
	i.method = r.method
	i.current.Store(r)
	defer i.leave(r) // also if the handler ends its goroutine
	r.run(&i.worker)
}

// leave is called when a handler has ended. If that took too long, it ends the goroutine: what is further up its stack
// is the business of the reader that has taken over.
func (i *inlineRunner) leave(r *rpc) {
	if !i.current.CompareAndSwap(r, nil) {
		i.replaced = true
		r.conn.h2.Flush()
		goruntime.Goexit()
	}
}

// endBatch disarms the timer.
func (i *inlineRunner) endBatch() {
	if i.armed {
		i.timer.Stop()
		i.armed = false
	}
}

// watch is called when a batch takes long. An RPC that it finds again after inlineLimit blocks.
func (i *inlineRunner) watch() {
	defer i.server.contain("the watch over inline handlers")
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.current.Load()
	switch {
	case r == nil:
		i.seen = nil
	case r != i.seen:
		i.seen, i.since = r, time.Now()
		time.AfterFunc(inlineLimit, i.watch)
	case time.Since(i.since) >= inlineLimit && i.current.CompareAndSwap(r, nil):
		r.replaceReader(i.method)
	}
}

// replaceReader is called, on behalf of the reader, for an RPC whose handler blocks it, and with that the method.
func (r *rpc) replaceReader(m *method) {
	if m.inline.CompareAndSwap(true, false) {
		r.conn.server.logger.Error("An inline handler blocks; its method no longer runs inline",
			"method", m.path, "limit", inlineLimit)
	}
	r.conn.server.goRead(r.conn)
}
