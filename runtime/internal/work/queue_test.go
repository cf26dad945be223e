package work

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// sink is a Flusher that counts what tasks have left.
type sink struct {
	mu      sync.Mutex
	left    int
	flushes int
	onFlush func()
}

func (s *sink) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left++
}

func (s *sink) Flush() {
	s.mu.Lock()
	s.left = 0
	s.flushes++
	s.mu.Unlock()
	if s.onFlush != nil {
		s.onFlush()
	}
}

// job is a task that does something and then leaves something unflushed.
type job struct {
	Link
	to   *sink
	do   func(w *Worker) // nil: nothing
	then func()          // nil: it returns
}

func (j *job) Flusher() Flusher { return j.to }

func (j *job) Run(w *Worker) {
	if j.do != nil {
		j.do(w)
	}
	j.to.leave()
	if j.then != nil {
		j.then()
	}
}

// wantNothing fails unless nothing waits or runs.
func wantNothing(t *testing.T, queues ...interface{ Waiting() int }) {
	t.Helper()
	synctest.Wait()
	for _, q := range queues {
		if running := q.(interface{ Running() int }).Running(); running != 0 || q.Waiting() != 0 {
			t.Errorf("%d run and %d wait", running, q.Waiting())
		}
	}
}

// newTestPool returns a pool that is closed at the end, and the panics that it was told of.
func newTestPool(t *testing.T) (*Pool, *[]string) {
	var mu sync.Mutex
	panics := &[]string{}
	p := NewPool(func(doing string, reason any) {
		mu.Lock()
		defer mu.Unlock()
		*panics = append(*panics, fmt.Sprint(doing, ": ", reason))
	})
	t.Cleanup(p.Close)
	return p, panics
}

// TestQueue_NothingWaitsForATask is the promise about flushing, and that a task which blocks holds up no other. Tasks of all
// kinds come one by one and in batches, to queues of all kinds. Whenever nothing moves any more, only tasks that block are
// under way, and nothing is left that a task has left which has returned.
func TestQueue_NothingWaitsForATask(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) { runQueues(t, rand.New(rand.NewPCG(seed, 0))) })
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// queues are queues with tasks that come at random.
type queues struct {
	t       *testing.T
	chance  *rand.Rand
	sinks   []*sink
	own     []*Queue // of each sink
	bounds  []*Bound
	panics  *[]string
	panicky int // tasks that have panicked, or will

	mu      sync.Mutex
	blocked []chan struct{} // closed for tasks to go on
}

func runQueues(t *testing.T, chance *rand.Rand) {
	pool, panics := newTestPool(t)
	q := &queues{t: t, chance: chance, panics: panics}
	for range 3 {
		s := &sink{}
		q.sinks, q.own = append(q.sinks, s), append(q.own, NewQueue(pool, s))
	}
	for limit := range 2 {
		q.bounds = append(q.bounds, NewBound(pool, limit+1))
	}
	for range 30 {
		var pushing sync.WaitGroup
		for range q.chance.IntN(4) {
			pushing.Go(q.push())
		}
		if q.chance.IntN(2) == 0 {
			q.release(1)
		}
		pushing.Wait()
		q.check()
	}
	for len(q.blocked) > 0 {
		q.release(len(q.blocked))
		q.check()
	}
	for i := range q.own {
		wantNothing(t, q.own[i])
	}
	for i := range q.bounds {
		wantNothing(t, q.bounds[i])
	}
	if len(*panics) != q.panicky {
		t.Errorf("told of the panics %q, want %d", *panics, q.panicky)
	}
	pool.Close()
}

// push returns a function that pushes a task or a batch of them.
func (q *queues) push() func() {
	i := q.chance.IntN(len(q.own) + len(q.bounds))
	bounded := i >= len(q.own)
	queue := q.own[i%len(q.own)]
	if bounded {
		queue = &q.bounds[i-len(q.own)].Queue
	}
	if q.chance.IntN(2) == 0 {
		j := q.job(q.sinks[i%len(q.sinks)])
		return func() { queue.Push(j) }
	}
	var batch List
	for range q.chance.IntN(6) {
		if bounded {
			i = q.chance.IntN(len(q.sinks))
		}
		batch.Push(q.job(q.sinks[i]))
	}
	return func() { queue.PushAll(&batch) }
}

// job returns a task that returns, ends its goroutine or panics, perhaps after it has blocked.
func (q *queues) job(to *sink) *job {
	j := &job{to: to}
	switch q.chance.IntN(8) {
	case 0, 1, 2:
		j.do = func(*Worker) {
			release := make(chan struct{})
			q.mu.Lock()
			q.blocked = append(q.blocked, release)
			q.mu.Unlock()
			<-release
		}
	case 3:
		j.do = func(*Worker) { panic("of a task") } // before it leaves anything
		q.panicky++
	}
	if q.chance.IntN(4) == 0 {
		j.then = runtime.Goexit
	}
	return j
}

// release lets n of the tasks that block go on.
func (q *queues) release(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range min(n, len(q.blocked)) {
		i := q.chance.IntN(len(q.blocked))
		close(q.blocked[i])
		q.blocked = slices.Delete(q.blocked, i, i+1)
	}
}

