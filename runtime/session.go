package runtime

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// session is what the RPCs of a connection have of it. They see this part of the connection, and no other.
type session struct {
	// Immutable after newConnection.
	shared         *shared
	nc             net.Conn
	peer           net.Addr        // nil: nc knows
	values         context.Context // that the contexts of RPCs have
	h2             *http2.Conn
	account        *budget.Budget       // of all that the client makes the server hold
	queue          *work.Queue          // of RPCs that nothing else is said about
	inflatingLarge *work.Places         // one: to inflate a request to much
	observers      *connectionObservers // nil: there are none
	id             ConnectionID
	opened         time.Time // when it was accepted

	// Owned by the reader.
	batch  work.List     // RPCs that can run since the last EndBatch
	inline *inlineRunner // the reader's

	heads           atomic.Int64 // octets of the account: metadata beyond what is usual
	inflations      work.Line    // requests that wait for their turn to be inflated
	deflations      work.Line    // responses that wait to be deflated
	largeInflations work.Line    // those that wait for inflatingLarge
	deadlines       deadlines
	lingering       lingering
}

// dispatched is an RPC, as it goes to its handler.
type dispatched interface {
	work.Task

	// endBatch is called before the RPC goes to its interceptors, when nothing more has come with its field block.
	endBatch()
}

// dispatch has an RPC run where its method wants it. m is nil if the method is not known.
func (s *session) dispatch(r dispatched, m *method) {
	if m != nil && m.inline.Load() {
		s.h2.FlushAfterBatch() // before: the handler may end this goroutine
		s.inline.run(r, m)
		return
	}
	if queue := s.queueOf(m); queue != s.queue {
		queue.Push(r)
		return
	}
	s.batch.Push(r)
}

// EndBatch implements http2.Application: it hands the RPCs to the workers that can run since it was called last.
func (s *session) EndBatch() {
	if s.shared.chain != nil {
		for r := range s.batch.All() {
			r.(dispatched).endBatch()
		}
	}
	s.queue.PushAll(&s.batch)
	s.inline.endBatch()
}

// boundOf returns what bounds how many handlers of a method run at a time; nil is nothing.
func (s *session) boundOf(m *method) *work.Bound {
	switch {
	case m.bound != nil:
		return m.bound
	case m.unbounded:
		return nil
	}
	return s.shared.bound
}

// queueOf returns the queue for the RPCs of a method, those that run inline apart. With interceptors there is one for
// all of a connection: in what order RPCs go on must not depend on which methods there are. It is for the handlers to decide.
func (s *session) queueOf(m *method) *work.Queue {
	if s.shared.chain == nil {
		if bound := s.boundOf(m); bound != nil {
			return &bound.Queue
		}
	}
	return s.queue
}

// remoteAddr returns the client's address; it is not nil.
func (s *session) remoteAddr() net.Addr {
	if s.peer != nil {
		return s.peer
	}
	return ports.Known(s.nc.RemoteAddr())
}

// addHead counts an RPC's metadata, if it is large and no other RPC of the connection has the same. The reader calls it.
func (s *session) addHead(d *callDefinition) {
	if d.weight > usualWeight && d.users.Add(1) == 1 {
		s.heads.Add(d.weight)
		s.account.Add(budget.Requests, d.weight)
	}
}

// dropHead is called when an RPC is finished that addHead was called for. Any goroutine may call it.
func (s *session) dropHead(d *callDefinition) {
	if d.weight > usualWeight && d.users.Add(-1) == 0 {
		s.heads.Add(-d.weight)
		s.account.Sub(budget.Requests, d.weight)
	}
}

// tooMuchMetadata reports whether the connection can bear no more RPCs, because of the metadata of those there are: with what
// may come of requests unasked, they would be more than the account permits, or alone a quarter of it.
func (s *session) tooMuchMetadata(more int64) bool {
	heads := s.heads.Load()
	if more > usualWeight {
		heads += more
	}
	if heads == 0 {
		return false
	}
	limit, windows := s.account.Limit(), int64(s.h2.OpenStreams()+1)*streamWindow+s.h2.Beyond()
	return heads > limit/4 || windows+heads > limit+limit/8
}

// giveBack gives back what was reserved for a response.
func (s *session) giveBack(paid int64) { s.account.Sub(budget.Responses, paid) }

// stalls is called when something has to wait for room: if that is because clients do not take their responses, they lose
// their connections in the end.
func (s *session) stalls() {
	s.h2.WatchStall()
	if s.shared.account != nil {
		s.shared.watchStalls()
	}
}
