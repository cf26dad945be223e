// Package h2test is for tests: one end of an HTTP/2 connection that does what it is told, frame by frame, be it right or
// wrong. It shares no code with what is tested, so that an error there cannot hide behind the same error here. Nothing but
// tests imports it.
//
// A [Peer] writes and reads single frames, for one goroutine. In a bubble of testing/synctest, on a [Pipe], it looks at what
// has come without waiting for more; on other connections it waits. Either role is possible: a test begins with
// [Peer.GreetServer] as a client, or with [Peer.GreetClient] as a server.
//
// An [Inbox] reads by itself, for peers that have more to do than to wait for the next frame. It has field blocks decoded by
// golang.org/x/net/http2, which refuses what is no HTTP/2.
package h2test
