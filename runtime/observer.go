package runtime

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// Observer is told what happens to a server's connections and RPCs, for metrics, traces, logs and pages that show them; see
// ServerOptions.Observers. It sees what interceptors cannot: when the header of a request came and when its handler began,
// sizes on the wire, requests that were refused, RPCs that ended before their turn, and connections.
//
// All of its methods, and those of the observers that it returns, are called on the goroutine to which something happens, mostly
// the one that reads the connection. No lock is held: they may call the server. They must not block. One that panics is
// reported to the log, and costs the RPC nothing. But the goroutine is the server's: one that ends it (runtime.Goexit, as
// t.FailNow does) may keep the connection from going on, and the server from terminating.
//
// Events have no time, since to read the clock costs more than most of them: those that need it, read it. Events will be added:
// ignore the kinds that you do not know.
type Observer interface {
	// ObserveConnection is called when a connection has been accepted, before its handshake. It may return nil if it does not
	// care for the connection or its RPCs.
	ObserveConnection(info ConnectionInfo) ConnectionObserver
}

// ConnectionObserver observes one connection. Its methods are called one at a time.
type ConnectionObserver interface {
	// BeginRPC is called when the header of an RPC has come, also if there is no such method. The context that it returns
	// becomes the parent of the handler's, and of the interceptors', for values alone: deadline and cancellation are the
	// RPC's own. It is to be made from ctx, which has the values of observers before this one. info must not be modified.
	// The RPCObserver may be nil.
	BeginRPC(ctx context.Context, info *RPCInfo) (context.Context, RPCObserver)

	// ObserveConnectionEvent is called for each event of the connection. ConnectionClosed is the last, and comes once.
	ObserveConnectionEvent(event ConnectionEvent)
}

// RPCObserver observes one RPC.
type RPCObserver interface {
	// ObserveRPCEvent is called for each event of the RPC.
	//
	// RPCEnded comes exactly once, however the RPC ends. RPCHandlerLeft comes exactly once if RPCHandlerEntered does, before
	// RPCEnded or after it. An RPC that is ended from outside, by its client or its deadline for example, ends on another
	// goroutine than its handler's: that event may come at the same time as another of the RPC, or just before it.
	ObserveRPCEvent(event RPCEvent)
}

// ConnectionID identifies a connection of a server. Ids grow in the order in which connections are accepted, from 1, and are
// not used again.
type ConnectionID uint64

// RPCID identifies an RPC of a server.
type RPCID struct {
	Connection ConnectionID
	Number     uint64 // of its stream in HTTP/2
}

// String returns both numbers, "3/17" for example.
func (id RPCID) String() string { return fmt.Sprintf("%d/%d", id.Connection, id.Number) }

// ConnectionInfo is a snapshot of a connection. [Server.Connections] returns all.
type ConnectionInfo struct {
	ID ConnectionID

	// Peer is the client. There is no AuthInfo before the handshake; see ConnectionOpened. It must not be modified.
	Peer *peer.Peer

	// Opened is when the connection was accepted.
	Opened time.Time

	// Active is the number of its RPCs that are not finished, as in ServerStats.Active.
	Active int

	// ReceivedBytes and SentBytes count octets of HTTP/2, without what TLS adds.
	ReceivedBytes, SentBytes uint64

	// HeldRequestBytes and HeldResponseBytes are what the client makes the server hold: see ServerOptions.MaxConnectionBytes.
	HeldRequestBytes, HeldResponseBytes int64
}

// RPCInfo is a snapshot of an RPC. [Server.RPCs] returns all of a connection. The info of BeginRPC stays that of the beginning.
type RPCInfo struct {
	ID RPCID

	// Method is the full path of the method, "/package.Service/Method", as the client sent it. Unless Registered is true, it is
	// of the client's choosing: it is not to become part of the name of a time series.
	Method     string
	Registered bool // AddService has added the method

	// Cardinality is that of the method; CardinalityUnaryUnary if it is not known.
	Cardinality Cardinality

	// Authority is the host that the client means, and InvocationMetadata what it sent with the call. That and Peer must not be
	// modified.
	Authority          string
	InvocationMetadata Metadata
	Peer               *peer.Peer

	// Begun is when the header of the request came, and Deadline when the RPC ends at the latest. Deadline is zero if there is
	// none. Begun is zero on a server without observers: it does not read the clock for each RPC.
	Begun, Deadline time.Time

	// State is where the RPC is in its life.
	State RPCState

	// Received and Sent are the messages so far. They are zero on a server without observers, which does not count them.
	Received, Sent MessageCount

	request *fields.Section
}

// Fields returns all fields of the request; see [HandlerCallDetails.Fields]. On a server without observers, it may have none.
func (i *RPCInfo) Fields() Metadata { return fieldsOf(i.request) }

// MessageCount is a number of messages and how much they are.
type MessageCount struct {
	Messages uint64
	Bytes    uint64 // on the wire: compressed perhaps, with the prefix of each
}

// RPCState is where an RPC is in its life.
type RPCState string

