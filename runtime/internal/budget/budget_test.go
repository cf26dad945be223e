package budget

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
)

// held returns a budget of modelLimit octets with so much held, of which open octets of requests are under way.
func held(whole *Budget, requests, responses, open int64) *Budget {
	b := New(modelLimit, whole, nil)
	b.Add(Requests, requests)
	b.Add(Responses, responses)
	if open > 0 {
		c := &Claim{Line: ForRequests, Size: open}
		b.Sub(Requests, open)
		b.grantedLocked(c)
		b.Add(Requests, open)
	}
	return b
}

// ruleTest asks for octets of a budget that holds some already.
type ruleTest struct {
	name                      string
	requests, responses, open int64
	line                      Line
	size                      int64
	want                      bool
}

// wantOfWhole is what is wanted of a part whose whole holds that much: of requests, no more than the limit, by whomever; how
// much of them is under way is each part's own.
func (tt *ruleTest) wantOfWhole() bool {
	if tt.line == ForWindow {
		return true // a part that has little goes on
	}
	if tt.line.side() == Requests {
		return tt.requests+tt.responses+min(tt.size, modelLimit/4) <= modelLimit
	}
	return tt.want
}

// TestBudget_Rules asks for room, by each rule of the package comment.
func TestBudget_Rules(t *testing.T) {
	tests := []ruleTest{
		{"Empty", 0, 0, 0, ForResponses, 24, true},
		{"ThreeQuarters", 0, 28, 0, ForResponses, 20, true},
		{"MoreThanThreeQuarters", 0, 29, 0, ForResponses, 20, false},
		{"LargerThanAll", 0, 24, 0, ForResponses, 1000, true},
		{"LargerThanAllAndNotHalfFree", 0, 25, 0, ForResponses, 1000, false},
		{"BothSides", 30, 20, 0, ForResponses, 14, true},
		{"BothSidesTooMuch", 30, 20, 0, ForResponses, 15, false},
		{"Sixteenth", 64, 4, 0, ForResponses, 20, true},
		{"MoreThanSixteenth", 64, 5, 0, ForResponses, 1, false},
		{"Begin", 0, 32, 0, ForBeginning, 0, true},
		{"BeginQuarterIsNotFree", 0, 33, 0, ForBeginning, 0, false},
		{"BeginWhateverRequests", 100, 4, 0, ForBeginning, 0, true},
		{"Request", 0, 0, 0, ForRequests, 64, true},
		{"RequestWhateverRequests", 100, 4, 0, ForRequests, 64, true},
		{"RequestPressed", 50, 5, 0, ForRequests, 10, false},
		{"RequestLeavesAnEighth", 52, 5, 0, ForRequests, 1, false},
		{"RequestCountsAQuarterAtMost", 43, 5, 0, ForRequests, 1000, true},
		{"UnderWay", 8, 0, 5, ForRequests, 3, true},
		{"UnderWayMoreThanAnEighth", 8, 0, 5, ForRequests, 4, false},
		{"UnderWayLargerThanAnEighth", 30, 0, 30, ForRequests, 1, false},
		{"Window", 48, 16, 0, ForWindow, 0, true},
		{"WindowPressed", 49, 16, 0, ForWindow, 0, false},
		{"WindowWhateverIsUnderWay", 30, 5, 30, ForWindow, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := held(nil, tt.requests, tt.responses, tt.open)
			if tt.line == ForResponses && b.Fits(tt.size) != tt.want {
				t.Errorf("Fits says %v", !tt.want)
			}
			if got := b.Try(tt.line, tt.size); got != tt.want {
				t.Errorf("Try says %v, want %v", got, tt.want)
			}
			if added := b.all() - tt.requests - tt.responses; tt.want && tt.line != ForWindow && added != tt.size || !tt.want && added != 0 {
				t.Errorf("%d octets were added", added)
			}
			// As the whole of another, which is empty.
			part := New(noLimit, held(nil, tt.requests, tt.responses, 0), nil)
			if got, want := part.Try(tt.line, tt.size), tt.wantOfWhole(); got != want {
				t.Errorf("Try of a part says %v, want %v", got, want)
			}
		})
	}
}

