// Package grpcinterop plays gRPC's interop tests, all that need no cloud credentials, against a server on the runtime:
// by grpc-go's interop client, and the same cases by grpc-python. It holds tests only; the server is in interop_server.
// `make interop` runs it.
package grpcinterop
