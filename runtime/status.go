package runtime

import (
	"context"
	"errors"
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
)

// outcome is how an RPC ends: the status that the client receives. The zero outcome is OK.
type outcome struct {
	code    codes.Code
	details string // grpc-message
	rich    []byte // grpc-status-details-bin: an encoded google.rpc.Status, or nil
}

func (o outcome) err() error {
	if o.code == codes.OK {
		return nil
	}
	return status.Error(o.code, o.details)
}

// The statuses of RPCs that end from outside their handler.
var (
	outcomeCancelled = outcome{code: codes.Canceled, details: "CANCELLED"}
	outcomeDeadline  = outcome{code: codes.DeadlineExceeded, details: "Deadline Exceeded"}
	outcomeStopped   = outcome{code: codes.Unavailable, details: "Cancelling all calls"}
)

// outcomeOf returns the outcome that an error of the application's means.
func outcomeOf(err error) outcome {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		if st, _ := status.FromError(err); st.Code() != codes.OK {
			return outcomeOfStatus(st)
		}
		// An error whose status is OK is a mistake: the call has failed, and the client must not take it for a success.
		return outcome{code: codes.Unknown, details: err.Error()}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return outcome{code: codes.Canceled, details: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return outcome{code: codes.DeadlineExceeded, details: err.Error()}
	}
	return outcome{code: codes.Unknown, details: err.Error()}
}

func outcomeOfStatus(st *status.Status) outcome {
	o := outcome{code: st.Code(), details: st.Message()}
	if o.code > codes.Unauthenticated {
		o.code = codes.Unknown // as grpc-python: a number that is no code means nothing to a client
	}
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		p.Code = int32(o.code)
		o.rich, _ = proto.Marshal(p) // a status whose details cannot be encoded goes without them
	}
	return o
}

// okTrailers is the field block that most RPCs end with.
var okTrailers = http2.AppendField(nil, "grpc-status", "0")

// appendTrailers appends the trailer section of an RPC (gRPC PROTOCOL-HTTP2, "Trailers").
func appendTrailers(block []byte, o outcome, trailing Metadata) []byte {
	block = http2.AppendField(block, "grpc-status", strconv.FormatUint(uint64(o.code), 10))
	if o.details != "" {
		block = http2.AppendField(block, "grpc-message", percentEncode(o.details))
	}
	block = appendMetadata(block, trailing)
	if o.rich != nil {
		block = appendMetadata(block, Metadata{{"grpc-status-details-bin", string(o.rich)}})
	}
	return block
}

const hexDigits = "0123456789ABCDEF"

// percentEncode encodes a status message. gRPC PROTOCOL-HTTP2, "Status-Message": octets outside 0x20-0x7E and '%' are
// percent-encoded UTF-8.
func percentEncode(message string) string {
	clean := func(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '%' }
	i := 0
	for i < len(message) && clean(message[i]) {
		i++
	}
	if i == len(message) {
		return message
	}
	out := append(make([]byte, 0, len(message)+16), message[:i]...)
	for i < len(message) {
		c := message[i]
		if clean(c) {
			out = append(out, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(message[i:])
		if r == utf8.RuneError && size == 1 {
			out = append(out, "%EF%BF%BD"...) // U+FFFD in place of an octet that is not UTF-8
			i++
			continue
		}
		for ; size > 0; size-- {
			out = append(out, '%', hexDigits[message[i]>>4], hexDigits[message[i]&0xf])
			i++
		}
	}
	return string(out)
}