// TestBudget_MayBegin begins RPCs until an eighth of the limit is left. Those that have had to wait do when a quarter is.
func TestBudget_MayBegin(t *testing.T) {
	for _, tt := range []struct {
		requests, responses int64
		may, again          bool
	}{
		{0, 32, true, true},
		{0, 40, true, false},
		{0, 41, false, false},
		{100, 4, true, true},
		{100, 5, false, false},
	} {
		b := held(nil, tt.requests, tt.responses, 0)
		part := New(noLimit, held(nil, tt.requests, tt.responses, 0), nil)
		if got := b.MayBegin(); got != tt.may || part.MayBegin() != got {
			t.Errorf("%v: MayBegin says %v, and %v of a part", tt, got, part.MayBegin())
		}
		if got := b.Ask(&Claim{Line: ForBeginning}); got != tt.again {
			t.Errorf("%v: one that has waited begins: %v", tt, got)
		}
	}
}

// TestBudget_Judgements is what a budget says of its state.
func TestBudget_Judgements(t *testing.T) {
	one := func(line Line) func(*Budget) { // a claim that is in line
		return func(b *Budget) {
			b.lines[line] = append(b.lines[line], &Claim{Line: line, inLine: true})
			b.waiting.Add(1)
		}
	}
	crowded := func(b *Budget) { b.whole.crowd.Add(1) }
	tests := []struct {
		name                      string
		requests, responses       int64
		others                    int64 // octets of requests that other parts of the whole hold
		change                    func(*Budget)
		pressed, overdrawn, stuck bool
	}{
		{name: "Empty"},
		{name: "Full", requests: 60, responses: 4},
		{name: "MoreThanFull", requests: 60, responses: 5, pressed: true, stuck: true},
		{name: "RequestsOnly", requests: 100},
		{name: "RequestsAndASixteenth", requests: 100, responses: 4},
		{name: "AnEighthMore", requests: 60, responses: 12, pressed: true, stuck: true},
		{name: "MoreThanAnEighthMore", requests: 60, responses: 13, pressed: true, overdrawn: true, stuck: true},
		{name: "NobodyWaits", requests: 10, responses: 40},
		{name: "AResponseWaits", requests: 10, responses: 40, change: one(ForResponses), stuck: true},
		{name: "AnRPCWaits", requests: 10, responses: 40, change: one(ForBeginning), stuck: true},
		{name: "AResponseWaitsForOthers", requests: 10, responses: 4, change: one(ForResponses)},
		{name: "ARequestWaitsForOthers", requests: 10, responses: 40, change: one(ForRequests)},
		{name: "ARequestWaitsForResponses", requests: 20, responses: 40, change: one(ForRequests), stuck: true},
		{name: "TheWindowWaits", requests: 20, responses: 40, change: one(ForWindow), stuck: true},
		{name: "MoreThanItsShare", responses: 49, stuck: true},
		{name: "WholeFull", requests: 10, responses: 5, others: 60, pressed: true, overdrawn: true},
		{name: "WholeFullByAnEighth", others: 72},
		{name: "SomebodyWaitsForTheWhole", responses: 1, change: crowded, stuck: true},
		{name: "SomebodyWaitsForOthers", requests: 1, others: 70, change: crowded},
		{name: "SomebodyWaitsForRequests", requests: 5, others: 70, change: crowded, pressed: true, overdrawn: true, stuck: true},
		{name: "SomebodyWaitsButThereIsRoom", requests: 5, others: 10, change: crowded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			whole := New(modelLimit, nil, nil)
			if tt.others == 0 && tt.change == nil {
				whole = nil
			} else if tt.others == 0 {
				whole = New(-1, nil, nil)
			}
			b := held(whole, tt.requests, tt.responses, 0)
			New(-1, whole, nil).Add(Requests, tt.others)
			if tt.change != nil {
				tt.change(b)
			}
			if p, o, s := b.Pressed(), b.Overdrawn(), b.Stuck(); p != tt.pressed || o != tt.overdrawn || s != tt.stuck {
				t.Errorf("pressed, overdrawn, stuck: %v %v %v, want %v %v %v", p, o, s, tt.pressed, tt.overdrawn, tt.stuck)
			}
		})
	}
}

