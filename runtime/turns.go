package runtime

import (
	"context"
	"slices"
	"sync"
)

// turns hands out a number of places. If there are not enough, those who wait form lines, one for each connection, and
// the lines take turns: however long one of them is, the first of another waits for a place of each line only.
type turns struct {
	mu sync.Mutex
	// Guarded by mu.
	free  int     // places; none is while somebody waits
	lines []*line // those in which somebody waits; the first is next
}

// line is where the RPCs of a connection wait, in the order in which they came. The zero value is empty.
type line struct {
	waiting []chan struct{} // closed when a place is handed over. Guarded by turns.mu.
}

// take waits for a place, which give has to be called for, and reports true. It reports false as soon as ctx is done:
// whatever the place was for, nobody needs it any more.
func (t *turns) take(ctx context.Context, l *line) bool {
	if ctx.Err() != nil {
		return false
	}
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	if l.waiting = append(l.waiting, turn); len(l.waiting) == 1 {
		t.lines = append(t.lines, l)
	}
	t.mu.Unlock()
	select {
	case <-turn:
	case <-ctx.Done():
		if t.leave(l, turn) {
			return false
		}
	}
	if ctx.Err() != nil { // its turn has come too late
		t.give()
		return false
	}
	return true
}

// leave takes somebody out of a line who does not wait any more. It reports false if the turn has come meanwhile.
func (t *turns) leave(l *line, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(l.waiting, turn)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	if len(l.waiting) == 0 {
		i = slices.Index(t.lines, l)
		t.lines = slices.Delete(t.lines, i, i+1)
	}
	return true
}

// give gives a place back: to the line whose turn it is, which then is the last.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		t.free++
		return
	}
	l := t.lines[0]
	t.lines = slices.Delete(t.lines, 0, 1)
	close(l.waiting[0])
	l.waiting = slices.Delete(l.waiting, 0, 1)
	if len(l.waiting) > 0 {
		t.lines = append(t.lines, l)
	}
}
