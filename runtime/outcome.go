package runtime

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// Package carrier cannot import this one, and needs what this one knows.
func init() {
	carrier.Encodable, carrier.Ended = encodable, outcomeEnded.Err()
	carrier.Outcome = func(err error) *status.Status { return outcomeOf(err).GRPC() }
	carrier.Handle = runFakeCall
}

// outcomeEnded is what an RPC that has ended well answers with.
var outcomeEnded = outcome{Code: codes.Internal, Message: "the RPC has ended"}

// encodable is what encodeMessage finds out of a response, without an RPC.
func encodable(response any) error {
	c, err := codecFor(response)
	if err != nil {
		return nil
	}
	return c.check(response)
}
