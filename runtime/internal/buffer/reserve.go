package buffer

import (
	"runtime"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// The garbage collector empties a sync.Pool with every second collection. Where messages are large and the heap is small,
// collections are so frequent that slices of a pool are hardly ever used again. Large slices are therefore kept here first.
const (
	minReserved = 64 << 10 // octets of the smallest slice that is kept so
	mostAll     = 8 << 20  // octets of all of them

	// trimAfter is how long a slice is kept at least that nobody needs. It goes with the first collection after that, which
	// comes within two minutes in a process that is idle (runtime/proc.go, forcegcperiod).
	trimAfter = 5 * time.Second
)

// largeSlices are the large slices that are kept.
var largeSlices = newReserve()

// reserve keeps large slices whatever the garbage collector does, up to a limit: last in, first out, so that those which nobody
// needs gather at the bottom.
type reserve struct {
	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	classes [len(pools)]reserveClass
	octets  int
	trimmed time.Time
}

// reserveClass has the slices of one class.
type reserveClass struct {
	size   int     // octets of each; 0: there has been none
	slices []*byte // the first of each one's octets
	spare  int     // the fewest that there were since the last trim
}

func newReserve() *reserve {
	k := &reserve{trimmed: time.Now()}
	k.atEachCollection()
	return k
}

// get returns a slice of a class; nil: there is none.
func (k *reserve) get(index int) *byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := &k.classes[index]
	last := len(c.slices) - 1
	if last < 0 {
		return nil
	}
	p := c.slices[last]
	c.slices[last] = nil
	c.slices = c.slices[:last]
	c.spare = min(c.spare, last)
	k.octets -= c.size
	return p
}

// put keeps a slice. It reports false if there are too many.
func (k *reserve) put(index, size int, p *byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.octets+size > mostAll {
		return false
	}
	k.octets += size
	c := &k.classes[index]
	c.size, c.slices = size, append(c.slices, p)
	return true
}

// Kept returns the octets of the large slices that are kept. Nobody holds them.
func Kept() int {
	largeSlices.mu.Lock()
	defer largeSlices.mu.Unlock()
	return largeSlices.octets
}

// atEachCollection has the slices trimmed from now on. A timer would do so for nothing where no large message ever comes.
func (k *reserve) atEachCollection() {
	sentinel := new([16]byte) // no tiny allocation, which would live as long as its neighbours
	runtime.AddCleanup(sentinel, func(k *reserve) {
		k.trim(time.Now())
		k.atEachCollection()
	}, k)
}

// trim leaves slices to the garbage collector that nobody has needed since the last trim, unless that was just now.
func (k *reserve) trim(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.trimmed) < trimAfter {
		return
	}
	k.trimmed = now
	for i := range k.classes {
		c := &k.classes[i]
		k.octets -= c.spare * c.size
		left := copy(c.slices, c.slices[c.spare:])
		clear(c.slices[left:])
		c.slices = c.slices[:left]
		c.spare = left
	}
}
