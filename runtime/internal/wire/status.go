package wire

import (
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// The fields of a status.
const (
	codeField    = "grpc-status"
	messageField = "grpc-message"
	detailsField = "grpc-status-details-bin"
)

// Status is how an RPC ends. The zero Status is OK.
type Status struct {
	Code    codes.Code
	Message string
	Details []byte // an encoded google.rpc.Status, or nil
}

// StatusOf returns what the trailers of an RPC say that ends with st. The details repeat the code and the message: in them,
// too, a code is one that is defined.
func StatusOf(st *status.Status) Status {
	s := Status{Code: defined(st.Code()), Message: st.Message()}
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		p.Code = int32(s.Code)
		s.Details, _ = proto.Marshal(p) // a status whose details cannot be encoded goes without them
	}
	return s
}

// defined returns a code that is one: as grpc-python, since a number that is none means nothing to anybody.
func defined(code codes.Code) codes.Code {
	if code > codes.Unauthenticated {
		return codes.Unknown
	}
	return code
}

// GRPC returns the status in the form of package status, as the peer has it: grpc-status and grpc-message are what counts, and
// of grpc-status-details-bin the details. Details that cannot be decoded are none.
func (s Status) GRPC() *status.Status {
	message := s.Message
	if !utf8.ValidString(message) {
		message = string([]rune(message)) // U+FFFD for each octet, as percentEncode
	}
	st := status.New(s.Code, message)
	if s.Details == nil {
		return st
	}
	p := st.Proto()
	if proto.Unmarshal(s.Details, p) != nil {
		return st
	}
	p.Code, p.Message = int32(s.Code), message
	return status.FromProto(p)
}

// Err returns the status as an error; OK is none.
func (s Status) Err() error { return s.GRPC().Err() }

// ReadField takes over what a field line of trailers says of the status. It reports false of a line that says nothing of it,
// which is metadata. That there was a grpc-status at all is for the caller to check.
func (s *Status) ReadField(name, value string) (ok bool, err error) {
	switch name {
	case codeField:
		code, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return true, Malformed.errorf("malformed grpc-status %q", excerpt.Of(value))
		}
		s.Code = defined(codes.Code(code))
	case messageField:
		s.Message = percentDecode(value)
	case detailsField:
		if s.Details, err = appendDecoded([]byte{}, value); err != nil {
			return true, Malformed.errorf("malformed binary metadata %q: %v", name, err)
		}
	default:
		return false, nil
	}
	return true, nil
}

// cleanInMessage reports whether an octet of a status message goes as it is.
func cleanInMessage(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '%' }

// encodedLen is how long a status message is when it is percent-encoded, at most: it looks at octets, not at characters, and
// takes each that is not clean for the worst.
func encodedLen(message string) int {
	n := len(message)
	for i := range len(message) {
		if !cleanInMessage(message[i]) {
			n += len("%EF%BF%BD") - 1 // of U+FFFD, in place of an octet that is not UTF-8
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

// percentEncode encodes a status message. PROTOCOL-HTTP2, "Status-Message": octets outside 0x20-0x7E and '%' are
// percent-encoded UTF-8. Each octet that is not UTF-8 becomes U+FFFD, so that the peer gets a text in any case.
func percentEncode(message string) string {
	clean := 0
	for clean < len(message) && cleanInMessage(message[clean]) {
		clean++
	}
	if clean == len(message) {
		return message // the usual one, as it is
	}
	const hexDigits = "0123456789ABCDEF"
	out := append(make([]byte, 0, len(message)+16), message[:clean]...)
	var octets [utf8.UTFMax]byte
	for _, r := range message[clean:] {
		for _, c := range utf8.AppendRune(octets[:0], r) {
			if cleanInMessage(c) {
				out = append(out, c)
			} else {
				out = append(out, '%', hexDigits[c>>4], hexDigits[c&0xf])
			}
		}
	}
	return string(out)
}

// percentDecode decodes a status message. PROTOCOL-HTTP2: decoders "MUST NOT error due to invalid values", which stay as they
// are.
func percentDecode(value string) string {
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '%' && i+2 < len(value) {
			if n, err := strconv.ParseUint(value[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		out = append(out, c)
	}
	return string(out)
}
