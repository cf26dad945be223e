package runtime

import "github.com/gogreeter/gogreeter/runtime/internal/locks"

// lingering is the set of a connection's RPCs that are over and not released. Nothing else refers to them once their
// streams are forgotten.
type lingering struct {
	mu   locks.Mutex[locks.Alone]
	rpcs map[releasable]struct{} // guarded by mu
}

// releasable is an RPC.
type releasable interface {
	// isReleased reports whether no handler runs for it any more or will.
	isReleased() bool
}

// add adds an RPC that is over, unless it has been released meanwhile.
func (l *lingering) add(r releasable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.isReleased() {
		return // remove has been called, or finds that it was not over
	}
	if l.rpcs == nil {
		l.rpcs = make(map[releasable]struct{})
	}
	l.rpcs[r] = struct{}{}
}

// remove removes an RPC that has been released.
func (l *lingering) remove(r releasable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rpcs, r)
}

func (l *lingering) all() (all []releasable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.rpcs {
		all = append(all, r)
	}
	return all
}
