package runtime

import (
	"math"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// tab is what an RPC has of the requests' side of an account. Octets are charged as its requests come, and given back as its
// handler takes them; close gives back the rest, once, when nothing of the RPC is left. What comes later is not kept.
type tab struct {
	account *budget.Budget // immutable
	held    atomic.Int64   // octets; far below zero once the tab is closed
}

// tabClosed is so far below zero that no octets which come later make it positive.
const tabClosed = math.MinInt64 / 2

// charge counts n octets more.
func (t *tab) charge(n int64) {
	t.account.Add(budget.Requests, n)
	t.keep(n)
}

// keep takes over n octets that have been counted.
func (t *tab) keep(n int64) {
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

// close gives back all that is left. It is called once.
func (t *tab) close() { t.account.Sub(budget.Requests, t.held.Swap(tabClosed)) }
