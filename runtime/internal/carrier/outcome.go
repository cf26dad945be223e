package carrier

import (
	"context"
	"iter"

	"google.golang.org/grpc/status"
)

// What package runtime makes of what a handler returns and sends, for package runtimetest, which has to do the same. The
// functions are set when package runtime is initialized.
var (
	// Encodable returns nil if a response, a pointer that is not nil, can be encoded; otherwise the error that a server's
	// stream answers with. A message of a type that no handler can have counts as one that can.
	Encodable func(response any) error

	// Outcome returns the status that a client gets for an error that is not nil.
	Outcome func(err error) *status.Status

	// Ended is the error with which an RPC answers that has ended well, to whoever goes on using it.
	Ended error

	// Handle has a *runtime.MethodHandler handle an RPC without a server, whose requests have all come. It returns the response of
	// a method with one.
	Handle func(ctx context.Context, handler any, path string, requests []any, x Exchange) (response any, err error)
)

// Exchange is the RPC that Handle is for.
type Exchange interface {
	// String is how the streams of the RPC print it.
	String() string

	// Fields yields all fields of the request, by name and value.
	Fields() iter.Seq2[string, string]

	// Over returns why the RPC is over, or nil.
	Over() error

	// Send sends a response of a stream, which can be encoded.
	Send(response any) error

	// Fail ends the RPC with a status, unless it is over.
	Fail(err error)
}
