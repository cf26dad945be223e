package runtime

import "github.com/gogreeter/gogreeter/runtime/internal/locks"

// unreleasedRPCs is the set of a connection's RPCs that are over and not released. Nothing else refers to them once their
// streams are forgotten.
type unreleasedRPCs struct {
	mu   locks.Mutex[locks.Alone]
	rpcs map[releasable]struct{} // guarded by mu
}

// releasable is an RPC.
type releasable interface {
	// isReleased reports whether no handler runs for it any more or will.
	isReleased() bool
}

// add adds an RPC that is over, unless it has been released meanwhile.
func (l *unreleasedRPCs) add(r releasable) {
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
func (l *unreleasedRPCs) remove(r releasable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rpcs, r)
}

func (l *unreleasedRPCs) all() (all []releasable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.rpcs {
		all = append(all, r)
	}
	return all
}
