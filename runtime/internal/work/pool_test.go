package work

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// countWorkers counts the goroutines that are workers.
func countWorkers() int {
	stacks := make([]byte, 1<<22)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "work.(*Pool).run(")
}

// TestPool_Trims counts the workers that are not needed any more, from one trim to the next.
func TestPool_Trims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newTestPool(t)
		s := &sink{}
		q := NewQueue(pool, s)
		for range 2 {
			for range 100 {
				q.Push(&job{to: s, do: func(*Worker) { time.Sleep(time.Second) }})
			}
			synctest.Wait()
			if n := countWorkers(); n < 100 {
				t.Errorf("%d workers for 100 tasks that block", n)
			}
			time.Sleep(time.Second) // until they are idle
			for i := range 4 {
				time.Sleep(trimInterval - time.Millisecond)
				q.Push(&job{to: s})
				time.Sleep(time.Millisecond) // until the trim
				synctest.Wait()
				if n := countWorkers(); i > 0 && n != 1 {
					t.Errorf("%d workers after trim %d, although there was one task at a time", n, i)
				}
			}
			time.Sleep(2 * trimInterval)
			synctest.Wait()
			if n := countWorkers(); n != 0 {
				t.Errorf("%d workers although there is nothing to do", n)
			}
		}
		wantNothing(t, q)
	})
}

// TestPool_Close ends workers that are idle at once, and busy ones once they are done.
func TestPool_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newTestPool(t)
		s, release := &sink{}, make(chan struct{})
		q := NewQueue(pool, s)
		for i := range 10 {
			q.Push(&job{to: s, do: func(*Worker) {
				if i < 3 {
					<-release
				} else {
					time.Sleep(time.Second)
				}
			}})
		}
		time.Sleep(2 * time.Second)
		pool.Close()
		synctest.Wait()
		if n := countWorkers(); n != 3 {
			t.Errorf("%d workers, of which 3 are busy", n)
		}
		q.Push(&job{to: s}) // which may come yet
		synctest.Wait()
		if n := countWorkers(); n != 3 {
			t.Errorf("%d workers, of which 3 are busy", n)
		}
		close(release)
		wantNothing(t, q)
		if n := countWorkers(); n != 0 {
			t.Errorf("%d workers after Close", n)
		}
	})
}

// TestPool_CloseWhileTrimming has the timer go off, and the pool closed before it has got anywhere.
func TestPool_CloseWhileTrimming(t *testing.T) {
	var p Pool
	for range 3 {
		w := &Worker{wake: make(chan *Queue, 1)}
		p.idle, p.spare = append(p.idle, w), p.spare+1
	}
	p.Close()
	p.trim()
	if len(p.idle) != 0 || p.timer != nil {
		t.Errorf("%d workers are left; the timer is %v", len(p.idle), p.timer)
	}
}

// TestWorker_Buffer gives a worker buffers of all sizes. It keeps them for the next task, unless hardly any other needs them.
func TestWorker_Buffer(t *testing.T) {
	w := &Worker{}
	for _, tt := range []struct{ size, kept int }{{100, 100}, {MaxBuffer, MaxBuffer}, {MaxBuffer + 1, 0}, {1 << 20, 0}} {
		w.PutBuffer(make([]byte, 7, tt.size))
		if first, second := w.TakeBuffer(), w.TakeBuffer(); cap(first) != tt.kept || len(first) != 0 || second != nil {
			t.Errorf("a buffer of %d of %d octets was taken, and then one of %d; want %d and none", len(first), cap(first), cap(second), tt.kept)
		}
	}
}
