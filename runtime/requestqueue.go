package runtime

import (
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

const (
	// queuedOverhead is what a queued request counts in addition to its octets.
	queuedOverhead = 64

	// maxPack is the size of the memory that small requests share while they wait one behind another.
	maxPack = 4 << 10

	// creditAtOnce is how many octets a handler takes before they are returned to the flow-control window. It is an
	// eighth of the window; the transport sends a WINDOW_UPDATE once half is missing.
	creditAtOnce = 8 << 10
)

// requestQueue is where the requests of an RPC wait for its handler. All of it is guarded by rpc.mu.
type requestQueue struct {
	waiting      []message  // from taken on
	arrived      *sync.Cond // nil: the handler has not had to wait yet
	taken        uint32
	unpacked     uint32 // octets of the first pack that have been taken
	consumed     uint32 // octets taken and not yet returned to the flow-control window
	allReceived  bool   // the last request is in it, or was
	handlerWaits bool   // the handler waits for a request
}

// isEmpty reports whether no request waits. A pack with requests left in it counts as one.
func (q *requestQueue) isEmpty() bool { return int(q.taken) == len(q.waiting) }

// add adds a request. The handler takes the first one at once. Those behind it are counted, and packed: by itself, a
// message of five octets on the wire would take ten times as much memory.
func (q *requestQueue) add(m message, t *requestMemory) {
	if !q.isEmpty() {
		if q.pack(m, t) {
			return
		}
		m.charge(queuedOverhead, t)
	}
	if len(q.waiting) == cap(q.waiting) && int(q.taken) > len(q.waiting)/2 {
		// The handler never catches up with the client. Reuse the entries of the requests that it has taken.
		left := copy(q.waiting, q.waiting[q.taken:])
		clear(q.waiting[left:])
		q.waiting, q.taken = q.waiting[:left], 0
	}
	q.waiting = append(q.waiting, m)
}

// charge counts n octets more that the message holds.
func (m *message) charge(n int, t *requestMemory) {
	t.charge(int64(n))
	m.reserved += uint32(n)
}

// pack puts a small request into the memory of those before it. It reports false if the request is not small.
func (q *requestQueue) pack(m message, t *requestMemory) bool {
	need := wire.PrefixLen + len(m.data)
	if need > uncountedRequestSize {
		return false
	}
	last := &q.waiting[len(q.waiting)-1]
	if !last.packed || cap(last.data)-len(last.data) < need {
		size := uncountedRequestSize
		if last.packed {
			size = min(2*cap(last.data), maxPack)
		}
		pack := message{data: buffer.Get(size), packed: true}
		pack.charge(queuedOverhead+cap(pack.data), t)
		q.waiting = append(q.waiting, pack)
		last = &q.waiting[len(q.waiting)-1]
	}
	last.data = append(wire.AppendPrefix(last.data, m.compressed, len(m.data)), m.data...)
	buffer.Put(m.data)
	return true
}

// take takes the first request. There is one.
func (q *requestQueue) take(t *requestMemory) message {
	first := &q.waiting[q.taken]
	m := *first
	if first.packed {
		if m = q.unpack(first); int(q.unpacked) < len(first.data) {
			return m
		}
		q.unpacked = 0
		t.giveBack(int64(first.reserved))
		buffer.Put(first.data)
	}
	*first = message{}
	if q.taken++; q.isEmpty() {
		q.waiting, q.taken = q.waiting[:0], 0
	}
	return m
}

// unpack copies the next request out of a pack.
func (q *requestQueue) unpack(pack *message) message {
	next := pack.data[q.unpacked:]
	compressed, n := wire.ParsePrefix(next)
	next = next[wire.PrefixLen:][:n]
	q.unpacked += uint32(wire.PrefixLen + n)
	return message{data: append(make([]byte, 0, n), next...), compressed: compressed}
}

// credit counts octets that the handler has taken. It returns how many to return to the flow-control window now.
func (q *requestQueue) credit(octets int) (credit int) {
	if q.consumed += uint32(octets); q.consumed >= creditAtOnce {
		credit, q.consumed = int(q.consumed), 0
	}
	return credit
}

// drop frees the requests, since no handler will take them.
func (q *requestQueue) drop(t *requestMemory) {
	for _, m := range q.waiting[q.taken:] {
		t.releaseRequest(m)
		buffer.Put(m.data)
	}
	q.waiting, q.taken, q.unpacked = nil, 0, 0
}

// endRequests is called when no more requests will come.
func (q *requestQueue) endRequests() {
	q.allReceived = true
	q.signal()
}

// signal wakes a handler that waits for a request.
func (q *requestQueue) signal() {
	if q.arrived != nil {
		q.arrived.Broadcast() // there should be one; two are a mistake, but must not wait for ever
	}
}

// wait blocks until a request arrives, the last one has arrived, or the RPC ends. It releases mu meanwhile.
func (q *requestQueue) wait(mu sync.Locker) {
	if q.arrived == nil {
		q.arrived = sync.NewCond(mu)
	}
	q.arrived.Wait()
}
