package runtime

import (
	"slices"
	"sync"
)

// intake is a connection's budget for large requests: those that do not fit into the flow-control window of a stream, so
// that the server has to ask for their rest. It asks for as many at a time as the budget holds. The others wait, first
// in, first out; all that their clients see is a window that stays shut for longer. A request larger than the whole
// budget is asked for when it is alone.
type intake struct {
	limit int // octets; negative: no bound

	mu sync.Mutex
	// Guarded by mu.
	reserved int
	waiting  []*reservation
}

// reservation is what one RPC has of an intake: the lengths of its large requests, those that are under way or wait for
// their handler.
type reservation struct {
	r *rpc

	// Guarded by intake.mu.
	stage   reservationStage
	held    int // octets reserved
	size    int // of the request under way
	missing int // octets of it that have not come
}

type reservationStage uint8

const (
	unasked  reservationStage = iota
	lined                     // waits for room, in intake.waiting
	admitted                  // the request under way is reserved
	settled                   // the RPC needs nothing any more
)

// isLarge reports whether a request of n octets has to have a reservation.
func isLarge(n int) bool { return prefixLen+n > streamWindow }

// expectRest asks the client for the rest of the request under way, as soon as there is room for it. The reader calls it
// whenever a part has come.
func (r *rpc) expectRest() {
	size, in := len(r.in.current.data)+r.in.missing, &r.conn.intake
	if in.limit >= 0 && isLarge(size) && !in.admit(r, size) {
		return
	}
	if r.stream.Expect(prefixLen+len(r.in.current.data), r.in.missing) {
		r.conn.flush = true
	}
}

// admit reports whether the request under way has room. If not, the client is asked for it later.
func (in *intake) admit(r *rpc, size int) bool {
	v := r.large.Load()
	if v == nil {
		v = &reservation{r: r}
		r.large.Store(v)
		if r.over() { // else whoever ends it will find the reservation
			return false
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	v.size, v.missing = size, r.in.missing
	if v.stage == unasked {
		v.stage = lined
		in.waiting = append(in.waiting, v)
		if len(in.waiting) == 1 && in.fitsLocked() {
			in.admitLocked()
		}
	}
	return v.stage == admitted
}

// fitsLocked reports whether there is room for the first that waits.
func (in *intake) fitsLocked() bool {
	return len(in.waiting) > 0 && (in.reserved == 0 || in.reserved+in.waiting[0].size <= in.limit)
}

func (in *intake) admitLocked() *reservation {
	v := in.waiting[0]
	in.waiting = slices.Delete(in.waiting, 0, 1)
	v.stage = admitted
	v.held += v.size
	in.reserved += v.size
	return v
}

// arrived is called when the request under way has come as a whole. What it has reserved stays so until its handler
// takes it.
func (in *intake) arrived(v *reservation) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.leaveLocked(v)
	if v.stage != settled {
		v.stage = unasked
	}
}

func (in *intake) leaveLocked(v *reservation) {
	if v.stage == lined {
		i := slices.Index(in.waiting, v)
		in.waiting = slices.Delete(in.waiting, i, i+1)
	}
}

// taken gives back what a request of n octets has reserved, when its handler takes it.
func (in *intake) taken(v *reservation, n int) {
	in.mu.Lock()
	in.give(v, n)
}

// settle gives back everything that an RPC has reserved, for good.
func (in *intake) settle(v *reservation) {
	in.mu.Lock()
	in.leaveLocked(v)
	v.stage = settled
	in.give(v, v.held)
}

// give gives n octets back, asks for the requests that have room now, and lets go of mu.
func (in *intake) give(v *reservation, n int) {
	n = min(n, v.held)
	v.held -= n
	in.reserved -= n
	flush := false
	for in.fitsLocked() {
		next := in.admitLocked()
		flush = next.r.stream.Expect(prefixLen+next.size-next.missing, next.missing) || flush
	}
	in.mu.Unlock()
	if flush {
		v.r.conn.h2.Flush()
	}
}
