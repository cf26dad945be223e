package runtime

import (
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// The queue of an RPC's requests: those that have come, and that its handler has not taken. All of it is guarded by rpc.mu.

// maxPack is how much memory small requests share that wait one behind another.
const maxPack = 4 << 10

// enqueueLocked adds a request. The first is its handler's as soon as it looks; those behind it are what has to be counted,
// and packed, since a message of five octets on the wire would take ten times as much by itself.
func (r *rpc) enqueueLocked(m message) {
	if r.state.isOver() {
		r.took(m)
		return
	}
	if len(r.queue) > r.taken {
		if r.packLocked(m) {
			return
		}
		r.chargeQueued(&m, queuedWeight)
	}
	if len(r.queue) == cap(r.queue) && r.taken > len(r.queue)/2 {
		// The handler never catches up with the client. What it has taken needs no place.
		left := copy(r.queue, r.queue[r.taken:])
		clear(r.queue[left:])
		r.queue, r.taken = r.queue[:left], 0
	}
	r.queue = append(r.queue, m)
}

func (r *rpc) chargeQueued(m *message, n int) {
	r.tab.charge(int64(n))
	m.paid += uint32(n)
}

// packLocked puts a small request into the memory of those before it. It reports false if the request is not small.
func (r *rpc) packLocked(m message) bool {
	need := wire.PrefixLen + len(m.data)
	if need > freeRequest {
		return false
	}
	last := &r.queue[len(r.queue)-1]
	if !last.packed || cap(last.data)-len(last.data) < need {
		size := freeRequest
		if last.packed {
			size = min(2*cap(last.data), maxPack)
		}
		pack := message{data: buffer.Get(size), packed: true}
		r.chargeQueued(&pack, queuedWeight+cap(pack.data))
		r.queue = append(r.queue, pack)
		last = &r.queue[len(r.queue)-1]
	}
	last.data = append(wire.AppendPrefix(last.data, m.compressed, len(m.data)), m.data...)
	buffer.Put(m.data)
	return true
}

// dequeueLocked takes the first request. There is one.
func (r *rpc) dequeueLocked() message {
	first := &r.queue[r.taken]
	m := *first
	if first.packed {
		if m = r.unpackLocked(first); int(r.unpacked) < len(first.data) {
			return m
		}
		r.unpacked = 0
		r.tab.giveBack(int64(first.paid))
		buffer.Put(first.data)
	}
	*first = message{}
	if r.taken++; r.taken == len(r.queue) {
		r.queue, r.taken = r.queue[:0], 0
	}
	return m
}

// unpackLocked copies the next request out of a pack.
func (r *rpc) unpackLocked(pack *message) message {
	next := pack.data[r.unpacked:]
	compressed, n := wire.ParsePrefix(next)
	next = next[wire.PrefixLen:][:n]
	r.unpacked += uint32(wire.PrefixLen + n)
	return message{data: append(make([]byte, 0, n), next...), compressed: compressed}
}

// dropRequestsLocked drops the requests that no handler will take. What the reader has of the request under way stays until
// it looks, or until the RPC is settled; but what was reserved for the rest of it is not needed, whatever still comes.
func (r *rpc) dropRequestsLocked() {
	if r.queue == nil && r.large.Load() == nil {
		return
	}
	for _, m := range r.queue[r.taken:] {
		r.took(m)
		buffer.Put(m.data)
	}
	r.queue, r.taken, r.unpacked = nil, 0, 0
	if v := r.large.Load(); v != nil {
		r.session.account.Drop(&v.claim)
	}
}
