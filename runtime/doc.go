// Package runtime serves gRPC: the dispatch dictionary, the life of an RPC, and the server around them. Generated
// code describes services to it; see [Server.AddService].
//
// It is the server's half only, and holds no generated code. It does not do transcoding, gRPC-Web, or service
// discovery, and it has no codec but protobuf's ([RawMessage] passes octets through untouched).
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
// end of the batch the RPCs go to workers, goroutines that are kept warm for the purpose (runtime/internal/work). A worker decodes
// the request, calls the servicer, encodes the response and appends it to the connection's out-buffer; the last one
// to have something to do writes it all to the socket.
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
// A handler's context is the RPC. Functions of this package take it: [InvocationMetadata], [SendInitialMetadata],
// [SetTrailingMetadata], [SetCompression], [Method], [Peer], [Cancel], [Stopping]. The packages metadata and peer
// of google.golang.org/grpc find what they look for in it too. After the handler has returned, the context is done, and
// stays that of its own RPC.
//
// Read next: lifecycle.go (the stages of a server), connection.go (where RPCs begin), rpc.go (their life), internal/work
// (where handlers run).
package runtime
