package runtime

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// outcome is how an RPC ends: the status that the client receives. The zero outcome is OK.
type outcome = wire.Status

// The statuses of RPCs that end from outside their handler.
var (
	outcomeCancelled = outcome{Code: codes.Canceled, Message: "CANCELLED"}
	outcomeDeadline  = outcome{Code: codes.DeadlineExceeded, Message: "Deadline Exceeded"}
	outcomeStopped   = outcome{Code: codes.Unavailable, Message: "Cancelling all calls"}
)

// The statuses of RPCs that end by a mistake, or by a limit. Those that grpc-python knows have its texts: clients compare them
// more often than they should.
var (
	outcomeUndecodable    = outcome{Code: codes.Internal, Message: "Exception deserializing request!"}
	outcomeUnserializable = outcome{Code: codes.Internal, Message: "Failed to serialize response!"}
	outcomeOversize       = outcome{Code: codes.Internal, Message: "the trailers are larger than the client permits"}
	outcomeNotTaken       = outcome{Code: codes.ResourceExhausted, Message: "the responses were not taken, while other RPCs waited for a worker"}
)

// outcomeOf returns the outcome that an error means: one of the application's, or of package wire.
func outcomeOf(err error) outcome {
	if e, ok := err.(*wire.Error); ok {
		return outcomeOfWire(e)
	}
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		if st, _ := status.FromError(err); st.Code() != codes.OK {
			return wire.StatusOf(st)
		}
		// An error whose status is OK is a mistake: the call has failed, and the client must not take it for a success.
		return outcome{Code: codes.Unknown, Message: err.Error()}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return outcome{Code: codes.Canceled, Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return outcome{Code: codes.DeadlineExceeded, Message: err.Error()}
	}
	return outcome{Code: codes.Unknown, Message: err.Error()}
}

// outcomeOfWire returns the outcome for a request that is malformed or beyond a limit, and for a response that is too long.
func outcomeOfWire(err *wire.Error) outcome {
	switch err.Kind {
	case wire.TooLarge:
		return outcome{Code: codes.ResourceExhausted, Message: err.Text}
	case wire.Unsupported:
		return outcome{Code: codes.Unimplemented, Message: err.Text}
	case wire.Corrupt:
		return outcome{Code: codes.Internal, Message: "the request is " + err.Text}
	}
	return outcome{Code: codes.Internal, Message: err.Text}
}

// withStatus returns an error as interceptors see it: err itself if the status that it carries goes to the client as it
// is, and otherwise one with the status that does.
func withStatus(err error) error {
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK && st.Code() <= codes.Unauthenticated {
		return err
	}
	return carrying(outcomeOf(err), err)
}

// internal gives an error that carries no status INTERNAL: a handler that returns it has made a mistake that is not its
// client's.
func internal(err error) error {
	if !carrier.Plain(err) {
		return err
	}
	return carrying(outcome{Code: codes.Internal, Message: err.Error()}, err)
}

// carrying returns an error that stands for err, and carries the status of an outcome.
func carrying(o outcome, err error) error {
	return &carrier.Error{Status: o.GRPC(), Cause: err, Plain: carrier.Plain(err)}
}

// wrongRequestCount is grpc-python's answer, but for its spelling of the path, which shows as a Python literal.
func wrongRequestCount(path string) outcome {
	return outcome{Code: codes.Unimplemented, Message: `"` + excerpt.Of(path) + `" requires exactly one request message.`}
}
