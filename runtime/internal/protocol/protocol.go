// Package protocol is the seam for protocols other than gRPC over HTTP/2: gRPC-Web, Connect, REST, pages for a browser. It is
// no part of the API. A server without a protocol refuses what is not gRPC's, and links nothing of one.
//
// A [Protocol] is installed by [Install], and gets what the server would refuse otherwise, and nothing else:
//
//   - Route is asked about a request on HTTP/2 whose method or content-type is not gRPC's. The request becomes an RPC, which a
//     [Codec] translates, or the protocol answers it by itself, on a [Stream].
//   - Serve gets a connection that does not begin with HTTP/2's preface, or did not negotiate "h2" by TLS, as a [Conn].
//
// A request of either kind lives the life of an RPC: the server counts it, flow control and the accounts bound what it makes
// the server hold, GOAWAY waits for it, Stop ends it, and what its handler does is survived. One that becomes an RPC has all of
// the rest too: interceptors, the dictionary, its deadline, compression, observers, the method's counters.
//
// HTTP/1.1 has no streams of ours. A protocol that serves such a connection reaches servicers by another one, in memory, to the
// same server (Server.AddListener): the request goes there as it came, over HTTP/2, and meets Route. That connection
// counts, too.
package protocol

import (
	"context"
	"io"
	"iter"
	"net"

	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// Install has a server, a *runtime.Server, serve a protocol from now on, beside those that it serves already. It may be called
// while the server serves. Package runtime sets it.
var Install func(server any, p *Protocol)

// Protocol is what a server serves beside gRPC. Either function may be nil: then it takes nothing.
type Protocol struct {
	// Route says what becomes of a request that is not gRPC's; nil: it is not this protocol's, and the next is asked. The
	// reader of the connection calls Route: it must not block, panic or change the request. Requests beyond MaxMetadataBytes
	// or MaxMetadataFields are refused before.
	Route func(request *fields.Section) *Route

	// Serve serves a connection that is not HTTP/2's, which is closed when it returns. Of several protocols the first gets all.
	Serve func(c *Conn)
}

// Route is what becomes of a request: either an RPC or not.
type Route struct {
	// RPC makes an RPC of the request: it is the head that a client of gRPC would have sent, a changed copy of the request, with
	// a path, an application/grpc content-type, and grpc-timeout, grpc-encoding and grpc-accept-encoding where they mean
	// something. Codec translates the rest.
	RPC   *fields.Section
	Codec Codec

	// Serve answers the request by itself. The context is done when the request is over. Functions of package runtime that take
	// the context of an RPC take it too, as Stopping does. A response that has not been ended when Serve returns, or panics,
	// is reset.
	Serve func(ctx context.Context, s Stream)
}

// Codec translates one RPC. Its methods must not block, panic, or use the RPC. The reader of the connection calls DecodeContent.
// Any goroutine calls the others, one at a time, with a lock of the RPC's held; EncodeEnd may come while DecodeContent runs. Field
// blocks are those that package fields appends.
type Codec interface {
	// DecodeContent gets the content of the request as it comes. last says that there is no more; it comes once, perhaps
	// without content. What it means goes to feed in gRPC's form, as Length-Prefixed-Messages in pieces of any size; the
	// pieces are copied. A prefix belongs into the same call as the octets behind it that are there. The Codec must not keep
	// more of the content than a few octets: what has not been fed counts as taken. An error ends the RPC with its status.
	DecodeContent(content []byte, last bool, feed func(messages ...[]byte)) error

	// EncodeHead returns the field block with which the response begins, or nil: it comes with the end. encoding is that of
	// compressed messages, as in grpc-encoding, and metadata the initial metadata as field lines.
	EncodeHead(encoding string, metadata iter.Seq2[string, string]) (block []byte)

	// EncodeMessage returns the content that a message of a stream of responses becomes. message is a Length-Prefixed-Message.
	// The Codec may change it, and return it or a part of it; it must not keep it.
	EncodeMessage(message []byte) (content []byte)

	// EncodeEnd returns what the response ends with. message is the only response of a method with one, as that of
	// EncodeMessage; nil: there is none. metadata is the trailing metadata as field lines. EncodeHead has been called before.
	EncodeEnd(status wire.Status, message []byte, metadata iter.Seq2[string, string]) End
}

// End is the end of a response.
type End struct {
	Head     []byte // a field block, in place of what EncodeHead has just returned; nil: that stays
	Content  []byte
	Trailers []byte // a field block; nil: none
	Broken   bool   // in place of the others: the response cannot be ended, and is reset
}

// Stream is a request that a protocol answers by itself, to be used until Serve returns: by one goroutine that reads, and one at a
// time that calls the other methods. Errors other than io.EOF say that the request is over, and carry a status.
type Stream interface {
	// Reader reads the content. The client may send as many octets more as have been read.
	io.Reader

	// Head sets the head of the response: the status, at least 200, and fields. It leaves with the first content, the end, or
	// Flush, and without it with the status 200.
	Head(status int, lines ...fields.Field)

	// Writer writes content, and waits while too much of it has not been taken by the client. It leaves in a moment,
	// with what others have written.
	io.Writer

	// Flush sends what has been written, or the head, now.
	Flush()

	// End ends the response, with trailers if there are any. The rest of the request is declined.
	End(trailers ...fields.Field)
}

// Conn is a connection that is not HTTP/2's. Reading begins with the first octet that the client has sent. The server counts
// the connection and its octets, and closes it when the time of grace is over: Serve has to return then, but the server does not wait
// for it. There are no deadlines. How long a client may take is for the protocol to bound.
type Conn struct {
	net.Conn

	// Peer is the client, with what TLS knows of it in AuthInfo. It must not be modified.
	Peer *peer.Peer

	// Draining is closed when grace begins: the protocol finishes what is under way, and closes the connection.
	Draining <-chan struct{}
}
