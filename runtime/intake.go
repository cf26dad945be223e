package runtime

import (
	"slices"
	"sync"
)

// intake is a connection's budget for large requests: those that do not fit into the flow-control window of a stream, so
// that the server has to ask for their rest. It asks for as many at a time as the budget holds. The others wait, first
// in, first out; all that their clients see is a window that stays shut for longer. A request larger than the whole
// budget is asked for when it is alone.
//
// Requests that have come, and wait for a worker, keep their place in the budget. If there is a bounded number of workers,
// these may be those whose handlers wait for a request that does not fit any more: so one at a time that such a handler
// waits for is asked for beyond the limit.
type intake struct {
	limit int // octets; negative: no bound

	mu sync.Mutex
	// Guarded by mu.
	reserved int
	waiting  []*reservation
	extra    *reservation // asked for beyond the limit, and not taken yet; nil: none
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
	have, in := len(r.in.current.data), &r.conn.intake
	size, some := have+r.in.missing, 0
	if isLarge(size) {
		if in.limit >= 0 {
			in.admit(r, size)
			return
		}
		some = prefixLen + have
	}
	if r.stream.Expect(some, r.in.missing) {
		r.conn.flush = true
	}
}

// admit has the client asked for the request under way: at once if there is room, or later. The reader calls it.
func (in *intake) admit(r *rpc, size int) {
	v := r.large.Load()
	if v == nil {
		v = &reservation{r: r}
		r.large.Store(v)
		if r.over() { // else whoever ends it will find the reservation
			return
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	v.size, v.missing = size, r.in.missing
	if v.stage == unasked {
		v.stage = lined
		in.waiting = append(in.waiting, v)
		if in.admitLocked() {
			r.conn.flush = true
		}
	}
}

// admitLocked asks for the requests that have room. The caller flushes if it reports true.
func (in *intake) admitLocked() (flush bool) {
	for len(in.waiting) > 0 {
		at := 0
		if in.reserved > 0 && in.reserved+in.waiting[0].size > in.limit {
			if in.extra != nil {
				break
			}
			if at = slices.IndexFunc(in.waiting, func(v *reservation) bool { return v.r.starves() }); at < 0 {
				break
			}
			in.extra = in.waiting[at]
		}
		v := in.waiting[at]
		in.waiting = slices.Delete(in.waiting, at, at+1)
		v.stage = admitted
		v.held += v.size
		in.reserved += v.size
		flush = v.r.stream.Expect(prefixLen+v.size-v.missing, v.missing) || flush
	}
	return flush
}

// starves reports whether the handler occupies one of a bounded number of workers, and has taken all requests that have
// come.
func (r *rpc) starves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entered && !r.isOver && r.taken == len(r.queue) && r.conn.dispatcherOf(r.method).limit > 0
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

// taken gives back what a request of n octets has reserved, when its handler takes it. n is 0 if it has reserved nothing,
// and when the handler begins.
func (in *intake) taken(v *reservation, n int) {
	in.mu.Lock()
	if n > 0 && in.extra == v {
		in.extra = nil
	}
	in.give(v, n)
}

// queueEnded gives back what the requests in an RPC's queue have reserved, for good. The one that is under way, if there
// is one, the reader still has.
func (in *intake) queueEnded(v *reservation) {
	in.mu.Lock()
	in.leaveLocked(v)
	underWay := 0
	if v.stage == admitted {
		underWay = min(v.size, v.held)
	}
	v.stage = settled
	in.give(v, v.held-underWay)
}

// settle gives back everything that an RPC has reserved, for good.
func (in *intake) settle(v *reservation) {
	in.mu.Lock()
	in.leaveLocked(v)
	v.stage = settled
	if in.extra == v {
		in.extra = nil
	}
	in.give(v, v.held)
}

// give gives n octets back, asks for the requests that have room now, and lets go of mu.
func (in *intake) give(v *reservation, n int) {
	n = min(n, v.held)
	v.held -= n
	in.reserved -= n
	flush := in.admitLocked()
	in.mu.Unlock()
	if flush {
		v.r.conn.h2.Flush()
	}
}
