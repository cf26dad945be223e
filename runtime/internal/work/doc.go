// Package work runs tasks on warm goroutines, and hands out places where only so many may run at a time. It knows
// nothing of what the tasks are.
//
//	Push ─▶ Queue ─▶ Worker ─▶ Task.Run        Bound: a Queue of so many workers, or as many Places
//	          │         ▲
//	          └─ Pool ──┘                      Places: for goroutines that run already; their Lines take turns
//
// # Who runs a task
//
// A batch of tasks wakes one worker, not one for each: it takes one task after another. While tasks are left, one more
// worker is on its way besides those that run tasks, unless the queue's limit is reached. So a task that blocks holds up
// no other, and few workers run tasks that do not block, without a hand-over between goroutines.
//
// # The promise about flushing
//
// A task may leave octets unflushed when it returns (its [Flusher]), so that those of a whole batch go in one write. What
// one task leaves never waits for another task. A worker flushes before it runs the next task, and when none is left. It
// may skip the flush before a task if another worker is on its way to the same queue, and all tasks of that have one
// Flusher: the worker that arrives owes the flush from then on, by the same rule. If a task ends its goroutine
// (runtime.Goexit), the goroutine that takes its place owes it.
package work
