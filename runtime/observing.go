package runtime

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// How observers are told. Methods of a nil *connectionObservers and of a nil *rpcObservers do nothing, which is what observers
// cost where there are none: each is small enough to be inlined, and calls a larger one.

// checkObservers panics if one of the observers is nil.
func checkObservers(observers []Observer) {
	for i, o := range observers {
		if o == nil {
			panic(fmt.Sprintf("gogreeter: NewServer: ServerOptions.Observers[%d] is nil", i))
		}
	}
}

// connectionObservers are the observers of a connection. nil: there are none.
type connectionObservers struct {
	all    []ConnectionObserver // immutable
	info   ConnectionInfo       // immutable, but for Peer, which has what the handshake has established once there are RPCs
	shared *serverState         // immutable
	totals ConnectionTotals     // owned by the reader
}

// observeConnection asks the observers whether they care for a connection.
func observeConnection(s *serverState, info ConnectionInfo) *connectionObservers {
	c := &connectionObservers{info: info, shared: s}
	for _, each := range s.options.Observers {
		c.call(func() {
			if o := each.ObserveConnection(info); o != nil {
				c.all = append(c.all, o)
			}
		})
	}
	if len(c.all) == 0 {
		return nil
	}
	return c
}

// call calls an observer. If that panics, the connection or RPC goes on.
func (c *connectionObservers) call(f func()) {
	safely(f, func(reason any) {
		text, stack := logtext.Cut(panicText(reason)), string(debug.Stack())
		c.shared.logOnOtherGoroutine(func() { c.shared.logger.Error("Exception in an observer", "panic", text, "stack", stack) })
	})
}

func (c *connectionObservers) tell(event ConnectionEvent) {
	for _, each := range c.all {
		c.call(func() { each.ObserveConnectionEvent(event) })
	}
}

// opened is called when RPCs can come.
func (c *connectionObservers) opened(p func() *peer.Peer) {
	if c != nil {
		c.info.Peer = p()
		c.tell(ConnectionEvent{Kind: ConnectionOpened, Peer: c.info.Peer})
	}
}

// failed is called when a pending connection has not become a connection. err is nil if that is because the server has stopped.
func (c *connectionObservers) failed(err error) {
	if c == nil {
		return
	}
	if err != nil {
		c.tell(ConnectionEvent{Kind: ConnectionHandshakeFailed, Err: err})
	}
	c.tell(ConnectionEvent{Kind: ConnectionClosed, Err: err})
}

// closed is called when the connection has ended, with its octets.
func (c *connectionObservers) closed(received, sent uint64, err error) {
	if c != nil {
		c.totals.ReceivedBytes, c.totals.SentBytes = received, sent
		c.tell(ConnectionEvent{Kind: ConnectionClosed, Totals: c.totals, Err: err})
	}
}

// refused is called when a request was refused. The reader calls it.
func (c *connectionObservers) refused(details HandlerCallDetails, o outcome, reason RefusalReason) {
	if c != nil {
		c.totals.Refused++
		c.tell(ConnectionEvent{Kind: ConnectionRefused, Details: details, Code: o.Code, Reason: reason, Err: o.Err()})
	}
}

// rpcObservers are the observers of an RPC, and the state that only they need. nil: its connection has none.
type rpcObservers struct {
	// Immutable after begin.
	connection  *connectionObservers
	info        RPCInfo
	all         []RPCObserver
	inlineArray [1]RPCObserver  // backing array of all for one observer
	values      context.Context // what the handler's context has of values beyond the RPC's own

	received, sent traffic
	headersTold    atomic.Bool
	initial        Metadata // what has been sent; written with rpc.mu held, before headersSent
	response       any      // the only response, owned by the handler's goroutine as its size is
	responseSize   int
}

// traffic is a MessageCount under way.
type traffic struct{ messages, octets atomic.Uint64 }

func (t *traffic) add(octets int) {
	t.messages.Add(1)
	t.octets.Add(uint64(octets))
}

