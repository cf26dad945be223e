package http2

import (
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// stall counts the memory held for responses. It watches a peer that leaves them unread while something else needs that
// memory. Guarded by Conn.mu.
type stall struct {
	// Immutable.
	account           *budget.Budget
	after             time.Duration // how long the peer may take nothing
	checkProgressFunc func()        // called when that time is over

	sent        uint64      // octets of DATA appended
	timer       *time.Timer // nil: nothing has had to wait lately
	sentThen    uint64      // sent, when the watch began
	accountThen uint64      // the account's progress, when the watch began
	stopped     bool        // the connection has ended
}

// hold counts n octets more, or fewer if n is negative.
func (s *stall) hold(n int64) {
	if n < 0 {
		s.account.Sub(budget.Responses, -n)
		return
	}
	if n == 0 {
		return
	}
	s.account.Add(budget.Responses, n)
	if !s.account.MayBegin() {
		s.watch()
	}
}

// watch begins a watch, unless there is one.
func (s *stall) watch() {
	if s.timer == nil && !s.stopped {
		s.sentThen, s.accountThen = s.sent, s.account.Progress()
		s.timer = time.AfterFunc(s.after, s.checkProgressFunc)
	}
}

// stop ends the watch for ever.
func (s *stall) stop() {
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// stuck is called when a watch is over. It reports whether something still waits for memory and the peer has taken
// nothing. If the peer has taken something, another watch begins.
func (s *stall) stuck() bool {
	if s.timer == nil {
		return false // stopped too late
	}
	s.timer = nil
	switch {
	case !s.account.Stuck():
	case s.sent == s.sentThen && s.account.Progress() == s.accountThen:
		return true
	default:
		s.watch()
	}
	return false
}
