package budget

import (
	"testing"
	"testing/synctest"
)

// TestBudget_EndLetsOthersGoOn has so many handlers that no RPC may begin, in a budget and in its whole. When enough of them
// have ended, the RPC that waits is told, whichever part it is in.
func TestBudget_EndLetsOthersGoOn(t *testing.T) {
	const limit = 16 * Weight
	for _, tt := range []struct {
		name string
		make func() (full, waits *Budget)
	}{
		{"OneBudget", func() (full, waits *Budget) {
			b := New(limit, nil, nil)
			return b, b
		}},
		{"APartOfTheSameWhole", func() (full, waits *Budget) {
			whole := New(limit, nil, nil)
			return New(-1, whole, nil), New(-1, whole, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				full, waits := tt.make()
				full.Add(Responses, 2*Weight) // more than a sixteenth
				for range 13 {
					full.Begin(Handlers)
				}
				granted := false
				claim := &Claim{Line: ForBeginning, Granted: func() { granted = true }}
				if waits.MayBegin() || waits.Ask(claim) {
					t.Error("an RPC may begin")
				}
				for want := int64(12); want >= 10; want-- { // until a quarter is free
					synctest.Wait()
					if granted {
						t.Errorf("an RPC begins when %d handlers are left", want+1)
					}
					if left := full.End(Handlers); left != want {
						t.Errorf("%d handlers are left, want %d", left, want)
					}
				}
				synctest.Wait()
				if !granted || !waits.MayBegin() {
					t.Errorf("there is room: granted %v, may begin %v", granted, waits.MayBegin())
				}
			})
		})
	}
}

// TestBudget_LeaveLetsOthersGoOn has a claim that is too large leave its line: the one behind it is content with less.
func TestBudget_LeaveLetsOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := held(nil, 0, 28, 0)
		granted := false
		large := &Claim{Line: ForResponses, Size: 24, Granted: func() { t.Error("the large one is granted") }}
		small := &Claim{Line: ForResponses, Size: 20, Granted: func() { granted = true }}
		if b.Ask(large) || b.Ask(small) {
			t.Fatal("a claim is granted at once")
		}
		synctest.Wait()
		if granted {
			t.Error("the small one gets ahead")
		}
		b.Leave(large)
		synctest.Wait()
		if !granted {
			t.Error("the small one waits for nobody")
		}
	})
}

// TestBudget_OneUrgentClaimAtATime has three claims that are urgent, and no room: each is granted when the one before has been
// used up or dropped.
func TestBudget_OneUrgentClaimAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := held(nil, 50, 20, 0)
		var granted []*Claim
		for range 3 {
			c := &Claim{Line: ForRequests, Size: 8, Urgent: func() Urgency { return Pressing }}
			c.Granted = func() { granted = append(granted, c) }
			if b.Ask(c) {
				t.Fatal("a claim is granted at once")
			}
		}
		for i := range 3 {
			synctest.Wait()
			if len(granted) != i+1 {
				t.Fatalf("%d claims have been granted, want %d", len(granted), i+1)
			}
			if want := int64(50 + 8*(i+1)); b.Used(Requests) != want {
				t.Errorf("%d octets are counted, want %d", b.Used(Requests), want)
			}
			b.UseUp(granted[i])
		}
	})
}

// TestBudget_ResponsesGoFirst has a response wait that is large. Nothing new begins ahead of it, for which there would be room:
// what begins makes responses of its own.
func TestBudget_ResponsesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := held(nil, 0, 28, 0)
		response := &Claim{Line: ForResponses, Size: 24}
		begun := false
		beginning := &Claim{Line: ForBeginning, Granted: func() { begun = true }}
		if b.Ask(response) || b.Ask(beginning) || b.Try(ForResponses, 1) {
			t.Error("something is granted at once")
		}
		b.Urge()
		synctest.Wait()
		if begun {
			t.Error("an RPC begins ahead of the response")
		}
		b.Drop(response)
		synctest.Wait()
		if !begun || !b.Try(ForResponses, 1) {
			t.Errorf("without the response: begun %v", begun)
		}
	})
}

// TestBudget_GrantsNothingAfterClose has claims come before the end and after it.
func TestBudget_GrantsNothingAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := held(nil, 0, 48, 0)
		before := &Claim{Line: ForResponses, Size: 1, Granted: func() { t.Error("granted after the end") }}
		b.Ask(before)
		synctest.Wait()
		b.Close()
		b.Sub(Responses, 48)
		after := &Claim{Line: ForRequests, Size: 1, Granted: before.Granted}
		if b.Ask(after) {
			t.Error("granted at once after the end")
		}
		synctest.Wait()
		if !b.Drop(before) || !b.Drop(after) || b.all() != 0 {
			t.Errorf("claims are no longer in line, or %d octets are left", b.all())
		}
	})
}

// TestBudget_GrantsAfterAPanic has a claim's function panic. That is told, and others are granted as before.
func TestBudget_GrantsAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told any
		b := New(modelLimit, nil, func(reason any) { told = reason })
		b.Add(Responses, 48)
		granted := 0
		b.Ask(&Claim{Line: ForResponses, Size: 1, Granted: func() { panic("mistake") }})
		b.Ask(&Claim{Line: ForResponses, Size: 1, Granted: func() { granted++ }})
		synctest.Wait()
		b.Sub(Responses, 10)
		synctest.Wait()
		b.Add(Responses, 40)
		b.Ask(&Claim{Line: ForResponses, Size: 1, Granted: func() { granted++ }})
		b.Sub(Responses, 40)
		synctest.Wait()
		if told != "mistake" || granted == 0 || b.Waiting(ForResponses) != 0 {
			t.Errorf("told %v, granted %d, and %d wait", told, granted, b.Waiting(ForResponses))
		}
	})
}

// TestBudget_Progress is what a stuck peer may do to be let off: it takes responses or, if it has none, completes requests.
func TestBudget_Progress(t *testing.T) {
	part := New(modelLimit, New(modelLimit, nil, nil), nil)
	part.Add(Requests, 10)
	part.Add(Responses, 10)
	moves := func(side Side) bool {
		before := part.Progress()
		part.Sub(side, 5)
		return part.Progress() != before
	}
	if moves(Requests) {
		t.Error("a peer with responses gets off by completing requests")
	}
	for range 2 {
		if !moves(Responses) {
			t.Error("a peer that takes responses makes no progress")
		}
	}
	if !moves(Requests) {
		t.Error("a peer without responses makes no progress by completing requests")
	}
}

// TestBudget_CountsThings has streams and handlers begin and end, in a part and in its whole.
func TestBudget_CountsThings(t *testing.T) {
	whole := New(modelLimit, nil, nil)
	part := New(modelLimit, whole, nil)
	for i, kind := range []Kind{Streams, Handlers} {
		part.Begin(kind)
		for name, b := range map[string]*Budget{"part": part, "whole": whole} {
			if b.Count(kind) != 1 || b.Used(Requests) != int64(i+1)*Weight {
				t.Errorf("%s, kind %d: %d are counted, and %d octets", name, kind, b.Count(kind), b.Used(Requests))
			}
		}
	}
	part.End(Streams)
	part.End(Handlers)
	if part.all() != 0 || whole.all() != 0 {
		t.Errorf("left: %d octets, and %d of the whole", part.all(), whole.all())
	}
}
