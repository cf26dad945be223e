package work

import "context"

// Bound lets a number of tasks run at a time. Those without a goroutine wait in its queue for a worker. Those that run on
// a goroutine already take a place, first come, first served. A bound is for the one or for the other: its workers and
// its places know nothing of each other.
type Bound struct {
	Queue
	places Semaphore
	line   Line
}

// NewBound returns a bound of n tasks, whatever their Flushers. n is positive.
func NewBound(pool *Pool, n int) *Bound {
	return &Bound{Queue: Queue{pool: pool, limit: n}, places: Semaphore{free: n}}
}

// Take waits for a place, which the caller has to Give back. It reports false as soon as ctx is done.
func (b *Bound) Take(ctx context.Context) bool { return b.places.Acquire(ctx, &b.line) }

// Give gives a place back.
func (b *Bound) Give() { b.places.Release() }

// Waiting returns how many tasks wait for a worker or a place.
func (b *Bound) Waiting() int { return b.Queue.Waiting() + b.places.Waiting() }

// Running returns how many tasks have a worker or a place.
func (b *Bound) Running() int { return b.Queue.Running() + b.limit - b.places.Free() }
