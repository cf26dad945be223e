package fields

// Field is one field line.
type Field struct{ Name, Value string }

// FieldOverhead is what a field line counts beside the octets of its name and value: "plus an overhead of 32 octets for
// each field" (RFC 9113, Section 6.5.2, of SETTINGS_MAX_HEADER_LIST_SIZE).
const FieldOverhead = 32

// Kind is what a field section is part of. It decides which pseudo-header fields the section has.
type Kind uint8

// The kinds of sections.
const (
	Request  Kind = iota // the head of a request
	Response             // the head of a response, interim ones included
	Trailers             // of a request or of a response
	kinds    = iota
)

// Section is the content of a field block. It is immutable, and may be shared by several streams whose field blocks are the
// same.
type Section struct {
	// The pseudo-header fields. Authority is the host field's value if there is no :authority; Status has three digits.
	Method, Scheme, Authority, Path, Status string

	// Fields are the regular fields in the order in which they are in the block.
	Fields []Field

	// ContentLength is what the section declares the length of the content to be, or -1.
	ContentLength int64

	// Malformed says why the message is malformed (RFC 9113, Section 8.1.1), or is empty. The rest of the section is of
	// no use then.
	Malformed string

	// Oversize says that the section was larger than the Decoder's limits; fields beyond them are missing.
	Oversize bool

	// Parsed is the application's: what it has made of the section, kept for the next stream with the same block.
	// Only the goroutine that decodes may use it.
	Parsed any

	spareLines, spareBytes int // what the limits leave
}

// Fits reports whether the section would still be within the limits if it had more lines, of so many octets in all,
// the overhead of each line included. It is for fields that stand for several.
func (s *Section) Fits(lines int, octets int64) bool {
	return lines <= s.spareLines && octets <= int64(s.spareBytes)
}
