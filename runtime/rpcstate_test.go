package runtime

import (
	"fmt"
	"testing"
)

// TestRPCState_Transitions is the picture in rpcstate.go as a table: every event in every state that there is.
func TestRPCState_Transitions(t *testing.T) {
	type verdict struct{ hasBegun, isOver, isEnding, hasEntered, hasPlace bool }
	const (
		begun, over, removed, released = stateBegun, stateEnded, stateRemoved, stateReleased
		sent                           = stateBegun | stateDispatched
	)
	// events are the steps, with what each says is to be done now.
	events := map[string]func(s *rpcState) string{
		"dispatch": func(s *rpcState) string { return says(s.dispatch(false), "goes") },
		"bare":     func(s *rpcState) string { return says(s.dispatch(true), "goes") },
		"enter":    func(s *rpcState) string { return says(s.enter(true), "goes") },
		"run":      func(s *rpcState) string { return says(s.enter(false), "goes") },
		"leave":    func(s *rpcState) string { s.leave(); return "" },
		"end":      func(s *rpcState) string { return says(s.end(), "release") },
		"remove":   func(s *rpcState) string { return says(s.remove(), "finish") },
		"release": func(s *rpcState) string {
			first, finishes := s.release()
			return says(first, "first") + says(finishes, "finish")
		},
	}
	for _, row := range []struct {
		from uint32
		verdict
		want map[string]string // by event; "": nothing is to be done
	}{
		{from: begun, verdict: verdict{hasBegun: true}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "end": "release", "release": "first"}},
		{from: begun | over, verdict: verdict{true, true, true, false, false}, want: map[string]string{"release": "first"}},
		{from: begun | removed, verdict: verdict{true, false, true, false, false}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "end": "release", "release": "firstfinish"}},
		{from: begun | over | removed, verdict: verdict{true, true, true, false, false}, want: map[string]string{"release": "firstfinish"}},
		{from: begun | over | released, verdict: verdict{true, true, true, false, false}, want: map[string]string{"remove": "finish"}},
		{from: begun | over | removed | released, verdict: verdict{true, true, true, false, false}},
		{from: sent, verdict: verdict{hasBegun: true}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "release": "first"}},
		{from: sent | stateHasSlot, verdict: verdict{true, false, false, true, true}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "release": "first"}},
		{from: sent | stateUnbounded, verdict: verdict{true, false, false, true, false}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "release": "first"}},
		{from: sent | over, verdict: verdict{true, true, true, false, false}, want: map[string]string{"release": "first"}},
		{from: sent | stateHasSlot | over, verdict: verdict{true, true, true, true, true}, want: map[string]string{"release": "first"}},
		{from: sent | stateUnbounded | over | removed, verdict: verdict{true, true, true, true, false}, want: map[string]string{"release": "firstfinish"}},
		{from: sent | removed, verdict: verdict{true, false, true, false, false}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "release": "firstfinish"}},
		{from: sent | released, verdict: verdict{hasBegun: true}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "remove": "finish"}},
		{from: sent | over | removed, verdict: verdict{true, true, true, false, false}, want: map[string]string{"release": "firstfinish"}},
		{from: sent | over | released, verdict: verdict{true, true, true, false, false}, want: map[string]string{"remove": "finish"}},
		{from: sent | removed | released, verdict: verdict{true, false, true, false, false}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes"}},
		{from: sent | over | removed | released, verdict: verdict{true, true, true, false, false}},
		{from: sent | stateBare, verdict: verdict{hasBegun: true}, want: map[string]string{"dispatch": "goes", "bare": "goes", "enter": "goes", "run": "goes", "release": "first"}},
		{from: sent | stateBare | over, verdict: verdict{true, true, true, false, false}, want: map[string]string{"release": "first"}},
		{from: sent | stateBare | over | released, verdict: verdict{true, true, true, false, false}},
		{from: stateEnded | stateDispatched, verdict: verdict{false, true, true, false, false}, want: map[string]string{"release": "first"}},
		{from: stateEnded | stateDispatched | removed, verdict: verdict{false, true, true, false, false}, want: map[string]string{"release": "firstfinish"}},
	} {
		bits := map[string]uint32{
			"dispatch": stateDispatched, "bare": stateDispatched | stateBare, "enter": stateHasSlot, "run": stateUnbounded, "end": over, "remove": removed, "release": released,
		}
		for name, event := range events {
			var s rpcState
			s.bits.Store(row.from)
			if got := (verdict{s.hasBegun(), s.hasEnded(), s.isEnding(), s.hasEntered(), s.hasSlot()}); got != row.verdict {
				t.Fatalf("%#b: hasBegun, isOver, isEnding, hasEntered, hasPlace are %v", row.from, got)
			}
			if got := event(&s); got != row.want[name] {
				t.Errorf("%#b, %s: it says %q, want %q", row.from, name, got, row.want[name])
			}
			want := row.from | bits[name]
			switch {
			case name == "leave":
				want &^= stateHasSlot
			case name == "remove" && row.from&stateBare != 0: // which has no need of it
				want = row.from
			}
			if got := s.bits.Load(); got != want {
				t.Errorf("%#b, %s: the state is %#b then", row.from, name, got)
			}
		}
	}
}

