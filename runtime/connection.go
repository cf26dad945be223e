package runtime

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// connection is a client's connection: it makes RPCs of the streams of an http2.Conn. It implements
// http2.Application.
type connection struct {
	connState
	forget func(*connection) // called once, when it has ended. Immutable.
}

// begin tells the observers of the connection, and becomes its reader. A user's connection may panic when it is asked for its
// client, and an observer may end this goroutine. Then another one reads: without a reader, the server could not terminate.
func (c *connection) begin() {
	if safely(func() { c.observers.opened(c.peerInfo) }, func(reason any) {
		if reason != nil {
			c.shared.panicked("a new connection", reason)
		}
		c.goRead()
	}) {
		c.read()
	}
}

// read is the connection's reader.
func (c *connection) read() {
	inline := &inlineRunner{owner: c}
	c.inline = inline
	var err error
	if !safely(func() { err = c.serve() }, func(reason any) {
		switch {
		case inline.replaced:
		case reason != nil:
			c.shared.panicked("the reader of a connection", reason)
			c.abandon()
		default: // an inline handler has ended this goroutine. Another goes on where it was.
			c.goRead()
		}
	}) {
		return
	}
	defer c.forget(c)       // even if the log ends this goroutine
	defer c.tellClosed(err) // before forget: when the server has terminated, the observers have been told
	var broken http2.ConnError
	if errors.As(err, &broken) {
		c.shared.logger.Debug("Connection ended by an error", "peer", logtext.Address(c.remoteAddr()), "error", logtext.Of(err))
	}
}

func (c *connection) tellClosed(err error) {
	received, sent := c.h2.Octets()
	c.observers.closed(received, sent, err)
}

// goRead gives the connection a new reader.
func (c *connection) goRead() { c.shared.spawn("a connection", c.read) }

// abandon ends the connection, whose reader has panicked. The server forgets it first: whatever the panic has left behind,
// the server can stop.
func (c *connection) abandon() {
	defer c.tellClosed(http2.ErrConnClosed)
	defer c.EndBatch()
	defer c.h2.Abandon()
	defer c.forget(c) // even if a user's connection ends this goroutine
	c.nc.Close()
}

// serve serves the connection until it ends. RPCs that were in the batch then have to run, to find out that they are over.
func (c *connection) serve() (err error) {
	if _, other := c.nc.(ports.Other); other {
		err = c.h2.ServeBy(c.passOn)
	} else {
		err = c.h2.Serve()
	}
	c.EndBatch()
	c.deadlines.end()
	return err
}

// NotHTTP2 implements http2.Application. A client that has negotiated HTTP/2 by TLS has no other choice.
func (c *connection) NotHTTP2() (serve func(nc net.Conn, done func())) {
	if _, secure := c.nc.(socket.TLS); secure || c.shared.table.Load().serve == nil {
		return nil
	}
	return c.passOn
}

// passOn has another protocol serve the connection, on a goroutine of its own, which it may end.
func (c *connection) passOn(nc net.Conn, done func()) {
	c.shared.spawn("a connection of another protocol", func() {
		defer done()
		c.shared.table.Load().serve(&protocol.Conn{Conn: nc, Peer: c.peerInfo(), Draining: c.shared.closing})
	})
}

// NewStream implements http2.Application.
func (c *connection) NewStream(request *fields.Section) *http2.Stream {
	if c.account.Count(budget.Handlers) >= 2*int64(c.shared.options.MaxConcurrentStreams) {
		// The client resets its streams faster than their handlers end (rapid reset, CVE-2023-44487): what it may cost
		// is bounded by handlers, not by streams.
		return nil
	}
	table := c.shared.table.Load()
	def, _ := request.Parsed.(*callDefinition)
	if def == nil || def.table != table {
		def = defineCall(request, table)
		if def.codec == nil && def.direct == nil {
			request.Parsed = def
		}
	}
	if c.tooMuchMetadata(def.metadataSize) {
		return nil
	}
	r := &rpc{session: &c.connState, def: def, memory: requestMemory{account: c.account}}
	r.stream.Handler = r
	if def.direct != nil {
		def.codec = &direct{r: r}
	}
	if wanted := c.shared.compression; wanted != wire.Identity && def.accepts.Has(wanted) {
		r.reply.encoding.chosen.Store(uint32(wanted))
	}
	return &r.stream
}

// Refused implements http2.Application.
func (c *connection) Refused(request *fields.Section, why http2.StreamError) {
	o, reason := outcome{Code: codes.Internal, Message: why.Reason}, RefusedMalformed // what clients make of the error's code
	if why.Code == http2.ErrCodeRefusedStream {
		o.Code, reason = codes.Unavailable, RefusedStream
	}
	c.observers.refused(HandlerCallDetails{Method: request.Path, request: request}, o, reason)
}

// replaceReader implements readerOwner.
func (c *connection) replaceReader(blocking *method) {
	first := blocking.inline.CompareAndSwap(true, false)
	c.goRead()
	if first {
		c.shared.logger.Error("An inline handler blocks; its method no longer runs inline", "method", blocking.path, "limit", inlineLimit)
	}
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

// Panicked implements http2.Application. The connection ends by itself then; its reader comes back from Serve.
func (c *connection) Panicked(reason any) { c.shared.panicked("the transport of a connection", reason) }

// rpcs returns the RPCs whose streams are open.
func (c *connection) rpcs() []*rpc {
	var all []*rpc
	c.h2.Streams(func(st *http2.Stream) { all = append(all, st.Handler.(*rpc)) })
	return all
}

// deadlinesOfRPCs implements expiring.
func (c *connection) deadlinesOfRPCs() (all []deadline) {
	for _, r := range c.rpcs() {
		if at := r.deadlineNow(); !at.IsZero() {
			all = append(all, deadline{at, r.stream.ID()})
		}
	}
	return all
}

// expire implements expiring.
func (c *connection) expire(streams []uint32, now clock.Instant) {
	expired := false
	for _, id := range streams {
		st := c.h2.Stream(id)
		if st == nil {
			continue
		}
		r := st.Handler.(*rpc)
		if at := r.deadlineNow(); !at.IsZero() && !now.Before(at) {
			r.abort(outcomeDeadline, context.DeadlineExceeded)
			st.Reset(http2.ErrCodeCancel) // still open: its status waits behind responses that the client does not read
			expired = true
		}
	}
	if expired {
		c.h2.Flush()
	}
}

// addTo adds the numbers of the connection.
func (c *connection) addTo(stats *ServerStats) {
	stats.Connections++
	stats.Queued += c.queue.Waiting() + c.account.Waiting(budget.ForBeginning)
	info := c.info()
	stats.HeldRequestBytes += info.HeldRequestBytes
	stats.HeldResponseBytes += info.HeldResponseBytes
	stats.ReceivedBytes += info.ReceivedBytes
	stats.SentBytes += info.SentBytes
}

// info returns a snapshot of the connection, without its peer.
func (c *connection) info() ConnectionInfo {
	info := ConnectionInfo{
		ID: c.id, Opened: c.opened, Active: int(c.account.Count(budget.Handlers)),
		HeldRequestBytes: c.account.Used(budget.Requests), HeldResponseBytes: c.account.Used(budget.Responses),
	}
	info.ReceivedBytes, info.SentBytes = c.h2.Octets()
	return info
}
