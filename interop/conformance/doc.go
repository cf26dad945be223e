// Package conformance plays the gRPC conformance suite, connectrpc.com/conformance, against a server on the runtime, and
// for comparison against the suite's own server on grpc-go. It holds tests only; `make conformance` runs it.
//
// The server under test is in conformance_server, what it is asked to support in config.yaml, and the messages and the
// service in conformancepb. Those are generated from the suite's .proto files, by protoc-gen-go and our own plugin:
//
//	go test ./conformance -run Generated -update
package conformance
