// Package interop proves that real peers and a gogreeter server understand each other. It holds tests only.
//
// The peers are grpc-go's client, grpcurl, grpc-python (over the C core), h2load, and a client of our own that speaks
// single HTTP/2 frames, for what a well-behaved client never sends. They call two kinds of servers:
//
//   - the example servers, built as a user builds them and run as processes of their own (process_test.go):
//     greeter_test.go, route_guide_test.go, signal_test.go, load_test.go, python_test.go, and, for the companion
//     packages, health_test.go and reflection_test.go;
//   - a servicer that lives in the test process (servicer_test.go), for the facts that the examples have no reason to
//     show: facts_test.go, deadline_test.go, compression_test.go.
//
// bad_input_test.go is what both make of mistakes and of broken input. The package parity below plays the behaviors of
// grpc-python's server, row by row, against both servers with both clients (docs/parity.md). The packages h2spec,
// conformance and grpcinterop play suites that others have written (docs/conformance.md).
//
// It is a module of its own so that the peers stay out of the module graph of gogreeter's users. It doesn't test
// speed (see bench/) and doesn't repeat the runtime's own tests: what a peer cannot see is not looked at here.
//
// Nothing runs in parallel. Every process and every server started by a test has ended when the test ends, and a server
// that has been stopped must have left no goroutine. A test whose peer is not installed is skipped, or fails if
// GOGREETER_REQUIRE_PEERS=1.
//
// Read greeter_test.go first, then frames_test.go.
package interop
