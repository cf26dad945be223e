package work

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// wantFree fails unless so many places are free, and nobody waits.
func wantFree(t *testing.T, p *Semaphore, want int, lines ...*Line) {
	t.Helper()
	if p.Free() != want || p.Waiting() != 0 || p.lines.Len() != 0 {
		t.Errorf("%d places are free, want %d; %d wait in %d lines", p.Free(), want, p.Waiting(), p.lines.Len())
	}
	for _, l := range lines {
		if l.entry != nil || l.turns != nil && l.turns.Len() != 0 {
			t.Error("a line is not empty")
		}
	}
}

// inBubble runs a subtest with time of its own. It fails if a goroutine is left at the end.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// TestPlaces_LinesTakeTurns has a thousand wait in one line, and one in each of others: these come before the second of the
// thousand, whatever the number of places.
func TestPlaces_LinesTakeTurns(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		inBubble(t, fmt.Sprint(n, " places"), func(t *testing.T) {
			const others = 3
			places, many := NewSemaphore(n), &Line{}
			for range n { // which are under way
				places.Acquire(context.Background(), &Line{})
			}
			var order []string
			done := make(chan string)
			wait := func(name string, l *Line, times int) {
				for range times {
					go func() {
						places.Acquire(context.Background(), l)
						done <- name
					}()
				}
				synctest.Wait()
			}
			wait("many", many, 1000)
			for i := range others {
				wait(fmt.Sprint("other ", i), &Line{}, 1)
			}
			if got := places.Waiting(); got != 1000+others {
				t.Errorf("%d wait", got)
			}
			for range 1000 + others {
				places.Release()
				order = append(order, <-done)
			}
			if last := slices.Index(order, fmt.Sprint("other ", others-1)); last != others {
				t.Errorf("the last of the others came after %d, want %d: %v", last, others, order[:10])
			}
			for range n {
				places.Release()
			}
			wantFree(t, places, n, many)
		})
	}
}

// TestPlaces_InOrder has several lines of several, and those of each come in their order.
func TestPlaces_InOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places, lines := NewSemaphore(0), make([]Line, 3)
		done := make(chan string)
		for i := range lines {
			for j := range i + 1 {
				go func() {
					places.Acquire(context.Background(), &lines[i])
					done <- fmt.Sprint(i, j)
				}()
				synctest.Wait()
			}
		}
		var order []string
		for range 6 {
			places.Release()
			order = append(order, <-done)
		}
		if got, want := strings.Join(order, ", "), "0 0, 1 0, 2 0, 1 1, 2 1, 2 2"; got != want {
			t.Errorf("the order is %s, want %s", got, want)
		}
		wantFree(t, places, 0, &lines[0], &lines[1], &lines[2])
	})
}

// TestPlaces_Over has those who wait be over at each point: they get no place, and none is lost.
func TestPlaces_Over(t *testing.T) {
	over, end := context.WithCancel(context.Background())
	end()
	inBubble(t, "Before", func(t *testing.T) {
		places := NewSemaphore(1)
		if places.Acquire(over, &Line{}) {
			t.Error("a place was taken")
		}
		wantFree(t, places, 1)
	})
	for _, when := range []string{"Waiting", "AtItsTurn"} {
		for _, others := range []int32{0, 1, 5} { // who wait behind it
			inBubble(t, fmt.Sprint(when, others), func(t *testing.T) {
				places, l := NewSemaphore(0), &Line{}
				ctx, cancel := context.WithCancel(context.Background())
				var left, served atomic.Int32
				wait := func(ctx context.Context) {
					go func() {
						if !places.Acquire(ctx, l) {
							left.Add(1)
							return
						}
						served.Add(1)
						places.Release()
					}()
					synctest.Wait()
				}
				wait(ctx)
				for range others {
					wait(context.Background())
				}
				if when == "Waiting" {
					cancel()
					synctest.Wait()
					if left.Load() != 1 {
						t.Error("it waits on while there is no place")
					}
				}
				places.Release()
				cancel()
				synctest.Wait()
				if left.Load()+served.Load() != 1+others || served.Load() < others {
					t.Errorf("%d have left and %d were served, of one and %d", left.Load(), served.Load(), others)
				}
				wantFree(t, places, 1, l)
			})
		}
	}
}

// TestBound_TurnOfOneThatIsOver ends a context at the moment at which its turn comes. Whichever Take sees first, the place
// is not lost.
func TestBound_TurnOfOneThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			b, taken := NewBound(nil, 1), make(chan bool)
			b.Take(context.Background())
			ctx, cancel := context.WithCancel(context.Background())
			go func() { taken <- b.Take(ctx) }()
			synctest.Wait()
			if b.Running() != 1 || b.Waiting() != 1 {
				t.Fatalf("%d places are taken, %d are in line", b.Running(), b.Waiting())
			}
			b.places.mu.Lock() // so that cancel and Give are one moment for Take
			go b.Give()
			cancel()
			b.places.mu.Unlock()
			if <-taken {
				b.Give()
			}
			synctest.Wait()
			if b.Running() != 0 || b.Waiting() != 0 {
				t.Fatalf("%d places are taken, %d are in line", b.Running(), b.Waiting())
			}
			wantFree(t, &b.places, 1, &b.line)
		}
	})
}

// TestPlaces_Stress has goroutines of several lines take places and give up waiting at any moment. There are never more than
// there are places, and all of them are back at the end.
func TestPlaces_Stress(t *testing.T) {
	const n, goroutines, rounds = 2, 24, 300
	places, lines := NewSemaphore(n), make([]*Line, 5)
	for i := range lines {
		lines[i] = &Line{}
	}
	var inside, taken atomic.Int32
	done := make(chan bool)
	for g := range goroutines {
		go func() {
			defer func() { done <- true }()
			for i := range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				if (g+i)%3 == 0 {
					go cancel()
				}
				if places.Acquire(ctx, lines[(g+i)%len(lines)]) {
					taken.Add(1)
					if got := inside.Add(1); got > n {
						t.Errorf("%d have a place", got)
					}
					inside.Add(-1)
					places.Release()
				}
				cancel()
			}
		}()
	}
	for range goroutines {
		<-done
	}
	if got := taken.Load(); got < goroutines*rounds/2 {
		t.Errorf("only %d of %d have had a place", got, goroutines*rounds)
	}
	wantFree(t, places, n, lines...)
}
