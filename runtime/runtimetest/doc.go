// Package runtimetest helps to test servicers, and whatever else stands on package runtime, without a network.
//
// There are two ways. A servicer's method is a function of a context: [NewContext] makes one that stands for an RPC of
// the test's own making, [Requests] and [Responses] stand for its streams, and the [Recorder] tells what the method did
// to its RPC. Nothing is encoded, and no goroutine runs.
//
// The other way is the whole server: [NewServer] starts one on connections in memory ([Listener], [Pipe]), which
// behave as a socket's do: they have buffers, bounds, and deadlines. Any gRPC client that can be given a dialer can
// call it; that of grpc-go takes [Listener.DialContext] as it is.
//
// Both work inside the bubbles of package testing/synctest, where time is fake: a deadline of an hour passes at once,
// and only when everything else waits. grpc-python's grpc_testing has a clock of its own for that.
//
// This package makes no stubs and no mocks.
package runtimetest
