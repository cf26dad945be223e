package budget

import (
	"flag"
	"fmt"
	"hash/maphash"
	"slices"
	"testing"
)

// In these tests a budget has 64 octets: responses may have 48, and 4 of these whatever there is of requests; 8 of requests
// may be under way.
const modelLimit = 64

// world is the budgets of a program, and what has to be true of them in every interleaving.
type world struct {
	*explorer
	whole  *Budget
	parts  []*Budget
	actors []*actor
	lines  [][lines][]*Claim // as they were after the step before
	closed []bool            // after the step before
	share  bool              // all responses are claimed, so that they never exceed their share
	strict bool              // all requests that are under way are claimed, and none is urgent
}

// actor is a thread with a claim, which its operations make, take and drop.
type actor struct {
	*world
	b     *Budget
	name  string
	claim Claim

	urgent   Urgency
	waits    bool    // the claim is in line, or about to be granted
	granted  int     // since the last ask
	held     []int64 // octets taken, oldest first
	finished bool
}

// op is an operation of an actor's.
type op func(a *actor)

func add(side Side, n int64) op {
	return func(a *actor) { a.note("add %d %d", side, n); a.b.Add(side, n) }
}

func sub(side Side, n int64) op {
	return func(a *actor) { a.note("sub %d %d", side, n); a.b.Sub(side, n) }
}

// ask claims octets.
func ask(line Line, size int64) op {
	return func(a *actor) {
		a.note("ask %d %d", line, size)
		a.claim.Line, a.claim.Size, a.granted, a.waits = line, size, 0, true
		if a.b.Ask(&a.claim) {
			a.note("has it")
			a.grant()
		}
	}
}

// try takes octets without waiting, and gives them back, if there is room.
func try(line Line, size int64) op {
	return func(a *actor) {
		if a.b.Try(line, size) {
			a.note("try %d %d", line, size)
			a.b.Sub(line.side(), size)
		}
	}
}

func (a *actor) grant() {
	if a.granted++; a.granted > 1 || !a.waits {
		a.fail("%s: granted, for the %d. time", a.name, a.granted)
	}
	a.waits = false
}

// until waits until the claim is granted.
func until(a *actor) { a.wait(wish{until: func() bool { return a.granted > 0 }}) }

// untilClosed is until, but for a budget that is closed.
func untilClosed(a *actor) { a.wait(wish{until: func() bool { return a.granted > 0 || a.b.closed }}) }

// after waits until another actor has finished.
func after(i int) op {
	return func(a *actor) { a.wait(wish{until: func() bool { return a.actors[i].finished }}) }
}

func take(a *actor) {
	n := a.b.Take(&a.claim)
	a.note("take %d", n)
	if n != a.claim.Size {
		a.fail("%s took %d octets, and asked for %d", a.name, n, a.claim.Size)
	}
	a.held = append(a.held, n)
}

// useUp uses up and gives back what was taken first.
func useUp(a *actor) {
	n := a.held[0]
	a.note("use up %d", n)
	a.held = a.held[1:]
	a.b.UseUp(&a.claim)
	a.b.Sub(a.claim.Line.side(), n)
}

func drop(a *actor) {
	a.note("drop")
	waited := a.b.Drop(&a.claim)
	switch {
	case waited && a.granted > 0:
		a.fail("%s: the claim was in line, and granted", a.name)
	case waited:
		a.waits = false // it must not be granted any more
	}
}

// leave has the claim leave its line, and gives back what it may have been granted.
func leave(a *actor) {
	a.note("leave")
	a.b.Leave(&a.claim)
	if a.claim.inLine {
		a.fail("%s: the claim is still in line", a.name)
	}
	n := a.b.Take(&a.claim)
	a.b.UseUp(&a.claim)
	a.b.Sub(a.claim.Line.side(), n)
}

func shut(a *actor) { a.note("close"); a.b.Close() }

// urge makes another actor's claim pressing.
func urge(i int) op { return urgeTo(i, Pressing) }

func urgeTo(i int, urgency Urgency) op {
	return func(a *actor) {
		a.note("urge %d to %d", i, urgency)
		a.actors[i].urgent = urgency
		a.b.Urge()
	}
}

