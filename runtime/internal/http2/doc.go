// Package http2 speaks HTTP/2 (RFC 9113) on a net.Conn, as a server or as a client. It knows nothing of gRPC.
//
// It does not do priorities (deprecated by RFC 9113, Section 5.3), server push, or the upgrade from HTTP/1.1, and it leaves
// field blocks to package fields. If the peer speaks another protocol, the connection is refused, or passed on to code that
// speaks it (passon.go).
//
// # The parts
//
// A [Conn] has a socket, a mutex, and parts that own its state. A part has no pointer back to Conn.
//
//	inbound    the reader's: the input, the field block under way, token buckets, upkeep, the estimate (inbound.go)
//	streams    the table of streams (stream.go)
//	outbox     what waits to be sent, the peer's windows, which goroutine writes (outbox.go, sender.go, flush.go)
//	lifetime   how far the end of the connection is, and why (ending.go)
//	windows    how large our windows are, and what of them is held (flow.go)
//	credit     window that the peer is owed (flow.go)
//	role       what a server and a client do differently (role.go; server.go, client.go)
//
// Methods of Conn connect the parts: serve.go reads, process.go and settings.go have a function for each type of frame, fail.go
// and shutdown.go end streams and connections, timeout.go does what is due while nothing is read, flush.go writes. windows.go
// opens our windows; growth.go has them grow, as an estimate says (estimate.go). A [Stream] is the user's handle; state.go has
// its states.
//
// # The walk of a request
//
//  1. serve.go: the serve loop fills the read buffer (inbound.go), and processes the batch.
//  2. process.go: frames are cut out of the buffer, in place, one after another. The rules in frame.go judge their lengths, and
//     whether they may be on their stream. HEADERS, and CONTINUATION behind it, become a field block.
//  3. server.go: the field block is decoded, and the request judged. The [Application] is asked for a [Stream], which enters the
//     table. The stream's [StreamHandler] gets the head.
//  4. process.go: DATA is counted against the windows and handed to the handler, valid during the call. The handler
//     returns what it has consumed by [Stream.Consumed].
//  5. serve.go: when all readable input has been processed, the reader calls EndBatch of [Events], and flushes if that
//     is due.
//  6. outbox.go: any goroutine answers, by [Stream.Message] or by Head, Data and End, which append frames as far as the windows
//     allow. The rest waits on the stream, whose turn is in a queue. stream.go forgets a stream whose halves have ended.
//  7. flush.go: [Conn.Flush] moves what it can from the queue to the out-buffer, and writes that.
//
// A client's call takes the same way: [Client.Open] is step 6, and client.go stands for server.go in step 3.
//
// # Which goroutine runs what
//
// The reader is the goroutine in [Conn.Serve]. It owns inbound, and it calls the methods of the role, of Events and of
// StreamHandler, one at a time. HandleRemoved and Panicked are the exceptions: any goroutine calls them. If one of these
// methods ends the reader's goroutine, or is going to, another goroutine calls Serve and is the reader from then on. So a
// frame is taken out of the buffer, and a field block out of inbound, before they are handed over.
//
// No goroutine is dedicated to writing. The one that flushes writes, twice at most. Others append meanwhile and return
// at once. If more is left, or the socket is full, a new goroutine writes the rest and ends (writeRest). All other
// methods of Conn, Client and Stream may be called by any goroutine, unless they say otherwise.
//
// # Flushing
//
// What has been appended leaves with the next Flush of any goroutine. There are three ways to ask for one, and each goes
// through flushLocked:
//
//   - [Conn.Flush] flushes now. Workers call it after a batch of responses, so that these are one write.
//   - [Conn.FlushAfterBatch] is for the reader. It flushes at the end of the batch that it processes.
//   - [Stream.Data] with flush schedules a flush on a new goroutine, which lets runnable goroutines append first.
//
// # Locks
//
// Conn.mu guards streams, outbox, lifetime and credit. Nothing that may block is called with it held: writes give it up.
// The order, outermost first, which package locks has as types, and make lockorder checks:
//
//  1. locks of the user's, a stream's or a connection's: with those held, it may call the methods of Stream and Conn,
//     except WaitRoom, which waits, and Flush and its like, which write.
//  2. Conn.mu. With it held, the package calls HandleRemoved, deadlines and CloseWrite of the socket, and the account.
//  3. with TLS, the locks of tls.Conn and of the records below it (package socket).
//  4. the mutexes of package budget.
//  5. that of package buffer.
//
// The state of a stream is atomic, and so are the octets that a connection counts: they need no lock.
//
// Read next: serve.go (the serve loop), role.go, stream.go, flush.go.
package http2
