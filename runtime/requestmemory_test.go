package runtime

import (
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// TestTab_Balances takes every order of four steps: what the account has is what the tab holds, and nothing is left of it once
// the tab is closed.
func TestTab_Balances(t *testing.T) {
	steps := map[string]func(t *requestMemory){
		"charge":   func(t *requestMemory) { t.charge(100) },
		"add":      func(t *requestMemory) { t.account.Add(budget.Requests, 30); t.add(30) },
		"give":     func(t *requestMemory) { t.giveBack(40) },
		"giveMuch": func(t *requestMemory) { t.giveBack(1000) },
		"close":    func(t *requestMemory) { t.close() },
	}
	var walk func(trace []string, closed bool)
	walk = func(trace []string, closed bool) {
		a := budget.New(1000, nil, nil)
		tab := &requestMemory{account: a}
		for _, step := range trace {
			steps[step](tab)
			if got, held := a.Used(budget.Requests), max(0, tab.held.Load()); got != held {
				t.Fatalf("%v: the account has %d octets and the tab %d", trace, got, held)
			}
		}
		if closed && a.Used(budget.Requests) != 0 {
			t.Errorf("%v: %d octets are left", trace, a.Used(budget.Requests))
		}
		if len(trace) == 5 {
			return
		}
		for step := range steps {
			if step != "close" || !closed {
				walk(append(trace[:len(trace):len(trace)], step), closed || step == "close")
			}
		}
	}
	walk(nil, false)
}
