package http2

import (
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// TestConn_OwesNothingAfterItsEnd grants a connection the window that was withheld from its peer, at the moment when it
// ends. It does not get in line again, where nobody would look for it: the other connections of a server would seem to be
// in its way for ever.
func TestConn_OwesNothingAfterItsEnd(t *testing.T) {
	panicked := func(reason any) { t.Errorf("panic: %v", reason) }
	whole := budget.New(1<<20, nil, panicked)
	account := budget.New(1<<20, whole, panicked)
	server, client := h2test.NewPipe()
	defer client.Close()
	c := NewConn(server, newTestApp(), Config{}.WithDefaults(), account)
	account.Add(budget.Responses, 2<<20)
	c.credit.withheld, c.credit.owed = true, 1
	c.close(ErrConnClosed)
	c.grantWindow()
	if n := account.Waiting(budget.ForWindow); n != 0 {
		t.Errorf("%d claims of a connection that has ended are in line", n)
	}
}
