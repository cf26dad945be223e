package budget

import "github.com/gogreeter/gogreeter/runtime/internal/locks"

// scheduler decides in tests which goroutine goes on between two steps, so that they can go through all interleavings.
type scheduler struct {
	lock  func(*locks.Mutex[locks.Account]) // instead of Lock
	pause func()                            // between steps that others may come between
	spawn func(f func())                    // instead of go
}

func (b *Budget) lock() {
	if b.sched != nil {
		b.sched.lock(&b.mu)
		return
	}
	b.mu.Lock()
}

func (b *Budget) pause() {
	if b.sched != nil {
		b.sched.pause()
	}
}

func (b *Budget) spawnGrantAll() {
	if b.sched != nil {
		b.sched.spawn(b.grantAll)
		return
	}
	go b.grantAll()
}