// program is what actors do, each on a budget, from a beginning on.
type program struct {
	name   string
	parts  int // 0: there is one budget, without a whole
	first  func(w *world)
	actors []script
	share  bool
	strict bool
}

type script struct {
	part int
	ops  []op
}

func on(part int, ops ...op) script { return script{part, ops} }

// play makes a world and starts the actors of a program.
func (p *program) play(e *explorer) *world {
	w := &world{explorer: e, share: p.share, strict: p.strict}
	if p.parts > 0 {
		w.whole = New(modelLimit, nil, nil)
	}
	for range max(p.parts, 1) {
		w.parts = append(w.parts, New(modelLimit, w.whole, nil))
	}
	if p.first != nil {
		p.first(w)
	}
	for _, b := range w.budgets() {
		b.sched = e.scheduler()
	}
	w.lines, w.closed = make([][lines][]*Claim, len(w.parts)), make([]bool, len(w.parts))
	for i, s := range p.actors {
		a := &actor{world: w, b: w.parts[s.part], name: fmt.Sprint("actor ", i)}
		a.claim.Granted = func() {
			e.pause()
			e.note("%s is granted", a.name)
			a.grant()
		}
		a.claim.Urgent = func() Urgency { e.pause(); return a.urgent }
		w.actors = append(w.actors, a)
		e.start(a.name, func() {
			for _, op := range s.ops {
				e.wait(wish{boundary: true})
				op(a)
			}
			a.finished = true
		})
	}
	e.observe, e.state = w.check, w.hashState
	return w
}

// hashState adds all that budgets and actors have to a hash.
func (w *world) hashState(h *maphash.Hash) {
	for _, b := range w.budgets() {
		for _, n := range []int64{b.Used(Requests), b.Used(Responses), b.open, b.credit, int64(b.waiting.Load()), int64(b.crowd.Load())} {
			maphash.WriteComparable(h, n)
		}
		for _, bit := range []bool{b.closed, b.blocked, b.joined, b.granting, b.changed} {
			maphash.WriteComparable(h, bit)
		}
		for _, line := range b.lines {
			for _, c := range line {
				maphash.WriteComparable(h, w.indexOf(c))
			}
			maphash.WriteComparable(h, -2)
		}
		for _, extra := range b.extra {
			maphash.WriteComparable(h, w.indexOf(extra))
		}
		for _, part := range b.parts {
			maphash.WriteComparable(h, slices.Index(w.parts, part))
		}
	}
	for _, a := range w.actors {
		for _, n := range append([]int64{a.claim.Size, a.claim.held, a.claim.open, int64(a.granted)}, a.held...) {
			maphash.WriteComparable(h, n)
		}
		maphash.WriteComparable(h, a.urgent)
		maphash.WriteComparable(h, [...]bool{a.waits, a.finished})
	}
}

func (w *world) indexOf(c *Claim) int {
	return slices.IndexFunc(w.actors, func(a *actor) bool { return &a.claim == c })
}

// budgets returns all there are, the whole last.
func (w *world) budgets() []*Budget {
	if w.whole == nil {
		return w.parts
	}
	return append(slices.Clone(w.parts), w.whole)
}

func (e *explorer) pause() { e.wait(wish{}) }

// check checks what has to be true after every step.
func (w *world) check() {
	for i, b := range w.parts {
		if !b.mu.TryLock() {
			continue // a thread is at work
		}
		w.checkLines(&w.lines[i], b, w.closed[i])
		w.closed[i] = b.closed
		if share := b.limit - b.limit/4; w.share && b.Used(Responses) > share {
			w.fail("responses have %d octets", b.Used(Responses))
		}
		open, claims := int64(0), 0
		for _, a := range w.actors {
			if a.b == b && a.claim.open > 0 {
				open += a.claim.open
				claims++
			}
		}
		if open != b.open || w.strict && claims > 1 && open > b.limit/8 {
			w.fail("%d octets are under way, %d of %d claims", b.open, open, claims)
		}
		b.mu.Unlock()
	}
	if w.whole == nil {
		return
	}
	if share := w.whole.limit - w.whole.limit/4; w.share && w.whole.Used(Responses) > share {
		w.fail("responses of the whole have %d octets", w.whole.Used(Responses))
	}
}

