package runtime

import (
	"math"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// What a client makes the server hold is counted in one account for each connection (package budget): RPCs with their
// metadata, requests under way and queued, and what waits of responses. ServerOptions.MaxConnectionBytes is its limit.
const (
	// streamWindow is how much of a request a client may always send unasked.
	streamWindow = 1<<16 - 1

	// usualWeight is the metadata up to which an RPC's is part of what counts for each (budget.Weight).
	usualWeight = 2 << 10

	// freeRequest is the capacity up to which the only request of an RPC is part of that too.
	freeRequest = 512

	// freeResponse is the size up to which a response is encoded without asking, unless there is little room.
	freeResponse = 4 << 10
)

// tab is what an RPC has of the requests' side of an account. Octets are charged as its requests come, and given back as its
// handler takes them; close gives back the rest, once, when nothing of the RPC is left. What comes later is given back at once.
type tab struct {
	account *budget.Budget // immutable
	held    atomic.Int64   // octets; far below zero once the tab is closed
}

// tabClosed is so far below zero that no octets which come later make it positive.
const tabClosed = math.MinInt64 / 2

// charge counts n octets more.
func (t *tab) charge(n int64) {
	t.account.Add(budget.Requests, n)
	t.add(n)
}

// add takes over n octets that have been counted.
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

// took is called when the handler has taken a request, or will not.
func (t *tab) took(m message) {
	t.giveBack(int64(m.paid))
	if m.claim != nil {
		t.account.UseUp(m.claim)
	}
}
