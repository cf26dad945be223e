package http2

import (
	"sync"
	"sync/atomic"
)

// sender is what a stream has to send. Conn.mu guards it, except id, which is immutable, and full, which is atomic.
type sender struct {
	id         uint32
	endStream  bool        // END_STREAM follows the backlog
	queued     bool        // in outbox.queue
	full       atomic.Bool // the backlog is too large for more; any goroutine may look
	delta      int64       // the stream's window, less the peer's SETTINGS_INITIAL_WINDOW_SIZE
	backlog    backlog
	trailers   []byte     // the field block to be sent behind the backlog
	room       *sync.Cond // signalled when the backlog shrinks or the stream ends; made by the first that waits
	prev, next *sender    // in outbox.queue
}

// wake wakes the goroutines that wait for room.
func (s *sender) wake() {
	if s.room != nil {
		s.room.Broadcast()
	}
}

// sendQueue is the queue of streams that have both data and window, and wait for the connection. First in, first
// out: each turn sends one frame, so that streams share the connection evenly.
type sendQueue struct{ head, tail *sender }

// empty reports whether no stream waits.
func (q *sendQueue) empty() bool { return q.head == nil }

// push adds a stream at the end. The stream must not be in the queue.
func (q *sendQueue) push(s *sender) {
	s.queued, s.prev = true, q.tail
	if q.head == nil {
		q.head = s
	} else {
		q.tail.next = s
	}
	q.tail = s
}

// pop takes the first stream. The queue must not be empty.
func (q *sendQueue) pop() *sender {
	s := q.head
	q.remove(s)
	return s
}

// remove takes a stream out of the queue, wherever it is.
func (q *sendQueue) remove(s *sender) {
	if s.prev == nil {
		q.head = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		q.tail = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.queued, s.prev, s.next = false, nil, nil
}