// checkLines checks that claims are granted first in, first out, and none once the budget is closed.
func (w *world) checkLines(before *[lines][]*Claim, b *Budget, closed bool) {
	for line := range b.lines {
		passed := false // a claim is still in line, so that those behind it must not be granted
		for _, c := range before[line] {
			if c.inLine {
				passed = true
			} else if closed && c.held > 0 {
				w.fail("a claim was granted after Close")
			} else if passed && (c.held > 0 || c.open > 0) && !w.mayPass(c) {
				w.fail("a claim was granted before those that came before it")
			}
		}
		before[line] = slices.Clone(b.lines[line])
	}
}

func (w *world) mayPass(c *Claim) bool {
	return slices.ContainsFunc(w.actors, func(a *actor) bool { return &a.claim == c && a.urgent > CanWait })
}

// atEnd checks that nothing is left, once all have given back what they had.
func (w *world) atEnd() {
	for _, b := range w.budgets() {
		waiting := 0
		for _, line := range b.lines {
			waiting += len(line)
		}
		left := []int64{b.Used(Requests), b.Used(Responses), b.open, b.credit, int64(waiting), int64(b.waiting.Load()), int64(b.crowd.Load()), int64(len(b.parts))}
		if !slices.Equal(left, make([]int64, len(left))) || b.extra != [urgencies]*Claim{} || b.joined || b.granting {
			w.fail("left: requests, responses, open, credit, lines, waiting, crowd, parts %v; %v %v %v", left, b.extra, b.joined, b.granting)
		}
	}
}

func fill(requests, responses int64) func(*world) {
	return func(w *world) {
		w.parts[0].Add(Requests, requests)
		w.parts[0].Add(Responses, responses)
	}
}

var (
	answers  = func(n int64) []op { return []op{ask(ForResponses, n), until, take, useUp} }
	requests = func(n int64) []op { return []op{ask(ForRequests, n), until, take, useUp} }
	begins   = []op{ask(ForBeginning, 0), until}
	gives    = func(side Side, n int64) []op { return []op{sub(side, n)} }
)

