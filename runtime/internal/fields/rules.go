package fields

import (
	"strconv"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// The pseudo-header fields, a bit each.
const (
	methodBit = 1 << iota
	schemeBit
	authorityBit
	pathBit
	statusBit
)

// pseudoRules are which pseudo-header fields a section may have, and which of them it must have.
var pseudoRules = [kinds]struct{ permitted, required uint8 }{
	// RFC 9113, Section 8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme",
	// and ":path" pseudo-header fields, unless they are CONNECT requests".
	Request: {permitted: methodBit | schemeBit | authorityBit | pathBit, required: methodBit | schemeBit | pathBit},
	// RFC 9113, Section 8.3.2: :status "MUST be included in all responses".
	Response: {permitted: statusBit, required: statusBit},
	// RFC 9113, Section 8.1: "Trailers MUST NOT include pseudo-header fields".
	Trailers: {},
}

// pseudoHeader finds a pseudo-header field by its name. bit is 0 if there is none of that name.
func (s *Section) pseudoHeader(name string) (into *string, bit uint8) {
	switch name {
	case ":method":
		return &s.Method, methodBit
	case ":scheme":
		return &s.Scheme, schemeBit
	case ":authority":
		return &s.Authority, authorityBit
	case ":path":
		return &s.Path, pathBit
	case ":status":
		return &s.Status, statusBit
	}
	return nil, 0
}

// pseudo takes a pseudo-header field. It says what is wrong with it, or nothing.
func (d *Decoder) pseudo(name, value string) (malformed string) {
	// RFC 9113, Section 8.3: "All pseudo-header fields MUST appear in a field block before all regular field lines."
	if d.regular {
		return "pseudo-header field " + excerpt.Of(name) + " after a regular field"
	}
	into, bit := d.section.pseudoHeader(name)
	if bit&pseudoRules[d.kind].permitted == 0 {
		return "unknown pseudo-header field"
	}
	// RFC 9113, Section 8.3: "The same pseudo-header field name MUST NOT appear more than once in a field block."
	if d.pseudos&bit != 0 {
		return "pseudo-header field " + name + " twice"
	}
	d.pseudos |= bit
	switch {
	case value == "" && bit != authorityBit:
		return "empty pseudo-header field " + name
	case bit == statusBit && !validStatus(value):
		return "bad status " + strconv.Quote(excerpt.Of(value))
	case !validValue(value):
		return "control character in " + name
	}
	*into = value
	return ""
}

// checkField says what is wrong with a regular field, or nothing.
func checkField(name, value string) (malformed string) {
	if !validName(name) {
		return "invalid field name " + strconv.Quote(excerpt.Of(name))
	}
	if !validValue(value) {
		return "control character in field " + excerpt.Of(name)
	}
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		// RFC 9113, Section 8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific
		// header fields."
		return "connection-specific field " + name
	case "te":
		// RFC 9113, Section 8.2.2: "it MUST NOT contain any value other than "trailers"".
		if value != "trailers" {
			return "te is not trailers"
		}
	}
	return ""
}

// declareLength takes a content-length. It says what is wrong with it, or nothing. RFC 9110, Section 8.6: several that are
// the same are one.
func (s *Section) declareLength(value string) (malformed string) {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil || (s.ContentLength >= 0 && s.ContentLength != int64(n)) {
		return "bad content-length"
	}
	s.ContentLength = int64(n)
	return ""
}

// validName reports whether a field name is allowed by RFC 9113, Section 8.2.1: a token without upper case.
func validName(name string) bool {
	for i := 0; i < len(name); i++ {
		if !nameOctet[name[i]] {
			return false
		}
	}
	return name != ""
}

// nameOctet holds the octets of a token (RFC 9110, Section 5.6.2) without the upper-case letters.
var nameOctet = func() (table [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" {
		table[c] = true
	}
	return table
}()

// validValue reports whether a field value is allowed by RFC 9113, Section 8.2.1: no NUL, LF or CR.
func validValue(value string) bool {
	for i := 0; i < len(value); i++ {
		if c := value[i]; c == 0 || c == '\n' || c == '\r' {
			return false
		}
	}
	return true
}

// validStatus reports whether a status code is one of RFC 9110, Section 15: three digits, the first of them 1 to 9. Codes
// above 599 are invalid too, but are to be treated as 5xx.
func validStatus(value string) bool {
	n, err := strconv.ParseUint(value, 10, 16)
	return err == nil && len(value) == 3 && n >= 100
}
