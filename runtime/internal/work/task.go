package work

import "iter"

// Task is something that a worker runs. It embeds a [Link], by which it is in one [List] or [Queue] at a time.
type Task interface {
	// Run runs the task. A worker outlives it, if it panics or ends its goroutine too.
	Run(w *Worker)

	// Flusher returns where Run may leave something unflushed. It is the same each time, and the Queue's if that has one.
	Flusher() Flusher

	link() *Link
}

// Flusher lets what tasks have left go. Flush does not wait for tasks.
type Flusher interface{ Flush() }

// Link links a task to the next one, so that to queue it allocates nothing. Tasks embed it.
type Link struct{ next Task }

func (l *Link) link() *Link { return l }

// List is a list of tasks, first in, first out. The zero value is empty.
type List struct {
	first, last Task // nil: none
	n           int
}

// Push adds a task at the end.
func (l *List) Push(t Task) { l.pushAll(&List{t, t, 1}) }

// pushAll moves all tasks of another list, which is not empty, to the end of this one.
func (l *List) pushAll(more *List) {
	if l.first == nil {
		l.first = more.first
	} else {
		l.last.link().next = more.first
	}
	l.last = more.last
	l.n += more.n
	*more = List{}
}

// pop takes the first task; nil: there is none.
func (l *List) pop() Task {
	t := l.first
	if t == nil {
		return nil
	}
	link := t.link()
	if l.first = link.next; l.first == nil {
		l.last = nil
	}
	link.next = nil
	l.n--
	return t
}

// All returns the tasks in their order. The list must not change meanwhile.
func (l *List) All() iter.Seq[Task] {
	return func(yield func(Task) bool) {
		for t := l.first; t != nil && yield(t); t = t.link().next {
		}
	}
}
