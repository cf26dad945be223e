//go:build lockorder

package locks

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
)

// Mutex is a mutex with a place in the order. The zero value is unlocked.
type Mutex[P place] struct{ mu sync.Mutex }

// Checked says whether this build checks the order.
const Checked = true

// held has a []hold for each goroutine that holds mutexes, by its number.
var held sync.Map

// hold is a mutex that a goroutine holds.
type hold struct {
	place place
	mutex any
}

// Lock locks m, as that of sync.Mutex does. The check comes first: a goroutine that is about to wait for ever is reported.
func (m *Mutex[P]) Lock() {
	g := goroutine()
	checkOrder(holds(g), m.hold())
	m.mu.Lock()
	held.Store(g, append(holds(g), m.hold()))
}

// TryLock locks m if it is free, as that of sync.Mutex does. It never waits, and so may come in any order.
func (m *Mutex[P]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	g := goroutine()
	held.Store(g, append(holds(g), m.hold()))
	return true
}

// Unlock unlocks m. Unlike with a sync.Mutex, the goroutine has to be the one that has locked it.
func (m *Mutex[P]) Unlock() {
	g := goroutine()
	all := holds(g)
	i := slices.Index(all, m.hold())
	switch {
	case i < 0:
		fail("a goroutine that does not hold %T unlocks it", *new(P))
	case len(all) == 1:
		held.Delete(g)
	default:
		held.Store(g, slices.Delete(all, i, i+1))
	}
	m.mu.Unlock()
}

func (m *Mutex[P]) hold() hold { return hold{*new(P), m} }

// checkOrder fails if a goroutine that holds all must not take next.
func checkOrder(all []hold, next hold) {
	most := 0 // of the same place, that it may hold already
	if next.place == place(Account{}) {
		most = 1
	}
	for _, h := range all {
		same := h.place == next.place
		if same {
			most--
		}
		if h.mutex == next.mutex || h.place.rank() > next.place.rank() || same && most < 0 {
			fail("a goroutine that holds %T takes %T", h.place, next.place)
		}
	}
}

// fail ends the process. The runtime would recover from a panic in most places, and the test fail for another reason, if at all.
func fail(format string, places ...any) {
	fmt.Fprintf(os.Stderr, "locks: "+format+"\n\n%s", append(places, debug.Stack())...)
	os.Exit(2)
}

func holds(g string) []hold {
	all, _ := held.Load(g)
	mine, _ := all.([]hold)
	return mine
}

// goroutine returns the number of the goroutine, which the text of its stack begins with.
func goroutine() string {
	var stack [64]byte
	text := stack[len("goroutine "):runtime.Stack(stack[:], false)]
	return string(text[:bytes.IndexByte(text, ' ')])
}
