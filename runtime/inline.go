package runtime

import (
	"sync"
	"sync/atomic"
	"time"
)

// inlineLimit is how long a handler may occupy the reader of its connection before its method is taken to be one that
// blocks.
const inlineLimit = 10 * time.Millisecond

// inlineRunner runs handlers on a connection's reader, and watches that they do not block. There is one timer for a
// batch, not one for each RPC: while batches are shorter than inlineLimit, it never goes off.
type inlineRunner struct {
	// Owned by the reader.
	worker worker
	timer  *time.Timer
	armed  bool

	current atomic.Pointer[rpc] // nil: none
	mu      sync.Mutex
	seen    *rpc // current, when the timer went off last. Guarded by mu.
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
	r.onReader = true
	i.current.Store(r)
	defer i.current.Store(nil) // also if the handler ends its goroutine
	r.run(&i.worker)
}

// endBatch disarms the timer.
func (i *inlineRunner) endBatch() {
	if i.armed {
		i.timer.Stop()
		i.armed = false
	}
}

// watch is called when a batch takes long. An RPC that it finds twice has run for inlineLimit at least.
func (i *inlineRunner) watch() {
	i.mu.Lock()
	defer i.mu.Unlock()
	r := i.current.Load()
	if r == nil {
		i.seen = nil
		return
	}
	if r != i.seen {
		i.seen = r
		time.AfterFunc(inlineLimit, i.watch)
		return
	}
	i.seen = nil
	r.mu.Lock()
	m := r.method
	r.mu.Unlock()
	if m != nil && m.inline.CompareAndSwap(true, false) {
		r.conn.server.logger.Error("An inline handler blocks; its method no longer runs inline", "method", m.path,
			"limit", inlineLimit)
	}
}
