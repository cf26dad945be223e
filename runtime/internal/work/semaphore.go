package work

import (
	"container/list"
	"context"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// Semaphore is a number of places for goroutines that run already. If there are not enough, goroutines wait in lines, and
// the lines take turns: however long one of them is, the first of another waits for a place of each line only.
type Semaphore struct {
	mu locks.Mutex[locks.Alone]
	// Guarded by mu.
	free  int       // none is while a goroutine waits
	lines list.List // of *Line, those in which a goroutine waits; the first is next
}

// Line is where goroutines wait in the order in which they asked. The zero value is empty. It is for one Semaphore.
type Line struct {
	// Guarded by Semaphore.mu.
	turns *list.List    // of chan struct{}, closed when a place is handed over; nil: nobody has waited yet
	entry *list.Element // in Semaphore.lines; nil: nobody waits
}

// NewSemaphore returns n places.
func NewSemaphore(n int) *Semaphore { return &Semaphore{free: n} }

// Acquire waits for a place, which the caller has to Release, and reports true. It reports false as soon as ctx is done:
// whatever the place was for, nobody needs it any more.
func (p *Semaphore) Acquire(ctx context.Context, l *Line) bool {
	if ctx.Err() != nil {
		return false
	}
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	waits := p.waitLocked(l, turn)
	p.mu.Unlock()
	select {
	case <-turn:
	case <-ctx.Done():
		if p.leave(l, waits) {
			return false
		}
	}
	if ctx.Err() != nil { // its turn has come too late
		p.Release()
		return false
	}
	return true
}

// Release returns a place: to the line whose turn it is, which then is the last.
func (p *Semaphore) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.lines.Front()
	if first == nil {
		p.free++
		return
	}
	l := first.Value.(*Line)
	close(l.turns.Front().Value.(chan struct{}))
	p.lines.MoveToBack(first)
	p.removeLocked(l, l.turns.Front())
}

// Free returns how many places are free.
func (p *Semaphore) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

// Waiting returns how many goroutines wait for a place.
func (p *Semaphore) Waiting() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.lines.Front(); e != nil; e = e.Next() {
		n += e.Value.(*Line).turns.Len()
	}
	return n
}

// waitLocked adds a goroutine at the end of a line, and the line to those that take turns.
func (p *Semaphore) waitLocked(l *Line, turn chan struct{}) *list.Element {
	if l.turns == nil {
		l.turns = list.New()
	}
	if l.entry == nil {
		l.entry = p.lines.PushBack(l)
	}
	return l.turns.PushBack(turn)
}

// leave is for a goroutine that does not wait any more: it takes it out of its line. It reports false if the turn has come
// meanwhile.
func (p *Semaphore) leave(l *Line, waits *list.Element) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-waits.Value.(chan struct{}):
		return false
	default:
		p.removeLocked(l, waits)
		return true
	}
}

// removeLocked takes a goroutine out of a line. A line in which nobody waits has no turn.
func (p *Semaphore) removeLocked(l *Line, waits *list.Element) {
	if l.turns.Remove(waits); l.turns.Len() == 0 {
		p.lines.Remove(l.entry)
		l.entry = nil
	}
}
