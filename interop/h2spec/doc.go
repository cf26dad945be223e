// Package h2spec plays all cases of github.com/summerwind/h2spec, which are sentences of RFC 7540 and RFC 7541, against
// the example server, and for comparison against grpc-go and net/http. It holds tests only. `make h2spec` runs it.
package h2spec