// check looks at all of it once nothing moves.
func (q *queues) check() {
	q.t.Helper()
	synctest.Wait()
	for i, s := range q.sinks {
		if s.left != 0 {
			q.t.Errorf("%d tasks have left something with flusher %d, which waits for other tasks", s.left, i)
		}
	}
	running := 0
	for _, own := range q.own {
		running += own.Running()
		if n := own.Waiting(); n != 0 {
			q.t.Errorf("%d tasks wait in a queue without a bound", n)
		}
	}
	for i, bound := range q.bounds {
		n := bound.Running()
		running += n
		if waiting := bound.Waiting(); n > i+1 || waiting > 0 && n < i+1 {
			q.t.Errorf("%d run of a bound of %d, while %d wait", n, i+1, waiting)
		}
	}
	if running != len(q.blocked) {
		q.t.Errorf("%d workers run tasks, but %d tasks block", running, len(q.blocked))
	}
}

// TestQueue_Order has tasks begin in the order in which they were pushed, if one runs at a time.
func TestQueue_Order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newTestPool(t)
		b, s, pushed, got := NewBound(pool, 1), &sink{}, 0, []int{}
		for pushed < 40 {
			var batch List
			for range pushed%4 + 1 {
				number := pushed
				batch.Push(&job{to: s, do: func(w *Worker) {
					if got = append(got, number); w.MayBlock() {
						t.Error("the only worker may block")
					}
				}})
				pushed++
			}
			b.PushAll(&batch)
		}
		wantNothing(t, b)
		if len(got) != pushed || !slices.IsSorted(got) {
			t.Errorf("they began in the order %d", got)
		}
		own, block := NewQueue(pool, s), false
		own.Push(&job{to: s, do: func(w *Worker) { block = w.MayBlock() }})
		wantNothing(t, own)
		if !block || own.Bounded() || !b.Bounded() {
			t.Error("a worker of any number may not block, or the bounds are others")
		}
		pool.Close()
	})
}

// TestQueue_FlushesABatchAtOnce has a batch of tasks run by few workers, and what they leave flushed by these: at most once
// for each time that a worker finds nothing to do.
func TestQueue_FlushesABatchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool, _ := newTestPool(t)
		s := &sink{}
		q, release := NewQueue(pool, s), make(chan struct{})
		var batch List
		for range 3 { // which keep three workers busy, so that all others are on their way once
			batch.Push(&job{to: s, do: func(*Worker) { <-release }})
		}
		q.PushAll(&batch)
		synctest.Wait()
		s.flushes = 0
		q.Push(&job{to: s})
		synctest.Wait()
		if s.flushes == 0 || s.flushes > 2 {
			t.Errorf("%d flushes for a task", s.flushes)
		}
		close(release)
		wantNothing(t, q)
		pool.Close()
	})
}

// TestQueue_FlusherFails has the Flusher panic, or end the goroutine, when a worker flushes because nothing is left to do. The
// worker is gone, but the queue does not count it as gone twice.
func TestQueue_FlusherFails(t *testing.T) {
	for name, fail := range map[string]func(){"Panic": func() { panic("of a flusher") }, "Goexit": runtime.Goexit} {
		inBubble(t, name, func(t *testing.T) {
			pool, panics := newTestPool(t)
			s, failing := &sink{}, true
			s.onFlush = func() {
				if failing {
					failing = false
					fail()
				}
			}
			b := NewBound(pool, 1)
			b.Push(&job{to: s})
			wantNothing(t, b)
			if want := map[string]int{"Panic": 1}[name]; len(*panics) != want {
				t.Errorf("told of the panics %q, want %d", *panics, want)
			}
			ran := false
			b.Push(&job{to: s, do: func(*Worker) { ran = true }})
			wantNothing(t, b)
			if !ran {
				t.Error("the next task does not run")
			}
			pool.Close()
		})
	}
}

// TestQueue_Allocations pushes a task to a queue whose worker is warm.
func TestQueue_Allocations(t *testing.T) {
	if locks.Checked {
		t.Skip("the check of the order of locks allocates")
	}
	pool, _ := newTestPool(t)
	done := make(chan struct{})
	s := &sink{}
	q, j := NewQueue(pool, s), &job{to: s, do: func(*Worker) { done <- struct{}{} }}
	if n := testing.AllocsPerRun(1000, func() {
		var batch List
		batch.Push(j)
		q.PushAll(&batch)
		<-done
	}); n >= 1 { // now and then a worker is not back before the next task comes
		t.Errorf("%v allocations for a task", n)
	}
}

// TestList moves tasks from list to list.
func TestList(t *testing.T) {
	var all, batch List
	next := 0
	for i := range 20 {
		for range i % 4 {
			batch.Push(&job{to: &sink{left: next}})
			next++
		}
		if batch.n > 0 {
			all.pushAll(&batch)
		}
		if batch != (List{}) {
			t.Error("the batch is not empty")
		}
		if i%3 == 0 && all.n > 0 {
			all.Push(all.pop()) // a task that was in the list can be again
			all.last.(*job).to.left = next
			next++
		}
	}
	count, before := all.n, -1
	for task := range all.All() {
		if got := task.(*job).to.left; got <= before {
			t.Errorf("%d comes after %d", got, before)
		} else {
			before = got
		}
		count--
	}
	for range all.All() {
		break
	}
	for all.n > 0 {
		if all.pop().link().next != nil {
			t.Error("a task is linked still")
		}
	}
	if count != 0 || all != (List{}) || all.pop() != nil {
		t.Errorf("the list is wrong by %d, and %+v at the end", count, all)
	}
}