// The states of an RPC.
const (
	RPCReceiving RPCState = "receiving"         // its request has not come, or its handler waits for the next
	RPCQueued    RPCState = "queued"            // it waits for its turn, or is with its interceptors
	RPCHeldBack  RPCState = "held back"         // it waits for room to begin: see ServerOptions.MaxConnectionBytes
	RPCRunning   RPCState = "running"           // its handler runs
	RPCSending   RPCState = "sending"           // some of its response waits to be written to the network
	RPCBlocked   RPCState = "blocked on window" // some of its response waits for the client to take what it has
	RPCOver      RPCState = "over but running"  // it has ended, and its handler has not returned
)

// ConnectionEventKind is what has happened to a connection.
type ConnectionEventKind uint8

const (
	// ConnectionOpened comes when RPCs can come, after the handshake. Event.Peer has its AuthInfo.
	ConnectionOpened ConnectionEventKind = iota + 1

	// ConnectionHandshakeFailed comes instead, with Event.Err. ConnectionClosed follows.
	ConnectionHandshakeFailed

	// ConnectionRefused comes when a request was refused that does not become an RPC, with Details, Code, Reason and Err. There
	// is no BeginRPC for it, and no RPCEnded.
	ConnectionRefused

	// ConnectionClosed comes when the connection has ended, with Totals, and Err if it did not end in good order. Its RPCs have
	// ended too, but handlers may go on: RPCHandlerLeft may follow, and RPCEnded of an RPC that its handler ends at that moment.
	ConnectionClosed
)

// String returns the name of the constant.
func (k ConnectionEventKind) String() string {
	return nameOf(uint8(k), "ConnectionEventKind", "", "ConnectionOpened", "ConnectionHandshakeFailed", "ConnectionRefused", "ConnectionClosed")
}

func nameOf(value uint8, kind string, names ...string) string {
	if int(value) < len(names) && names[value] != "" {
		return names[value]
	}
	return fmt.Sprintf("%s(%d)", kind, value)
}

// ConnectionEvent is something that has happened to a connection. Which fields are set, the kind says.
type ConnectionEvent struct {
	Kind    ConnectionEventKind
	Peer    *peer.Peer
	Details HandlerCallDetails // as far as the request could be read
	Code    codes.Code         // what a client of gRPC makes of the answer
	Reason  RefusalReason
	Err     error
	Totals  ConnectionTotals
}

// ConnectionTotals are the numbers of a connection that has ended.
type ConnectionTotals struct {
	RPCs, Refused            uint64 // calls of BeginRPC, and events ConnectionRefused
	ReceivedBytes, SentBytes uint64 // octets of HTTP/2, without what TLS adds
}

// RefusalReason says why a request was refused.
type RefusalReason string

// The reasons for which requests are refused.
const (
	RefusedMalformed   RefusalReason = "malformed"   // the request breaks a rule of HTTP/2 or gRPC
	RefusedNotGRPC     RefusalReason = "not_grpc"    // it is another HTTP request
	RefusedMetadata    RefusalReason = "metadata"    // its metadata is beyond ServerOptions.MaxMetadataBytes or MaxMetadataFields
	RefusedCompression RefusalReason = "compression" // it is compressed in a way that the server does not know
	RefusedConcurrency RefusalReason = "concurrency" // ServerOptions.MaxConcurrentRPCs are there
	RefusedStream      RefusalReason = "stream"      // REFUSED_STREAM: the client makes the server hold too much, or has too many streams
)

// RPCEventKind is what has happened to an RPC.
type RPCEventKind uint8

const (
	// RPCDispatched comes when the handler could run, as far as the client is concerned: its request is there, or the method
	// has a stream of them. With interceptors it comes before these.
	RPCDispatched RPCEventKind = iota + 1

	// RPCHandlerEntered comes when the handler begins: from RPCDispatched on, the RPC has waited for its turn, or been with
	// the interceptors.
	RPCHandlerEntered

	// RPCMessageReceived comes when the handler has got a request, with Message, Size and WireSize. If it cannot be decoded,
	// Message is nil, and Err says why.
	RPCMessageReceived

	// RPCHeadersSent comes with the first response, before its RPCMessageSent, or with initial metadata that was sent earlier,
	// or has waited until the status, and has it in Metadata. It does not come if the RPC ends without either.
	RPCHeadersSent

	// RPCMessageSent comes when the transport has got a response, with Message, Size and WireSize.
	RPCMessageSent

	// RPCEnded comes when the transport has got the status of the RPC, or the RPC can no longer have one, with Code, and the
	// trailing metadata in Metadata. Err is nil if Code is OK, and carries the status otherwise.
	RPCEnded

	// RPCHandlerLeft comes when the handler does not run any more: it has returned, or not, by a panic or runtime.Goexit.
	RPCHandlerLeft
)

// String returns the name of the constant.
func (k RPCEventKind) String() string {
	return nameOf(uint8(k), "RPCEventKind", "", "RPCDispatched", "RPCHandlerEntered", "RPCMessageReceived", "RPCHeadersSent",
		"RPCMessageSent", "RPCEnded", "RPCHandlerLeft")
}

// RPCEvent is something that has happened to an RPC. Which fields are set, the kind says.
type RPCEvent struct {
	Kind RPCEventKind

	// Message is a request or a response, a pointer. It is the handler's: an observer reads it during the call, and leaves it
	// as it is.
	Message any

	// Size is the length of the message, WireSize that of what the network sees of it: after compression, with the prefix of
	// five octets.
	Size, WireSize int

	// Metadata is initial or trailing metadata, which must not be modified.
	Metadata Metadata

	Code codes.Code
	Err  error
}