// TestBudget_ClaimInEveryState drops, takes, leaves and uses up a claim that is in line, granted, taken, or none of it.
func TestBudget_ClaimInEveryState(t *testing.T) {
	type state struct {
		name   string
		reach  func(b *Budget, c *Claim)
		in     bool  // line
		counts int64 // octets of the claim's
	}
	states := []state{
		{"New", func(*Budget, *Claim) {}, false, 0},
		{"InLine", func(b *Budget, c *Claim) { b.Add(Responses, 48); b.Ask(c); b.Sub(Requests, 0) }, true, 0},
		{"Granted", func(b *Budget, c *Claim) { b.Ask(c) }, false, 6},
		{"UsedUp", func(b *Budget, c *Claim) { b.Ask(c); b.UseUp(c) }, false, 6},
		{"Dropped", func(b *Budget, c *Claim) { b.Ask(c); b.Drop(c) }, false, 0},
	}
	for _, line := range []Line{ForRequests, ForResponses} {
		for _, st := range states {
			for name, call := range map[string]func(t *testing.T, b *Budget, c *Claim){
				"Drop": func(t *testing.T, b *Budget, c *Claim) {
					if waited := b.Drop(c); waited != st.in {
						t.Errorf("Drop says %v", waited)
					}
				},
				"Take": func(t *testing.T, b *Budget, c *Claim) {
					if n := b.Take(c); n != st.counts {
						t.Errorf("took %d octets", n)
					} else {
						b.Sub(c.Line.side(), n)
					}
				},
				"Leave": func(t *testing.T, b *Budget, c *Claim) { b.Leave(c) },
				"UseUp": func(t *testing.T, b *Budget, c *Claim) { b.UseUp(c) },
			} {
				t.Run(st.name+"/"+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := New(modelLimit, nil, nil)
						full := line == ForRequests && st.in
						if full {
							b.Add(Requests, 40)
						}
						c := &Claim{Line: line, Size: 6, Granted: func() { t.Error("granted") }}
						st.reach(b, c)
						call(t, b, c)
						synctest.Wait()
						if in := st.in && (name == "Take" || name == "UseUp"); c.inLine != in {
							t.Errorf("in line: %v", c.inLine)
						}
						b.Drop(c)
						if full {
							b.Sub(Requests, 40)
						}
						if st.in {
							b.Sub(Responses, 48)
						}
						synctest.Wait()
						if b.all() != 0 || b.open != 0 || b.waiting.Load() != 0 {
							t.Errorf("left: %d octets, %d under way, %d claims", b.all(), b.open, b.waiting.Load())
						}
					})
				})
			}
		}
	}
}

// TestBudget_WindowIsAheadOfRequests has a request wait for another to come whole, which needs the window.
func TestBudget_WindowIsAheadOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := held(nil, 50, 20, 30)
		opened := false
		b.Ask(&Claim{Line: ForRequests, Size: 8, Granted: func() { t.Error("the request is granted") }})
		b.Ask(&Claim{Line: ForWindow, Granted: func() { opened = true }})
		synctest.Wait()
		if opened {
			t.Error("the window is opened although there is no room")
		}
		b.Sub(Responses, 20)
		synctest.Wait()
		if !opened {
			t.Error("the window waits behind a request that waits for the window")
		}
	})
}

// FuzzBudget has goroutines use two budgets of a whole, each as its octets say, at the same time.
func FuzzBudget(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		script := make([]byte, 120)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { fuzzBudget(t, script[:min(len(script), 400)]) })
	})
}

