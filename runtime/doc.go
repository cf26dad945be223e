// Package runtime serves gRPC: the dispatch dictionary, the life of an RPC, and the server around them. Generated
// code describes services to it; see [Server.AddService].
//
// It is the server's half only, and holds no generated code. It does not do transcoding, gRPC-Web, or service
// discovery, and it has no codec but protobuf's ([RawMessage] passes octets through untouched). What is not gRPC over HTTP/2 is
// refused, unless a protocol of a companion takes it: see runtime/internal/protocol.
//
// # The life of an RPC
//
//	socket ─▶ http2.Conn ─▶ connection ─▶ dispatch dictionary ─▶ rpc ─▶ worker ─▶ servicer
//	             ▲                                                                   │
//	             └───────────── out-buffer ◀── Length-Prefixed-Message ◀─────────────┘
//
// A connection's reader parses frames in place (runtime/internal/http2). A request's field block becomes a
// callDefinition, which holds the method handler found in the dictionary; the messages are cut out of the content;
// and once a handler can run — the request is complete, or is a stream — the RPC joins the connection's batch. With
// interceptors it does so at once, whether or not there is a method, and waits for its request behind them. At the
// end of the batch the RPCs go to workers, goroutines that stay warm for the purpose (runtime/internal/work). A worker decodes
// the request, calls the servicer, encodes the response and appends it to the connection's out-buffer; the last one
// to have something to do writes it all to the socket.
//
// # The files, from the top
//
//	server.go, accept.go, stop.go, listen.go     the server: its life, its clients, its ports
//	connection.go                                makes RPCs of the streams of an http2.Conn
//	direct.go                                    a request that another protocol answers by itself
//	rpccontext.go                                the context of an RPC
//	rpc.go, answer.go, ending.go, room.go,       an RPC: what the reader does for it, what its worker does, how it ends, what it
//	intercepted.go                               waits for, and what its interceptors call
//	connstate.go, serverstate.go                 the parts of a connection and of a server that RPCs use
//	interceptor.go, handler.go, service.go       what calls applications
//	call.go, dictionary.go, refusal.go           a request's head, its method, and the answer if there is none
//	rpcstate.go, requestqueue.go, …              parts of an RPC, each with its own rules
//
// A file uses only names of its own line and of lines below; an interface stands where a call goes up.
//
// # The walk of a unary RPC
//
//  1. accept.go: a connection is accepted, and gets a goroutine of its own. ports/ports.go performs the TLS handshake.
//     newConnection makes the http2.Conn (http2/server.go, serve.go), and the connection enters the table of clients.
//  2. connection.go: that goroutine is its reader. It serves the http2.Conn (http2/serve.go), which waits for input (package
//     socket), and then processes all there is.
//  3. http2/process.go, server.go: the HEADERS frame has a field block, which package fields decodes. connection.go, NewStream, is
//     asked for a stream: call.go reads the head, once for all RPCs that have the same, and looks the method up; the stream is
//     part of an rpc.
//  4. rpc.go, HandleHead: the request is refused, or becomes an RPC: it is counted, and its deadline is watched.
//  5. http2/process.go: the DATA frame is handed to rpc.go, HandleData. wire.Cutter cuts the message out. With END_STREAM the
//     request is complete, and connstate.go adds the RPC to the batch. Without interceptors, an RPC with a worker limit
//     enters the queue of that limit at once, and an inline RPC runs on the reader.
//  6. http2/serve.go: when nothing is left to read, connstate.go, EndBatch, hands the batch to the run queue. There package work
//     wakes a worker (work/queue.go).
//  7. answer.go, Run: the worker decodes the request, by codec.go, and enters the handler: service.go calls the servicer.
//  8. answer.go, encode: the response waits for room in the account, which there nearly always is. codec.go encodes it, in the
//     worker's buffer. The RPC is released: it no longer counts as active.
//  9. ending.go, complete: the response with headers and trailers is appended to the out-buffer (http2/outbox.go), and
//     http2/stream.go forgets the stream. The RPC is over: its status is in the out-buffer. Its callbacks are called.
//  10. work/queue.go: the worker takes the next RPC. It flushes first, unless another worker is on its way and will flush:
//     http2/flush.go writes to the socket.
//
// # The walk of a bidirectional stream
//
//  1. As above, but in step 4 the RPC joins the batch at once: its handler begins before a message has come, and waits for one in
//     answer.go, receive.
//  2. rpc.go, HandleData: the reader puts each message into the RPC's queue (requestqueue.go), where small ones share memory,
//     and wakes the handler. One that does not fit into the window gets in line for room first (requestclaim.go).
//  3. answer.go, receive: the handler takes a message and decodes it. It credits the stream's window in steps of 8 KiB; http2
//     sends a WINDOW_UPDATE once half the window is missing. Behind the last message it gets io.EOF.
//  4. answer.go, send: a response is admitted and encoded as above, and appended with http2.Stream.Data, the first behind the
//     headers. The first after a request is flushed at once if the client has no other RPC. For the others http2 schedules a
//     flush on a new goroutine (flushPromised), unless another goroutine flushes before. A handler whose client does not take
//     its responses waits (room.go).
//  5. ending.go, end: when the handler returns, its status is appended. A client that resets the stream, a deadline and the
//     server's stop end the RPC from outside, at any moment, by the same function; the handler's context is done then.
//
// # Goroutines
//
//   - The reader of a connection calls the functions of rpc.go, except describe and missing. It must not block. If application code
//     ends it (runtime.Goexit), or an inline handler occupies it for too long, another goroutine becomes the reader.
//   - A worker runs one RPC at a time, interceptors included. It owns the reader's fields once the batch in which the RPC was
//     dispatched has ended.
//   - Timers end RPCs (deadlines.go), and look at what waits (requestclaim.go, inline.go, server.go).
//   - All application code is called by safely or under survive (safely.go), or by the codec, and may panic or end its goroutine.
//
// # Locks
//
// Package locks has the order in which a goroutine may take mutexes, as types, and make lockorder tests a build that checks it.
// Outermost are those that let one goroutine at a time do something long. Then come rpc.mu, http2's Conn.mu, the accounts', and
// those with which nothing else is locked.
//
// With rpc.mu held, frames are appended, claims are asked for and dropped, and the codec of another protocol is called. With
// Conn.mu held, a stream is forgotten: what the RPC holds goes back to the account without rpc.mu. No application code is called
// with a mutex held, except in two places. A ServerStream lets one goroutine at a time receive, or send. And http2 calls methods of
// a user's connection, from whose panics package ports protects it.
//
// Work that may block or call the application is collected while a lock is held, and done afterwards.
//
// # Errors
//
// An error that a handler returns becomes the status of the RPC: one that carries a status (package
// google.golang.org/grpc/status) keeps its code and details, the errors of package context become CANCELLED and
// DEADLINE_EXCEEDED, and any other is UNKNOWN with its own text. A panic is recovered, logged with its stack, and
// answered with UNKNOWN, as grpc-python does with an exception.
//
// # Facts about the RPC
//
// A handler's context is the RPC. Functions of this package take it: [InvocationMetadata], [SetInitialMetadata],
// [SendInitialMetadata], [SetTrailingMetadata], [SetCompression], [Method], [Peer], [Cancel], [Stopping]. The packages metadata
// and peer of google.golang.org/grpc find what they look for in it too. After the handler has returned, the context is done, and
// stays that of its own RPC.
//
// Read next: rpc.go, answer.go and ending.go (the life of an RPC), rpcstate.go (its states), connection.go (where RPCs
// begin), lifecycle.go (the server's stages), internal/http2, internal/work.
package runtime
