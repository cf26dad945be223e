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

// connState is the part of a connection that its RPCs may use.
type connState struct {
	// Immutable after newConnection.
	shared         *serverState
	nc             net.Conn
	peer           net.Addr        // nil: nc knows
	values         context.Context // parent of the contexts of RPCs
	h2             *http2.Conn
	account        *budget.Budget       // counts everything the client makes the server hold
	queue          *work.Queue          // the connection's own; see queueOf
	inflatingLarge *work.Semaphore      // for one request at a time: to inflate it to a large size
	observers      *connectionObservers // nil: there are none
	id             ConnectionID
	opened         time.Time // when it was accepted

	// Owned by the reader.
	batch  work.List     // RPCs that can run since the last EndBatch
	inline *inlineRunner // the reader's

	heads           atomic.Int64 // octets of the account: metadata of RPCs that have more than usual
	inflations      work.Line    // requests that wait for their turn to be inflated
	deflations      work.Line    // responses that wait to be deflated
	largeInflations work.Line    // those that wait for inflatingLarge
	deadlines       deadlines
	unreleased      unreleasedRPCs
}

// dispatched is an RPC, as it goes to its handler.
type dispatched interface {
	work.Task

	// endBatch is called at the end of the batch, before the RPC goes to a worker and its interceptors.
	endBatch()
}

// dispatch runs an RPC inline, or queues it where its method asks for. m is nil if the method is not known.
func (s *connState) dispatch(r dispatched, m *method) {
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

// EndBatch implements http2.Application: it hands the RPCs of the batch to the workers.
func (s *connState) EndBatch() {
	if s.shared.chain != nil {
		for r := range s.batch.All() {
			r.(dispatched).endBatch()
		}
	}
	s.queue.PushAll(&s.batch)
	s.inline.endBatch()
}

// boundOf returns the limit on how many handlers of a method run at a time; nil: there is none.
func (s *connState) boundOf(m *method) *work.Bound {
	switch {
	case m.bound != nil:
		return m.bound
	case m.unbounded:
		return nil
	}
	return s.shared.bound
}

// queueOf returns the queue for the RPCs of a method, unless they run inline. With interceptors, all RPCs of a connection
// share one queue: the order in which they go on must not reveal which methods exist.
func (s *connState) queueOf(m *method) *work.Queue {
	if s.shared.chain == nil {
		if bound := s.boundOf(m); bound != nil {
			return &bound.Queue
		}
	}
	return s.queue
}

// remoteAddr returns the client's address; it is not nil.
func (s *connState) remoteAddr() net.Addr {
	if s.peer != nil {
		return s.peer
	}
	return ports.Known(s.nc.RemoteAddr())
}

// addHead counts an RPC's metadata, if it is large and no other RPC of the connection has the same. The reader calls it.
func (s *connState) addHead(d *callDefinition) {
	if d.metadataSize > baselineMetadataSize && d.users.Add(1) == 1 {
		s.heads.Add(d.metadataSize)
		s.account.Add(budget.Requests, d.metadataSize)
	}
}

// dropHead undoes addHead when the RPC is finished. Any goroutine may call it.
func (s *connState) dropHead(d *callDefinition) {
	if d.metadataSize > baselineMetadataSize && d.users.Add(-1) == 0 {
		s.heads.Add(-d.metadataSize)
		s.account.Sub(budget.Requests, d.metadataSize)
	}
}

// tooMuchMetadata reports whether the metadata of its RPCs leaves the connection no room for more of them. That is so if the
// metadata exceeds a quarter of the account's limit. It is also so if the metadata, with the stream windows that clients may
// fill unasked, exceeds the limit by an eighth.
func (s *connState) tooMuchMetadata(more int64) bool {
	heads := s.heads.Load()
	if more > baselineMetadataSize {
		heads += more
	}
	if heads == 0 {
		return false
	}
	limit, windows := s.account.Limit(), int64(s.h2.OpenStreams()+1)*streamWindow+s.h2.Beyond()
	return heads > limit/4 || windows+heads > limit+limit/8
}

// giveBack releases the octets that were reserved for a response.
func (s *connState) giveBack(reserved int64) { s.account.Sub(budget.Responses, reserved) }

// watchForStall is called when something has to wait for room. If clients cause that by not reading their responses, they lose
// their connections in the end.
func (s *connState) watchForStall() {
	s.h2.WatchStall()
	if s.shared.account != nil {
		s.shared.watchStalls()
	}
}
