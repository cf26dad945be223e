// Package runtimetest helps to test servicers, and whatever else stands on package runtime, without a network.
//
// There are two ways. A servicer's method is a function of a context. [NewContext] makes a context that stands for an RPC of
// the test's own making; [Requests] and [Responses] stand for its streams. The [Recorder] tells what the method did to its
// RPC, and what the client gets. The streams are of that RPC if their field Recorder says so. No goroutine runs but for the
// callbacks. A handler without a servicer, one that runtime.NewMethodHandler has made, is called by [Recorder.Handle].
//
// What the method does has the results that it has with a server. The errors are the same, in the same order, before and
// after the RPC's end. What a server and a client do around the method is not there, and differs by design:
//
//   - Streams do not wait. All requests have come when the method is called, and Send has no flow control. Requests.Err and
//     Responses.Err say how a stream breaks off.
//   - The options of a server do not apply: no interceptor is called, and messages and metadata are of any size.
//   - Messages are not decoded, except by Recorder.Handle, and not compressed. Recorder.Compression tells what the method asked
//     for, whether a client would accept it or not. Responses are encoded, to see whether they can be, and that is thrown away.
//   - A panic of the method's is the test's. One of a callback ends the program, where a server logs it.
//   - An RPC of a test does not end with UNAVAILABLE, as those do that a server cuts off. The test can end it by
//     Recorder.End, its deadline, or the parent of its context.
//   - Metadata and Peer are what the test says, also if no client could send it.
//
// The other way is the whole server. [NewServer] starts one on connections in memory ([Listener], [Pipe]), which behave as a
// socket's do: they have buffers, bounds, and deadlines. Any gRPC client that can be given a dialer can call it; that of
// grpc-go takes [Listener.DialContext] as it is.
//
// Both work inside the bubbles of package testing/synctest, where time is fake. A deadline of an hour passes at once there,
// and only when everything else waits. grpc-python's grpc_testing has a clock of its own for that.
//
// This package makes no stubs and no mocks.
package runtimetest
