// Package http2 speaks HTTP/2 (RFC 9113) on a net.Conn, in the server's role. It knows nothing of gRPC.
//
// It does not do priorities (deprecated by RFC 9113, Section 5.3), server push, or the upgrade from HTTP/1.1, and it
// leaves field blocks to package fields.
//
// # The life of a request
//
// [Conn.Serve] is the connection's reader. It reads what the peer has sent into one buffer, processes every whole
// frame in place, and hands requests over: a field block becomes a [fields.Section], the [Application] makes a stream of it,
// and the stream's [StreamHandler] receives the content. When everything that was readable has been processed, the
// application is told so ([Application.EndBatch]), and the reader waits for more.
//
// Answers go the other way without a goroutine of their own. [Stream.Message] appends frames to the connection's
// out-buffer, as far as the flow-control windows allow, and keeps the rest on the stream; [Conn.Flush] writes the
// out-buffer to the network, unless another goroutine is doing so already, which then takes the new bytes along. So
// many answers leave in one system call, and nothing waits for a writer to be scheduled.
//
// # Who runs what
//
// The reader goroutine calls all methods of Application and StreamHandler, one at a time. Methods of Stream and Conn
// may be called by any goroutine. State is either the reader's own or guarded by Conn.mu; the structs say which.
//
// Read next: serve.go (the serve loop), outbox.go (what waits to be sent), flush.go (which goroutine writes it), state.go (the states of a stream).
package http2
