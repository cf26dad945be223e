package budget

import (
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// explorer runs a program of threads again and again, each time in another interleaving of their steps. A step ends where a
// budget is about to lock, and where it says pause: between what is atomic and what is not done under the same lock.
//
// Threads are coroutines, so that one runs at a time and a run depends on nothing but the choices of who goes on.
type explorer struct {
	t       testing.TB
	choices []choice // of this run; those from depth on are still to be made
	depth   int
	random  *rand.Rand // makes the choices, if not nil

	preemptions int // how often a thread may still be interrupted in the middle of an operation

	seen    map[uint64]bool // the states in which a choice has been made
	beaten  bool            // this run has come to a state that another has been in; it only has to end
	threads []*thread
	current *thread
	hash    maphash.Hash
	state   func(*maphash.Hash) // adds the state of what the threads share
	observe func()              // is called after each step
	trace   []string
	failure string
}

type choice struct{ taken, of int }

// thread is one of the threads of a program, or one that a budget has started.
type thread struct {
	name  string
	next  func() (wish, bool)
	yield func(wish) bool
	wish  wish
	steps int
	at    uint64 // where it is: a hash of its stack
	done  bool
}

// wish is what a thread waits for.
type wish struct {
	mu       *locks.Mutex[locks.Account] // to be free
	until    func() bool                 // to be true
	boundary bool                        // it is between two operations
}

func (w wish) granted() bool {
	if w.mu != nil {
		if !w.mu.TryLock() {
			return false
		}
		w.mu.Unlock()
	}
	return w.until == nil || w.until()
}

// explore runs a program in all interleavings in which threads are interrupted in the middle of operations at most
// preemptions times, or in as many as there may be. It returns how many there were.
func explore(t testing.TB, preemptions, most int, program func(e *explorer) (atEnd func())) (runs int, all bool) {
	e := &explorer{t: t, seen: map[uint64]bool{}}
	for runs = 1; ; runs++ {
		e.run(preemptions, program)
		for len(e.choices) > 0 && e.choices[len(e.choices)-1].taken+1 == e.choices[len(e.choices)-1].of {
			e.choices = e.choices[:len(e.choices)-1]
		}
		if len(e.choices) == 0 {
			return runs, true
		}
		if runs == most {
			return runs, false
		}
		e.choices[len(e.choices)-1].taken++
	}
}

// wander runs a program in interleavings made up at random.
func wander(t testing.TB, seed uint64, runs int, program func(e *explorer) (atEnd func())) {
	for i := range runs {
		e := &explorer{t: t, random: rand.New(rand.NewPCG(seed, uint64(i)))}
		e.run(1000, program)
	}
}

func (e *explorer) run(preemptions int, program func(e *explorer) (atEnd func())) {
	e.depth, e.preemptions, e.threads, e.current, e.trace, e.beaten = 0, preemptions, nil, nil, e.trace[:0], false
	atEnd := program(e)
	for e.failure == "" && e.step() {
		e.observe()
	}
	for _, th := range e.threads {
		if !th.done {
			e.fail("%s waits for ever", th.name)
		}
	}
	if e.failure == "" {
		atEnd()
	}
	if e.failure != "" {
		e.t.Fatal(e.failure)
	}
}

// step lets a thread go on, and reports false if none can.
func (e *explorer) step() bool {
	var able []*thread
	for _, th := range e.threads {
		if !th.done && th.wish.granted() {
			able = append(able, th)
		}
	}
	if len(able) == 0 {
		return false
	}
	if i := slices.Index(able, e.current); i >= 0 && !e.current.wish.boundary {
		able[0], able[i] = able[i], able[0]
		if e.preemptions == 0 {
			able = able[:1]
		}
	}
	chosen := able[e.choose(len(able))]
	if chosen != able[0] && able[0] == e.current && !e.current.wish.boundary {
		e.preemptions--
	}
	e.current = chosen
	wish, more := chosen.next()
	chosen.wish, chosen.done = wish, !more
	return true
}

func (e *explorer) choose(of int) int {
	if of == 1 {
		return 0
	}
	if e.random != nil {
		return e.random.IntN(of)
	}
	if e.depth == len(e.choices) {
		if e.beaten = e.beaten || !e.isNew(); e.beaten {
			return 0
		}
		e.choices = append(e.choices, choice{0, of})
	}
	c := e.choices[e.depth]
	if c.of != of {
		e.t.Fatalf("the run depends on more than its choices: %d threads can go on, and were %d", of, c.of)
	}
	e.depth++
	return c.taken
}

// isNew reports whether nobody has had a choice yet in the state of now. What threads have in their variables is taken to
// follow from where they are, how many steps they have made, and what they share.
func (e *explorer) isNew() bool {
	h := &e.hash
	h.Reset()
	maphash.WriteComparable(h, e.preemptions)
	maphash.WriteComparable(h, slices.Index(e.threads, e.current))
	for _, th := range e.threads {
		maphash.WriteComparable(h, th.at)
		maphash.WriteComparable(h, th.steps)
		maphash.WriteComparable(h, th.done)
	}
	e.state(h)
	sum := h.Sum64()
	if e.seen[sum] {
		return false
	}
	e.seen[sum] = true
	return true
}

// start starts a thread.
func (e *explorer) start(name string, f func()) {
	th := &thread{name: name}
	th.next, _ = iter.Pull(func(yield func(wish) bool) {
		th.yield = yield
		f()
	})
	e.threads = append(e.threads, th)
}

func (e *explorer) wait(w wish) {
	if e.seen != nil {
		var stack [16]uintptr
		n := runtime.Callers(2, stack[:])
		h := &e.hash
		h.Reset()
		for _, pc := range stack[:n] {
			maphash.WriteComparable(h, pc)
		}
		e.current.at = h.Sum64()
	}
	e.current.steps++
	if !e.current.yield(w) {
		panic("nobody goes on with a thread")
	}
}

func (e *explorer) scheduler() *scheduler {
	return &scheduler{
		lock: func(mu *locks.Mutex[locks.Account]) {
			e.wait(wish{mu: mu})
			mu.Lock()
		},
		pause: func() { e.wait(wish{}) },
		spawn: func(f func()) { e.start("the granting goroutine", f) },
	}
}

func (e *explorer) note(format string, args ...any) {
	e.trace = append(e.trace, fmt.Sprintf(e.current.name+": "+format, args...))
}

// fail notes what is wrong. A thread may call it with locks held, so the test ends only after its step.
func (e *explorer) fail(format string, args ...any) {
	if e.failure == "" {
		e.failure = fmt.Sprintf(format, args...) + "\nafter\n\t" + strings.Join(e.trace, "\n\t")
	}
}