func says(yes bool, what string) string {
	if yes {
		return what
	}
	return ""
}

// TestRPCState_EndsOnce takes the steps of an RPC in all orders that there can be: it is released once and finished once, and
// goes to a worker or is released by what ends it, never both. A bare one has nothing that finishing
// would give back: it may not be finished, but is released.
func TestRPCState_EndsOnce(t *testing.T) {
	type path struct{ dispatched, bare, over, removed, released bool }
	var walk func(bits uint32, p path, releases, finishes int, trace string)
	paths := 0
	walk = func(bits uint32, p path, releases, finishes int, trace string) {
		if p.dispatched && p.over && p.removed && p.released {
			paths++
			if releases != 1 || finishes > 1 || finishes == 0 && !p.bare {
				t.Errorf("%s: released %d times, finished %d times", trace, releases, finishes)
			}
			return
		}
		step := func(name string) {
			var s rpcState
			s.bits.Store(bits)
			p, releases, finishes := p, releases, finishes
			release := func(p *path) {
				p.released = true
				if first, done := s.release(); first {
					releases++
					finishes += int(btoi(done))
				}
			}
			switch name {
			case "end":
				if p.over = true; s.end() {
					release(&p)
				}
			case "remove":
				p.removed = true
				finishes += int(btoi(s.remove()))
			case "dispatch", "dispatch bare":
				p.dispatched, p.bare = true, name == "dispatch bare"
				if !s.dispatch(p.bare) && !p.released {
					t.Errorf("%s: an RPC is neither run nor released", trace)
				}
			case "return":
				release(&p)
			}
			walk(s.bits.Load(), p, releases, finishes, fmt.Sprint(trace, " ", name))
		}
		if !p.over {
			step("end")
		}
		if !p.removed {
			step("remove")
		}
		if !p.dispatched {
			step("dispatch")
			step("dispatch bare")
		}
		if p.dispatched && !p.released {
			step("return")
		}
	}
	walk(stateBegun, path{}, 0, 0, "begin")
	if paths < 10 {
		t.Errorf("only %d orders", paths)
	}
}

// TestRequestState_Transitions is every event in every state.
func TestRequestState_Transitions(t *testing.T) {
	const none, one, several = requestState(0), requestOne, requestOne | requestTooMany
	for from, to := range map[requestState]requestState{none: one, one: several, several: several} {
		for _, ends := range []requestState{0, requestFinished, requestIgnored, requestFinished | requestIgnored} {
			s := from | ends
			s.message()
			if s != to|ends {
				t.Errorf("%#b, message: the state is %#b", from|ends, s)
			}
			s = from | ends
			s.finish()
			if s != from|ends|requestFinished {
				t.Errorf("%#b, finish: the state is %#b", from|ends, s)
			}
			s = from | ends
			s.ignore()
			if s != from|ends|requestIgnored {
				t.Errorf("%#b, ignore: the state is %#b", from|ends, s)
			}
			s = from | ends
			got := [4]bool{s.one(), s.tooMany(), s.finished(), s.ignored()}
			if got != [4]bool{from == one, from == several, ends&requestFinished != 0, ends&requestIgnored != 0} {
				t.Errorf("%#b: one, several, finished, ignored are %v", s, got)
			}
		}
	}
}
