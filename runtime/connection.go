package runtime

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// connection is a client's connection: it makes RPCs of the streams of an http2.Conn. It implements
// http2.Application.
type connection struct {
	// Immutable after newConnection.
	shared *shared
	forget func(*connection) // called once, when it has ended
	nc     net.Conn
	peer   net.Addr // nil: nc knows
	h2     *http2.Conn
	queue  *work.Queue // of RPCs that nothing else is said about

	// Owned by the reader.
	batch  work.List     // RPCs that can run since the last EndBatch
	inline *inlineRunner // the reader's

	account    *budget.Budget // of all that the client makes the server hold
	heads      atomic.Int64   // octets of it: metadata beyond what is usual
	inflations work.Line      // requests that wait for their turn to be inflated
	deflations work.Line      // responses that wait to be deflated
	large      *work.Places   // one: to inflate a request to much
	largeLine  work.Line      // those that wait for it

	deadlines deadlines
}

func newConnection(s *shared, nc net.Conn, peer net.Addr, forget func(*connection)) *connection {
	c := &connection{shared: s, forget: forget, nc: nc, peer: peer, large: work.NewPlaces(1)}
	c.deadlines.of = c
	c.account = budget.New(int64(s.limits.connection), s.account, c.Panicked)
	c.h2 = http2.NewConn(nc, c, s.transport, c.account)
	c.queue = work.NewQueue(s.workers, c.h2)
	return c
}

// read is the connection's reader.
func (c *connection) read() {
	inline := &inlineRunner{owner: c}
	c.inline = inline
	returned := false
	defer func() {
		if returned || inline.replaced {
			return
		}
		if reason := recover(); reason != nil {
			c.shared.panicked("the reader of a connection", reason)
			c.abandon()
			return
		}
		// An inline handler has called runtime.Goexit, which ends this goroutine. Another goes on where it was.
		c.goRead()
	}()
	err := c.serve()
	returned = true
	var broken http2.ConnError
	if errors.As(err, &broken) {
		c.shared.logger.Debug("Connection ended by an error", "peer", logtext.Address(c.remoteAddr()), "error", logtext.Of(err))
	}
	c.forget(c)
}

// goRead gives the connection a new reader.
func (c *connection) goRead() { c.shared.spawn("a connection", c.read) }

// abandon ends the connection, whose reader has panicked. The server forgets it first: whatever the panic has left behind,
// the server can stop.
func (c *connection) abandon() {
	c.nc.Close()
	c.forget(c)
	c.h2.Abandon()
	c.EndBatch()
}

// serve serves the connection until it ends.
func (c *connection) serve() error {
	err := c.h2.Serve()
	c.EndBatch()
	c.deadlines.end()
	return err
}

// NewStream implements http2.Application.
func (c *connection) NewStream(request *fields.Section) *http2.Stream {
	if c.account.Count(budget.Handlers) >= 2*int64(c.shared.limits.streams) {
		// The client resets its streams faster than their handlers end (rapid reset, CVE-2023-44487): what it may cost
		// is bounded by handlers, not by streams.
		return nil
	}
	table := c.shared.table.Load()
	def, _ := request.Parsed.(*callDefinition)
	if def == nil || def.table != table {
		def = defineCall(request, table)
		request.Parsed = def
	}
	if c.tooMuchMetadata(def.weight) {
		return nil
	}
	r := &rpc{conn: c, def: def, tab: tab{account: c.account}}
	r.stream.Handler = r
	if wanted := c.shared.limits.compression; wanted != NoCompression && def.accepts.Has(wire.Encoding(wanted)) {
		r.compression.Store(uint32(wanted))
	}
	return &r.stream
}

// boundOf returns what bounds how many handlers of a method run at a time; nil is nothing.
func (c *connection) boundOf(m *method) *work.Bound {
	switch {
	case m.bound != nil:
		return m.bound
	case m.unbounded:
		return nil
	}
	return c.shared.bound
}

// queueOf returns the queue for the RPCs of a method, those that run inline apart. With interceptors there is one for
// all of a connection: who waits for whom must not depend on which methods there are, and is for the handlers to do.
func (c *connection) queueOf(m *method) *work.Queue {
	if c.shared.chain == nil {
		if bound := c.boundOf(m); bound != nil {
			return &bound.Queue
		}
	}
	return c.queue
}

// dispatchRPC has an RPC run where its method wants it.
func (c *connection) dispatchRPC(r *rpc) {
	if r.method != nil && r.method.inline.Load() {
		c.h2.FlushAfterBatch() // before: the handler may end this goroutine
		c.inline.run(r)
		return
	}
	if queue := c.queueOf(r.method); queue != c.queue {
		queue.Push(r)
		return
	}
	c.batch.Push(r)
}

// EndBatch implements http2.Application.
func (c *connection) EndBatch() {
	if c.shared.chain != nil {
		for r := range c.batch.All() {
			r.(*rpc).endBatch()
		}
	}
	c.queue.PushAll(&c.batch)
	c.inline.endBatch()
}

// replaceReader implements readerOwner.
func (c *connection) replaceReader(blocking *method) {
	if blocking.inline.CompareAndSwap(true, false) {
		c.shared.logger.Error("An inline handler blocks; its method no longer runs inline", "method", blocking.path, "limit", inlineLimit)
	}
	c.goRead()
}

// survive implements readerOwner and expiring.
func (c *connection) survive(doing string, f func()) { c.shared.survive(doing, f) }

// cancelAll ends all RPCs, and returns how many that were.
func (c *connection) cancelAll() (n int) {
	c.account.Close()
	for _, r := range c.rpcs() {
		if r.state.hasBegun() && !r.state.isEnding() {
			n++
		}
		r.abort(outcomeStopped, context.Canceled)
	}
	return n
}

// end ends the connection, once its RPCs have been ended.
func (c *connection) end() { c.h2.End(http2.ErrCodeNo, outcomeStopped.Message) }

// Panicked implements http2.Application.
func (c *connection) Panicked(reason any) { c.shared.panicked("the transport of a connection", reason) }

// remoteAddr returns the client's address; it is not nil.
func (c *connection) remoteAddr() net.Addr {
	if c.peer != nil {
		return c.peer
	}
	return orUnknown(c.nc.RemoteAddr())
}

// rpcs returns the RPCs whose streams are open.
func (c *connection) rpcs() []*rpc {
	var all []*rpc
	c.h2.Streams(func(st *http2.Stream) { all = append(all, st.Handler.(*rpc)) })
	return all
}

// deadlinesOfRPCs implements expiring.
func (c *connection) deadlinesOfRPCs() (all []deadline) {
	for _, r := range c.rpcs() {
		if at, ok := r.Deadline(); ok {
			all = append(all, deadline{at, r.stream.ID()})
		}
	}
	return all
}

// expire implements expiring.
func (c *connection) expire(streams []uint32, now time.Time) {
	expired := false
	for _, id := range streams {
		st := c.h2.Stream(id)
		if st == nil {
			continue
		}
		r := st.Handler.(*rpc)
		if at, ok := r.Deadline(); ok && !now.Before(at) {
			r.abort(outcomeDeadline, context.DeadlineExceeded)
			st.Reset(http2.ErrCodeCancel) // if its status was sent before, and waits for a client that does not read
			expired = true
		}
	}
	if expired {
		c.h2.Flush()
	}
}
