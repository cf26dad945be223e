// Package fields reads and writes field blocks: what HTTP/2 has in HEADERS and CONTINUATION frames. It is the seam to
// golang.org/x/net/http2/hpack, and it knows the rules of RFC 9113, Section 8, for names and values. It knows nothing of
// streams, of connections, or of gRPC.
//
// A [Decoder] makes a [Section] of a field block. The caller says by a [Kind] what the block is: the head of a request or of
// a response, or trailers. So the same decoder serves a server and a client. [AppendField] and [AppendStatus] write blocks.
//
// There is no encoder that uses the dynamic table. Blocks that need no state of a connection can be made ahead of time, by
// any goroutine, and serve all streams of all connections; that gains more than a smaller block does.
package fields
