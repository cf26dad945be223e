package runtime

import (
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// inlineLimit is how long a handler may occupy the reader of its connection before its method is taken to be one that
// blocks.
const inlineLimit = 10 * time.Millisecond

// inlineRunner runs handlers on a connection's reader, and watches that they do not block. There is one timer for a
// batch, not one for each RPC: while batches are shorter than inlineLimit, it never goes off.
//
// When a handler blocks, another goroutine becomes the connection's reader, with an inlineRunner of its own. The one that
// the handler runs on ends with it. Both sides try to take the RPC out of current: the reader when its handler has
// returned, and watch to replace the reader. The one that succeeds decides.
type inlineRunner struct {
	owner readerOwner // immutable

	// Owned by the reader.
	worker   work.Worker
	timer    *time.Timer
	armed    bool
	replaced bool // another goroutine is the reader now

	runs    uint64        // RPCs that have begun. Owned by the reader.
	method  *method       // of current; written before it
	current atomic.Uint64 // the number of the RPC that runs; 0: none does
	mu      locks.Mutex[locks.Alone]
	seen    uint64    // current, when the timer went off last. Guarded by mu.
	since   time.Time // when it was first seen. Guarded by mu.
}

// readerOwner is the connection whose reader runs handlers.
type readerOwner interface {
	// replaceReader has another goroutine read the connection, since a handler of a method blocks its reader. From then
	// on the method does not run inline.
	replaceReader(blocking *method)

	// survive calls what runs on a timer.
	survive(doing string, f func())
}

// run runs a handler. It does not return if another goroutine has become the reader meanwhile: the goroutine ends.
func (i *inlineRunner) run(t work.Task, m *method) {
	switch {
	case i.armed:
	case i.timer == nil:
		i.timer = time.AfterFunc(inlineLimit, i.watch)
	default:
		i.timer.Reset(inlineLimit)
	}
	i.armed = true
	i.runs++
	n := i.runs
	i.method = m
	i.current.Store(n)
	defer func() { // also if the handler ends its goroutine
		if i.current.CompareAndSwap(n, 0) {
			return
		}
		i.replaced = true
		t.Flusher().Flush()
		goruntime.Goexit() // what is further up this stack is the new reader's to do
	}()
	t.Run(&i.worker)
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
	i.owner.survive("the watch over inline handlers", func() {
		if i.blocks() {
			i.owner.replaceReader(i.method)
		}
	})
}

// blocks reports whether a handler blocks, and has taken the reader's role from its goroutine then.
func (i *inlineRunner) blocks() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.current.Load()
	switch {
	case n == 0:
		i.seen = 0
	case n != i.seen:
		i.seen, i.since = n, time.Now()
		time.AfterFunc(inlineLimit, i.watch)
	case time.Since(i.since) >= inlineLimit:
		return i.current.CompareAndSwap(n, 0)
	}
	return false
}
