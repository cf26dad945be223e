package runtime

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

func init() {
	carrier.Encodable, carrier.Outcome, carrier.Ended = encodable, statusOf, outcomeEnded.err()
}

// outcomeEnded is what an RPC that has ended well answers with.
var outcomeEnded = outcome{code: codes.Internal, details: "the RPC has ended"}

// encodable is what encodeMessage finds out of a response, without an RPC.
func encodable(response any) error {
	c, err := codecFor(response)
	if err != nil {
		return nil
	}
	size, err := c.sizeOf(response)
	if err == nil {
		_, err = c.encode(make([]byte, 0, size), response)
	}
	if err != nil {
		return outcomeUnserializable.err()
	}
	return nil
}

// statusOf returns an error's outcome as its client has it.
func statusOf(err error) *status.Status {
	o := outcomeOf(err)
	st := status.New(o.code, string([]rune(o.details))) // U+FFFD for what is not UTF-8, as in percentEncode
	if o.rich == nil {
		return st
	}
	from, _ := status.FromError(err)
	detailed := from.Proto()
	detailed.Code, detailed.Message = int32(st.Code()), st.Message()
	return status.FromProto(detailed)
}
