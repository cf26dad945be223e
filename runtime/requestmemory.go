package runtime

import (
	"math"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// Each connection has an account (package budget), which counts what the client makes the server hold: RPCs with their
// metadata, requests under way and queued, and responses that wait. ServerOptions.MaxConnectionBytes is its limit.
const (
	// streamWindow is how much of a request a client may always send unasked.
	streamWindow = 1<<16 - 1

	// baselineMetadataSize is the size of metadata that the flat charge for each RPC covers (budget.Weight).
	baselineMetadataSize = 2 << 10

	// uncountedRequestSize is the capacity up to which that charge also covers the only request of an RPC.
	uncountedRequestSize = 512

	// unreservedResponseSize is the size up to which a response is encoded without a reservation, unless there is little room.
	unreservedResponseSize = 4 << 10
)

// requestMemory is the memory of an RPC's requests, as the connection's account counts it. Octets are charged as requests
// arrive, and released as the handler takes them. close releases the rest, once, when nothing of the RPC is left. What is
// charged later is released at once.
type requestMemory struct {
	account *budget.Budget // immutable
	held    atomic.Int64   // octets; far below zero once it is closed
}

// requestMemoryClosed is so far below zero that later octets never make it positive.
const requestMemoryClosed = math.MinInt64 / 2

// charge counts n octets more.
func (t *requestMemory) charge(n int64) {
	t.account.Add(budget.Requests, n)
	t.add(n)
}

// add takes over n octets that the account counts already.
func (t *requestMemory) add(n int64) {
	if t.held.Add(n) < 0 {
		t.account.Sub(budget.Requests, n)
	}
}

// giveBack gives n octets back, unless close has.
func (t *requestMemory) giveBack(n int64) {
	for n > 0 {
		held := t.held.Load()
		n = min(n, held)
		if n > 0 && t.held.CompareAndSwap(held, held-n) {
			t.account.Sub(budget.Requests, n)
			return
		}
	}
}

// isEmpty reports whether there is nothing to give back.
func (t *requestMemory) isEmpty() bool { return t.held.Load() == 0 }

// close gives back all that is left. It is called once.
func (t *requestMemory) close() { t.account.Sub(budget.Requests, t.held.Swap(requestMemoryClosed)) }

// releaseRequest releases what is charged for a request. It is called when the handler has taken the request, or never will.
func (t *requestMemory) releaseRequest(m message) {
	t.giveBack(int64(m.reserved))
	if m.claim != nil {
		t.account.UseUp(m.claim)
	}
}
