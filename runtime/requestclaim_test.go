package runtime

import (
	"sync"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// over is the RPC of a large request that is of no use any more.
type over struct{}

func (over) isEnding() bool              { return true }
func (over) urgency(bool) budget.Urgency { return budget.CanWait }

// TestLargeRequest_EndsAsItAsks has an RPC end while its reader gets in line for a large request. The race detector looks at
// it, and nothing stays in line, or counted.
func TestLargeRequest_EndsAsItAsks(t *testing.T) {
	account := budget.New(1<<20, nil, func(reason any) { t.Error(reason) })
	s := &connState{account: account}
	for range 2000 {
		v := newRequestClaim(over{}, s, nil, 1<<17, 1<<16, 1<<17)
		var both sync.WaitGroup
		both.Go(v.drop)
		both.Go(v.ask)
		both.Wait()
	}
	if n := account.Used(budget.Requests); n != 0 || account.Waiting(budget.ForRequests) != 0 {
		t.Errorf("%d octets are held, %d requests are in line", n, account.Waiting(budget.ForRequests))
	}
}