var programs = []program{
	{name: "Responses", share: true, actors: []script{on(0, answers(20)...), on(0, answers(20)...), on(0, answers(20)...)}},
	{name: "ResponsesOfAllSizes", share: true, actors: []script{on(0, answers(23)...), on(0, answers(24)...), on(0, answers(4)...)}},
	{name: "ResponseLargerThanItsPart", actors: []script{on(0, answers(90)...), on(0, answers(24)...), on(0, answers(30)...)}},
	{name: "Requests", strict: true, actors: []script{on(0, requests(6)...), on(0, requests(4)...), on(0, requests(3)...)}},
	{name: "RequestLargerThanItsPart", strict: true, actors: []script{on(0, requests(30)...), on(0, requests(20)...)}},
	{name: "Pressed", first: fill(58, 10), actors: []script{on(0, requests(4)...), on(0, gives(Responses, 10)...), on(0, gives(Requests, 58)...)}},
	{name: "PressedUntilAnsweredAndTaken", first: fill(50, 6), actors: []script{on(0, requests(4)...), on(0, answers(12)...), on(0, sub(Responses, 6), sub(Requests, 50))}},
	{name: "Beginning", first: fill(0, 44), actors: []script{on(0, begins...), on(0, begins...), on(0, sub(Responses, 2), sub(Responses, 42))}},
	{name: "BeginningBehindResponses", first: fill(0, 44), share: true, actors: []script{on(0, begins...), on(0, answers(20)...), on(0, gives(Responses, 44)...)}},
	{name: "Drop", share: true, first: fill(0, 30), actors: []script{on(0, ask(ForResponses, 24), drop), on(0, answers(10)...), on(0, gives(Responses, 30)...)}},
	{name: "DropWhileBeginningWaits", share: true, first: fill(0, 32), actors: []script{on(0, ask(ForResponses, 24), drop), on(0, begins...), on(0, gives(Responses, 32)...)}},
	{name: "Leave", strict: true, actors: []script{on(0, requests(8)...), on(0, ask(ForRequests, 8), leave), on(0, requests(5)...)}},
	{name: "ClaimsReused", actors: []script{
		on(0, ask(ForRequests, 5), until, take, useUp, ask(ForRequests, 3), until, take, useUp),
		on(0, ask(ForRequests, 4), until, take, useUp, ask(ForRequests, 4), drop),
	}},
	{name: "Try", share: true, actors: []script{on(0, answers(24)...), on(0, try(ForResponses, 20)), on(0, answers(20)...)}},
	{name: "Close", actors: []script{
		on(0, ask(ForResponses, 40), untilClosed, drop), on(0, ask(ForResponses, 24), untilClosed, drop), on(0, shut),
	}},
	{name: "CloseWhileUrgent", actors: []script{
		on(0, ask(ForRequests, 8), untilClosed, drop), on(0, ask(ForRequests, 7), untilClosed, drop), on(0, urge(1), shut),
	}},
	{name: "Urgent", actors: []script{
		on(0, ask(ForRequests, 8), until, after(1), take, useUp),
		on(0, requests(8)...),
		on(0, urge(1)),
	}},
	{name: "UrgentOneByOne", actors: []script{
		on(0, ask(ForRequests, 8), until, urge(1), urge(2), after(1), after(2), take, useUp),
		on(0, requests(7)...),
		on(0, requests(6)...),
	}},
	{name: "PressingBesideDue", actors: []script{
		on(0, urgeTo(1, Due), urge(2), ask(ForRequests, 8), until, after(1), take, useUp),
		on(0, ask(ForRequests, 7), until, after(2), take, useUp),
		on(0, requests(6)...),
	}},
	{name: "UrgentAndDropped", actors: []script{
		on(0, ask(ForRequests, 8), until, urge(1), urge(2), after(2), take, useUp),
		on(0, ask(ForRequests, 7), drop),
		on(0, requests(6)...),
	}},
	{name: "Whole", parts: 2, share: true, actors: []script{on(0, answers(24)...), on(1, answers(24)...), on(1, answers(20)...)}},
	{name: "WholeOfThree", parts: 3, share: true, actors: []script{on(0, answers(24)...), on(1, answers(20)...), on(2, answers(20)...)}},
	{name: "WholeIsGivenBackByOthers", parts: 2, first: fill(0, 44), actors: []script{on(1, answers(8)...), on(1, begins...), on(0, sub(Responses, 20), sub(Responses, 24))}},
	{name: "WholeFullOfRequests", parts: 2, first: fill(62, 0), actors: []script{on(1, requests(8)...), on(0, sub(Requests, 2), sub(Requests, 60)), on(1, answers(10)...)}},
	{name: "WholeFullOfWhatIsGranted", parts: 2, first: fill(60, 0), actors: []script{
		on(1, ask(ForRequests, 4), until, after(1), take, useUp, sub(Requests, 0)),
		on(1, after(2), ask(ForWindow, 3), until),
		on(0, add(Requests, 4), sub(Requests, 8), sub(Requests, 0), sub(Requests, 56)),
	}},
	{name: "Window", first: fill(50, 16), actors: []script{on(0, ask(ForWindow, 3), until), on(0, requests(9)...), on(0, sub(Responses, 16), sub(Requests, 50))}},
	{name: "WholeAndDrop", parts: 2, first: fill(0, 40), actors: []script{on(1, ask(ForResponses, 20), drop), on(1, answers(10)...), on(0, gives(Responses, 40)...)}},
	{name: "WholeAndClose", parts: 2, first: fill(0, 40), actors: []script{on(1, ask(ForResponses, 20), untilClosed, drop), on(1, shut), on(0, gives(Responses, 40)...)}},
}

// thorough has all interleavings gone through, which takes minutes.
var thorough = flag.Bool("thorough", false, "go through all interleavings with up to two interruptions")

// TestBudget_Interleavings has up to three actors use a budget in every order in which none of their operations is interrupted
// by another, in many in which one is, and in some made up at random.
func TestBudget_Interleavings(t *testing.T) {
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			run := func(e *explorer) (atEnd func()) { return p.play(e).atEnd }
			if *thorough {
				for interruptions := range 3 {
					runs, all := explore(t, interruptions, 1<<20, run)
					t.Logf("%d interruptions: %d interleavings, %v", interruptions, runs, all)
				}
				return
			}
			explore(t, 0, 400, run)
			explore(t, 1, 200, run)
			wander(t, 1, 60, run)
		})
	}
}
