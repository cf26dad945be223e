//go:build lockorder

package locks

import (
	"bytes"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
)

// Mutex is a mutex with a place in the order. The zero value is unlocked.
type Mutex[P place] struct{ sync.Mutex }

// Checked says whether this build checks the order.
const Checked = true

// held has the ranks of the mutexes that a goroutine holds, in the order in which it has taken them, by the goroutine's number.
var held sync.Map

// Lock implements sync.Locker. It panics if the goroutine holds a mutex that has to be taken after this one.
func (m *Mutex[P]) Lock() {
	g, holds := holds()
	check(holds, rankOf[P]())
	m.Mutex.Lock()
	held.Store(g, append(holds, rankOf[P]()))
}

// TryLock is that of sync.Mutex. It cannot wait, and so may come in any order.
func (m *Mutex[P]) TryLock() bool {
	if !m.Mutex.TryLock() {
		return false
	}
	g, holds := holds()
	held.Store(g, append(holds, rankOf[P]()))
	return true
}

// Unlock implements sync.Locker. The goroutine must be the one that has locked m.
func (m *Mutex[P]) Unlock() {
	g, holds := holds()
	last := len(holds) - 1
	for last >= 0 && holds[last] != rankOf[P]() {
		last--
	}
	if last < 0 {
		panic(fmt.Sprintf("locks: %T is unlocked by a goroutine that has not locked it", *new(P)))
	}
	if holds = slices.Delete(holds, last, last+1); len(holds) == 0 {
		held.Delete(g)
	} else {
		held.Store(g, holds)
	}
	m.Mutex.Unlock()
}

func rankOf[P place]() rank {
	var p P
	return p.rank()
}

// check panics if a goroutine that holds some mutexes must not take another.
func check(holds []rank, wanted rank) {
	for i, r := range holds {
		second := r == account && wanted == account && !slices.Contains(holds[i+1:], account)
		if r >= wanted && !second {
			panic(fmt.Sprintf("locks: a goroutine that holds mutexes of the ranks %v takes one of rank %d; package locks has the order", holds, wanted))
		}
	}
}

// holds returns the number of the goroutine, and what it holds.
func holds() (g string, ranks []rank) {
	var stack [64]byte
	text := stack[len("goroutine "):goruntime.Stack(stack[:], false)]
	g = string(text[:bytes.IndexByte(text, ' ')])
	if all, ok := held.Load(g); ok {
		ranks = all.([]rank)
	}
	return g, ranks
}
