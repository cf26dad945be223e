package work

import "github.com/gogreeter/gogreeter/runtime/internal/buffer"

// Worker is a goroutine that runs tasks. It stays when there is nothing to do, so that its stack, grown once, and its
// buffer serve the next task: to grow stacks is a third of what a goroutine for each task costs. The zero value is for a
// goroutine that is not a pool's; it lends its tasks a buffer all the same.
type Worker struct {
	wake      chan *Queue // nil in it: the goroutine ends
	buffer    []byte      // nil: a task has it
	mayBlock  bool
	unflushed Flusher // the last task may have left something there, and this worker owes the flush; nil: it owes none
}

// MayBlock reports whether the task may wait for long: there can be any number of workers besides this one.
func (w *Worker) MayBlock() bool { return w.mayBlock }

// MaxBuffer is the largest buffer that a worker keeps for its next task, in octets.
const MaxBuffer = 4 << 10

// TakeBuffer returns the worker's buffer, empty. It is the caller's until PutBuffer.
func (w *Worker) TakeBuffer() []byte {
	b := w.buffer[:0]
	w.buffer = nil
	return b
}

// PutBuffer gives the worker its buffer back, or another of package buffer in its place.
func (w *Worker) PutBuffer(b []byte) {
	if cap(b) > MaxBuffer {
		buffer.Put(b)
		return
	}
	w.buffer = b
}

// flush does what the worker owes, and then it owes nothing.
func (w *Worker) flush() {
	if w.unflushed != nil {
		w.unflushed.Flush()
		w.unflushed = nil
	}
}
