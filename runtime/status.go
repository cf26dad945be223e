package runtime

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
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

// withStatus returns an error as interceptors see it: err itself if the status that it carries goes to the client as it
// is, and otherwise one with the status that does.
func withStatus(err error) error {
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK && st.Code() <= codes.Unauthenticated {
		return err
	}
	o := outcomeOf(err)
	return &carrier.Error{Status: status.New(o.code, o.details), Cause: err, Plain: carrier.Plain(err)}
}

// internal gives an error that carries no status INTERNAL: a handler that returns it has made a mistake that is not its
// client's.
func internal(err error) error {
	if err == nil || !carrier.Plain(err) {
		return err
	}
	return &carrier.Error{Status: status.New(codes.Internal, err.Error()), Cause: err, Plain: true}
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
var okTrailers = fields.AppendField(nil, "grpc-status", "0")

// appendTrailers appends the trailer section of an RPC (gRPC PROTOCOL-HTTP2, "Trailers").
func appendTrailers(block []byte, o outcome, trailing Metadata) []byte {
	block = fields.AppendField(block, "grpc-status", strconv.FormatUint(uint64(o.code), 10))
	if o.details != "" {
		block = fields.AppendField(block, "grpc-message", percentEncode(o.details))
	}
	block = appendMetadata(block, trailing)
	if o.rich != nil {
		block = appendMetadata(block, Metadata{{"grpc-status-details-bin", string(o.rich)}})
	}
	return block
}

// fieldOverhead is what RFC 9113, Section 6.5.2 counts for a field beside its name and value.
const fieldOverhead = 32

// trailersSize is how large the trailer section of an RPC is at most, counted as RFC 9113, Section 6.5.2 says.
func trailersSize(o outcome, trailing Metadata) int {
	size := metadataSize(trailing) + fieldOverhead + len("grpc-status") + 2
	if o.details != "" {
		size += fieldOverhead + len("grpc-message") + encodedLen(o.details)
	}
	if o.rich != nil {
		size += fieldOverhead + len("grpc-status-details-bin") + base64.RawStdEncoding.EncodedLen(len(o.rich))
	}
	return size
}

// metadataSize is how large metadata is as fields, counted in the same way.
func metadataSize(md Metadata) (size int) {
	for _, p := range md {
		size += fieldOverhead + len(p.Key)
		if isBinary(p.Key) {
			size += base64.RawStdEncoding.EncodedLen(len(p.Value))
		} else {
			size += len(p.Value)
		}
	}
	return size
}

// fitting returns the outcome without the details, and the end of the text, for which there is no room in a trailer section
// of so many octets: the client would not take it. ok is false if the trailing metadata alone leaves no room.
func (o outcome) fitting(trailing Metadata, limit int) (fitting outcome, ok bool) {
	if trailersSize(o, trailing) <= limit {
		return o, true
	}
	o.rich = nil
	text := o.details
	o.details = ""
	room := limit - trailersSize(o, trailing)
	if room < 0 {
		return o, false
	}
	o.details = cutEncoded(text, room-fieldOverhead-len("grpc-message"))
	return o, true
}

// encodedLen is how long a status message is when it is percent-encoded, at most.
func encodedLen(message string) int {
	n := len(message)
	for i := range len(message) {
		if !cleanInMessage(message[i]) {
			n += 8 // "%EF%BF%BD" in place of an octet that is not UTF-8
		}
	}
	return n
}

// cutEncoded returns as much of a status message as fits into room octets when it is percent-encoded, and a sign that it was
// cut.
func cutEncoded(message string, room int) string {
	if encodedLen(message) <= room {
		return message
	}
	const sign = "..."
	room -= len(sign)
	for i, r := range message {
		size := max(1, utf8.RuneLen(r))
		if room -= encodedLen(message[i:min(i+size, len(message))]); room < 0 {
			if i == 0 {
				return ""
			}
			return message[:i] + sign
		}
	}
	return message
}

// cleanInMessage reports whether an octet of a status message goes as it is.
func cleanInMessage(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '%' }

const hexDigits = "0123456789ABCDEF"

// percentEncode encodes a status message. gRPC PROTOCOL-HTTP2, "Status-Message": octets outside 0x20-0x7E and '%' are
// percent-encoded UTF-8.
func percentEncode(message string) string {
	i := 0
	for i < len(message) && cleanInMessage(message[i]) {
		i++
	}
	if i == len(message) {
		return message
	}
	out := append(make([]byte, 0, len(message)+16), message[:i]...)
	for i < len(message) {
		c := message[i]
		if cleanInMessage(c) {
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