func (t *traffic) count() MessageCount { return MessageCount{t.messages.Load(), t.octets.Load()} }

// begin makes the observers of an RPC, which begins: o, with what its header says in info. The reader calls it.
func (c *connectionObservers) begin(ctx context.Context, o *rpcObservers) {
	c.totals.RPCs++
	o.connection, o.info.Peer, o.info.ID.Connection, o.values = c, c.info.Peer, c.info.ID, ctx
	o.all = o.inlineArray[:0]
	for _, each := range c.all {
		c.call(func() {
			values, observer := each.BeginRPC(o.values, &o.info)
			if values != nil {
				o.values = values
			}
			if observer != nil {
				o.all = append(o.all, observer)
			}
		})
	}
	if o.values != ctx {
		o.values = context.WithoutCancel(o.values) // context.Cause would find their ends
	}
}

func (o *rpcObservers) emit(event RPCEvent) {
	for _, each := range o.all {
		o.connection.call(func() { each.ObserveRPCEvent(event) })
	}
}

// dispatched is called when the handler could run.
func (o *rpcObservers) dispatched() {
	if o != nil {
		o.emitKind(RPCDispatched)
	}
}

func (o *rpcObservers) emitKind(kind RPCEventKind) { o.emit(RPCEvent{Kind: kind}) }

// messageReceived is called when a request has been decoded, or could not be. It had size octets, and wireSize on the wire
// without its prefix.
func (o *rpcObservers) messageReceived(request any, size, wireSize int, err error) {
	if o != nil {
		o.tellReceived(request, size, wireSize+wire.PrefixLen, err)
	}
}

func (o *rpcObservers) tellReceived(request any, size, wireSize int, err error) {
	o.received.add(wireSize)
	if err != nil {
		request = nil
	}
	o.emit(RPCEvent{Kind: RPCMessageReceived, Message: request, Size: size, WireSize: wireSize, Err: err})
}

// noteInitial notes the initial metadata that is about to be sent: what has waited, and more, which is the application's.
func (o *rpcObservers) noteInitial(waiting, more Metadata) {
	if o != nil {
		o.initial = slices.Concat(waiting, more)
	}
}

// headers is called when the header of the response has been sent.
func (o *rpcObservers) headers() {
	if o != nil {
		o.tellHeaders()
	}
}

func (o *rpcObservers) tellHeaders() {
	if !o.headersTold.Swap(true) {
		o.emit(RPCEvent{Kind: RPCHeadersSent, Metadata: o.initial})
	}
}

// messageSent is called when a response of size octets has been sent.
func (o *rpcObservers) messageSent(response any, e *encoded) {
	if o != nil {
		o.tellSent(response, e.size, len(e.data))
	}
}

func (o *rpcObservers) tellSent(response any, size, wireSize int) {
	o.sent.add(wireSize)
	o.tellHeaders()
	o.emit(RPCEvent{Kind: RPCMessageSent, Message: response, Size: size, WireSize: wireSize})
}

// noteResponse notes the response of a method with one. It is sent with the end.
func (o *rpcObservers) noteResponse(response any, size int) {
	if o != nil {
		o.response, o.responseSize = response, size
	}
}

// end is called when the RPC has ended. answer is how long the response is that was sent with the status; 0: there was none.
func (o *rpcObservers) end(status outcome, trailing Metadata, headersSent bool, answer int) {
	if o != nil {
		o.tellEnd(status, trailing, headersSent, answer)
	}
}

func (o *rpcObservers) tellEnd(status outcome, trailing Metadata, headersSent bool, answer int) {
	if headersSent {
		o.tellHeaders()
	}
	if answer > 0 {
		o.tellSent(o.response, o.responseSize, answer)
	}
	var err error
	if status.Code != codes.OK {
		err = status.Err()
	}
	o.emit(RPCEvent{Kind: RPCEnded, Code: status.Code, Err: err, Metadata: trailing})
}
