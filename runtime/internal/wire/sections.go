package wire

import (
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// contentType is what messages in protobuf are, which is the default. A server may answer with it whatever the client's suffix
// was.
const contentType = "application/grpc"

// IsGRPC reports whether a content-type is one whose messages we can read: protobuf, which is also the default.
func IsGRPC(value string) bool {
	rest, ok := strings.CutPrefix(value, contentType)
	return ok && (rest == "" || rest == "+proto" || rest[0] == ';' || strings.HasPrefix(rest, "+proto;"))
}

// ResponseHeadersSize is how large the fields of AppendResponseHeaders are at most, as RFC 9113, Section 6.5.2 counts.
const ResponseHeadersSize = 3*fields.FieldOverhead + len(":status200content-typeapplication/grpcgrpc-encodingdeflate")

// AppendResponseHeaders appends what every response begins with (PROTOCOL-HTTP2, "Response-Headers").
func AppendResponseHeaders(block []byte, encoding Encoding) []byte {
	block = fields.AppendField(fields.AppendStatus(block, 200), "content-type", contentType)
	if encoding != Identity {
		block = fields.AppendField(block, "grpc-encoding", encoding.String())
	}
	return block
}

// The field blocks that most RPCs need, ready-made. Literals without indexing depend on no state of a connection, so that one
// block serves all.
var (
	responseHeaders = [encodings][]byte{
		Identity: AppendResponseHeaders(nil, Identity),
		Gzip:     AppendResponseHeaders(nil, Gzip),
		Deflate:  AppendResponseHeaders(nil, Deflate),
	}
	okTrailers = Status{}.appendTo(nil)
)

// ResponseHeaders returns the field block that AppendResponseHeaders makes. It must not be changed.
func ResponseHeaders(encoding Encoding) []byte { return responseHeaders[encoding] }

// Trailers returns the field block that ends an RPC (PROTOCOL-HTTP2, "Trailers"). The peer takes a field section of limit
// octets: the status's details go first, then the end of its message. Nil says that there is no room for the metadata.
//
// The block must not be changed. It may be given to package buffer.
func Trailers[E metadataEntry](s Status, trailing []E, limit int) []byte {
	if s.Code == codes.OK && s.Message == "" && len(trailing) == 0 {
		return okTrailers
	}
	return end(false, s, trailing, limit)
}

// TrailersOnly returns the field block of a response that is nothing but its end (PROTOCOL-HTTP2, "Trailers-Only"), as
// Trailers does.
func TrailersOnly[E metadataEntry](s Status, trailing []E, limit int) []byte {
	return end(true, s, trailing, limit)
}

// end returns a field block that ends an RPC, with or without the fields that begin one. It has memory for the sizes that
// RFC 9113 counts: a literal takes less than a field's overhead beside its octets.
func end[E metadataEntry](headers bool, s Status, trailing []E, limit int) []byte {
	others := MetadataSize(trailing)
	if headers {
		others += ResponseHeadersSize
	}
	s, ok := s.fit(limit - others)
	if !ok {
		return nil
	}
	block := buffer.Get(others + s.size())
	if headers {
		block = AppendResponseHeaders(block, Identity)
	}
	block = AppendMetadata(s.appendTo(block), trailing)
	if s.Details != nil {
		block = AppendMetadata(block, []entry{{detailsField, string(s.Details)}})
	}
	return block
}

// TrailersSize returns how large the field section of Trailers is at most, as RFC 9113, Section 6.5.2 counts.
func TrailersSize[E metadataEntry](s Status, trailing []E) int {
	return MetadataSize(trailing) + s.size()
}

// size returns how large the fields of a status are at most.
func (s Status) size() int {
	size := fieldSize(codeField, len("16"))
	if s.Message != "" {
		size += fieldSize(messageField, encodedLen(s.Message))
	}
	if s.Details != nil {
		size += fieldSize(detailsField, encodedSize(detailsField, len(s.Details)))
	}
	return size
}

// fit returns the status without the details, and the end of the message, for which there is no room. It reports false if
// not even the code has room. A client whose limit is ignored may give the connection up, and with it all RPCs.
func (s Status) fit(room int) (_ Status, ok bool) {
	if s.size() <= room {
		return s, true
	}
	message := s.Message
	s.Details, s.Message = nil, ""
	if room -= s.size(); room < 0 {
		return s, false
	}
	s.Message = cutEncoded(message, room-fieldSize(messageField, 0))
	return s, true
}

// appendTo appends the status's fields except its details.
func (s Status) appendTo(block []byte) []byte {
	block = fields.AppendField(block, codeField, strconv.FormatUint(uint64(s.Code), 10))
	if s.Message != "" {
		block = fields.AppendField(block, messageField, percentEncode(s.Message))
	}
	return block
}
