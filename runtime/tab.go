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

	// usualWeight is the size of metadata that the flat charge for each RPC covers (budget.Weight).
	usualWeight = 2 << 10

	// freeRequest is the capacity up to which that charge also covers the only request of an RPC.
	freeRequest = 512

	// freeResponse is the size up to which a response is encoded without a reservation, unless there is little room.
	freeResponse = 4 << 10
)

// tab is the memory of an RPC's requests, as the connection's account counts it. Octets are charged as requests arrive, and
// released as the handler takes them. close releases the rest, once, when nothing of the RPC is left. What is charged later is
// released at once.
type tab struct {
	account *budget.Budget // immutable
	held    atomic.Int64   // octets; far below zero once the tab is closed
}

// tabClosed is so far below zero that later octets never make it positive.
const tabClosed = math.MinInt64 / 2

// charge counts n octets more.
func (t *tab) charge(n int64) {
	t.account.Add(budget.Requests, n)
	t.add(n)
}

// add takes over n octets that the account counts already.
func (t *tab) add(n int64) {
	if t.held.Add(n) < 0 {
		t.account.Sub(budget.Requests, n)
	}
}

// giveBack gives n octets back, unless close has.
func (t *tab) giveBack(n int64) {
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
func (t *tab) isEmpty() bool { return t.held.Load() == 0 }

// close gives back all that is left. It is called once.
func (t *tab) close() { t.account.Sub(budget.Requests, t.held.Swap(tabClosed)) }

// took releases what is charged for a request. It is called when the handler has taken the request, or never will.
func (t *tab) took(m message) {
	t.giveBack(int64(m.paid))
	if m.claim != nil {
		t.account.UseUp(m.claim)
	}
}