func fuzzBudget(t *testing.T, script []byte) {
	const goroutines = 4
	whole := New(modelLimit+20, nil, nil)
	parts := []*Budget{New(modelLimit, whole, nil), New(modelLimit, whole, nil)}
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for at := i; at+goroutines < len(script); at += 2 * goroutines {
				useBudget(parts[i%2], script[at], int64(script[at+goroutines]%30))
			}
		})
	}
	wg.Wait() // a claim that is never granted is a deadlock, which the bubble notices
	synctest.Wait()
	for _, b := range append(parts, whole) {
		if b.all() != 0 || b.open != 0 || b.waiting.Load() != 0 || b.crowd.Load() != 0 || b.extra != [urgencies]*Claim{} || b.joined {
			t.Errorf("left: %d octets, %d under way, %d claims, %d parts; %v %v", b.all(), b.open, b.waiting.Load(), b.crowd.Load(), b.extra, b.joined)
		}
	}
}

// useBudget does one thing with a budget, and gives back what it takes.
func useBudget(b *Budget, what byte, n int64) {
	line := Line(what) % lines
	side := line.side()
	granted := make(chan bool, 1)
	c := &Claim{Line: line, Size: n, Granted: func() { granted <- true }}
	if what&64 != 0 {
		c.Urgent = func() Urgency { return Urgency(what>>7) * Pressing }
	}
	switch what / 4 % 4 {
	case 0:
		b.Add(side, n)
		b.Stuck()
		b.Sub(side, n)
	case 1:
		if b.Try(line, n) && line != ForWindow {
			b.Sub(side, n)
		}
	case 2:
		b.Ask(c)
		b.Urge()
		b.Leave(c)
		b.Drop(c)
	default:
		if !b.Ask(c) {
			<-granted
		}
		taken := b.Take(c)
		b.UseUp(c)
		b.Sub(side, taken)
	}
}

// TestBudget_WindowForWhatIsGranted has a whole that is full by a request that has been granted and has not come: it is asked
// for, and nothing beyond.
func TestBudget_WindowForWhatIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := New(modelLimit, nil, nil)
		b := New(modelLimit, whole, nil)
		request := &Claim{Line: ForRequests, Size: 16}
		window := &Claim{Line: ForWindow, Size: 10}
		whole.Add(Requests, 48)
		if !b.Ask(request) {
			t.Fatal("the request is not granted")
		}
		New(-1, whole, nil).Add(Requests, 1)
		for i := range 3 {
			if granted, want := b.Ask(window), i < 2; granted != want {
				t.Errorf("window %d: granted: %v", i, granted)
			}
		}
		b.Drop(window)
		b.UseUp(request)
		if b.Ask(window) || b.credit > 0 {
			t.Error("granted for a request that has come")
		}
		b.Drop(window)
	})
}

// TestBudget_Promise has parts promise their peers window. All of them together promise an eighth of the whole, and nothing while three
// quarters of it are held.
func TestBudget_Promise(t *testing.T) {
	if got := New(800, nil, nil).Promise(1 << 40); got != 1<<40 {
		t.Errorf("without a whole, %d octets are promised", got)
	}
	whole := New(800, nil, nil)
	a, b := New(800, whole, nil), New(800, whole, nil)
	for i, row := range []struct {
		do   func() int64
		want int64
	}{
		{func() int64 { return a.Promise(60) }, 60},
		{func() int64 { return b.Promise(60) }, 40},
		{func() int64 { return b.Promise(1) }, 0},
		{func() int64 { a.Recant(30); return b.Promise(60) }, 30},
		{func() int64 { a.Recant(0); return a.Promise(60) }, 0},
		{func() int64 { b.Recant(70); a.Add(Requests, 601); return b.Promise(60) }, 0},
		{func() int64 { a.Sub(Requests, 1); return b.Promise(60) }, 60},
	} {
		if got := row.do(); got != row.want {
			t.Errorf("step %d: %d octets are promised, want %d", i, got, row.want)
		}
	}
}
