package http2

import (
	"strconv"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

// Field is one field line.
type Field struct{ Name, Value string }

// Request is the head of a request: the content of its first field block, checked as RFC 9113, Section 8.3 asks. It
// is immutable, and may be shared by several streams whose field blocks are the same.
type Request struct {
	// Authority is the host field's value if there is no :authority.
	Method, Scheme, Authority, Path string

	// Fields are the regular fields in the order in which they came.
	Fields []Field

	// Oversize says that the field section was larger than the announced SETTINGS_MAX_HEADER_LIST_SIZE; fields beyond
	// it are missing from Fields.
	Oversize bool

	// Parsed is the application's: what it has made of the request, kept for the next stream with the same head.
	// Only the reader goroutine may use it.
	Parsed any

	contentLength int64 // -1: not declared

	spareLines, spareBytes int // what the limits on the field section leave
}

// Fits reports whether the field section would still be within the limits if it had more lines, of so many octets in all,
// the overhead of each line included. It is for fields that stand for several.
func (r *Request) Fits(lines int, octets int64) bool {
	return lines <= r.spareLines && octets <= int64(r.spareBytes)
}

// fieldDecoder turns field blocks into requests.
type fieldDecoder struct {
	hpack   *hpack.Decoder
	maxList int // octets, counted as in RFC 9113, Section 6.5.2
	maxNum  int

	// Of the block under way.
	request   Request
	fields    []Field // reused from block to block
	size      int
	num       int
	pseudos   uint8  // the pseudo-header fields that have come, a bit each
	regular   bool   // a regular field has come: no pseudo-header field may follow
	malformed string // the first offence, or empty

	// The last block that left the dynamic table as it was, and what it means. Clients that repeat a call send the
	// same octets again, and then neither decoding nor validation is needed.
	memoBlock   []byte
	memoRequest *Request
}

// maxFieldLen bounds one string of a field block. It is above any list limit in use, so that a field that is too long
// for the list can be skipped and the HPACK state kept.
const maxFieldLen = 1 << 20

const (
	initialTableSize = 4096 // RFC 9113, Section 6.5.2: SETTINGS_HEADER_TABLE_SIZE; we never announce another.
	FieldOverhead    = 32   // RFC 9113, Section 6.5.2: "plus an overhead of 32 octets for each field"
	maxMemoBlock     = 1024 // octets of a field block worth remembering
	authorityBit     = 8    // in fieldDecoder.pseudos
)

func newFieldDecoder(maxList, maxNum int) *fieldDecoder {
	d := &fieldDecoder{maxList: maxList, maxNum: maxNum}
	d.hpack = hpack.NewDecoder(initialTableSize, d.emit)
	d.hpack.SetMaxStringLength(maxFieldLen)
	return d
}

// begin starts a new field block.
func (d *fieldDecoder) begin() {
	d.memoRequest = nil // the block may change the dynamic table
	d.request = Request{contentLength: -1}
	d.fields = d.fields[:0]
	d.size, d.num, d.pseudos, d.regular, d.malformed = 0, 0, 0, false, ""
}

// decode takes the next fragment of the block.
func (d *fieldDecoder) decode(fragment []byte) error {
	if _, err := d.hpack.Write(fragment); err != nil {
		return ConnError{ErrCodeCompression, err.Error()}
	}
	return nil
}

// close ends the block.
func (d *fieldDecoder) close() error {
	if err := d.hpack.Close(); err != nil {
		return ConnError{ErrCodeCompression, err.Error()}
	}
	return nil
}

// decodeWhole decodes a block that came in one piece and returns its request, which is an earlier one if the block is
// the same as then.
func (d *fieldDecoder) decodeWhole(block []byte) (*Request, error) {
	if d.memoRequest != nil && string(block) == string(d.memoBlock) {
		d.malformed = ""
		return d.memoRequest, nil
	}
	d.begin()
	if err := d.decode(block); err != nil {
		return nil, err
	}
	if err := d.close(); err != nil {
		return nil, err
	}
	request := d.finishRequest()
	if d.malformed == "" && !request.Oversize && len(block) <= maxMemoBlock && leavesTableAlone(block) {
		d.memoBlock = append(d.memoBlock[:0], block...)
		d.memoRequest = request
	}
	return request, nil
}

// emit is called by the HPACK decoder for each field.
func (d *fieldDecoder) emit(f hpack.HeaderField) {
	d.size += len(f.Name) + len(f.Value) + FieldOverhead
	d.num++
	if d.size > d.maxList || d.num > d.maxNum {
		// RFC 9113, Section 10.5.1: the block has to be decoded to its end all the same, to keep the dynamic table.
		d.request.Oversize = true
		return
	}
	if d.malformed != "" {
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		d.pseudo(f.Name, f.Value)
		return
	}
	d.regular = true
	if reason := checkField(f.Name, f.Value); reason != "" {
		d.malformed = reason
		return
	}
	if f.Name == "content-length" {
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || (d.request.contentLength >= 0 && d.request.contentLength != int64(n)) {
			d.malformed = "bad content-length"
			return
		}
		d.request.contentLength = int64(n)
	}
	d.fields = append(d.fields, Field{f.Name, f.Value})
}

// pseudo takes a pseudo-header field.
func (d *fieldDecoder) pseudo(name, value string) {
	// RFC 9113, Section 8.3: "All pseudo-header fields MUST appear in a field block before all regular field lines."
	if d.regular {
		d.malformed = "pseudo-header field " + excerpt.Of(name) + " after a regular field"
		return
	}
	var into *string
	var bit uint8
	switch name {
	case ":method":
		into, bit = &d.request.Method, 1
	case ":scheme":
		into, bit = &d.request.Scheme, 2
	case ":path":
		into, bit = &d.request.Path, 4
	case ":authority":
		into, bit = &d.request.Authority, authorityBit
	default:
		d.malformed = "unknown pseudo-header field"
		return
	}
	// RFC 9113, Section 8.3: "The same pseudo-header field name MUST NOT appear more than once in a field block."
	if d.pseudos&bit != 0 {
		d.malformed = "pseudo-header field " + name + " twice"
		return
	}
	d.pseudos |= bit
	if value == "" && name != ":authority" {
		d.malformed = "empty pseudo-header field " + name
		return
	}
	if !validValue(value) {
		d.malformed = "control character in " + name
		return
	}
	*into = value
}

// finishRequest completes the block as that of a request.
func (d *fieldDecoder) finishRequest() *Request {
	r := d.request
	r.Fields = append(make([]Field, 0, len(d.fields)), d.fields...)
	r.spareLines, r.spareBytes = d.maxNum-d.num, d.maxList-d.size
	// RFC 9113, Section 8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme",
	// and ":path" pseudo-header fields, unless they are CONNECT requests".
	if d.malformed == "" && !r.Oversize && (r.Method == "" || r.Path == "" || r.Scheme == "") && r.Method != "CONNECT" {
		d.malformed = "a pseudo-header field is missing"
	}
	if d.malformed == "" && !r.Oversize {
		d.malformed = r.takeHost(d.pseudos&authorityBit != 0)
	}
	return &r
}

// finishTrailers completes the block as a trailer section, of which nothing is used.
func (d *fieldDecoder) finishTrailers() {
	// RFC 9113, Section 8.1: "Trailers MUST NOT include pseudo-header fields".
	if d.pseudos != 0 {
		d.malformed = "pseudo-header field in trailers"
	}
}

// checkField says what is wrong with a regular field of a request, or nothing.
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

// leavesTableAlone reports whether a field block, known to be well formed, neither adds to the dynamic table nor
// resizes it (RFC 7541, Section 6): it then means the same whenever the table is the same.
func leavesTableAlone(block []byte) bool {
	for len(block) > 0 {
		first := block[0]
		switch {
		case first&0x80 != 0: // RFC 7541, Section 6.1: indexed field
			_, block = readVarInt(block, 7)
		case first&0xe0 == 0: // RFC 7541, Sections 6.2.2 and 6.2.3: literal without indexing, or never indexed
			var name int
			name, block = readVarInt(block, 4)
			if name == 0 {
				block = skipString(block)
			}
			block = skipString(block)
		default:
			return false
		}
	}
	return true
}

// readVarInt reads an integer with an n-bit prefix (RFC 7541, Section 5.1) from a well-formed block.
func readVarInt(b []byte, n uint) (value int, rest []byte) {
	limit := 1<<n - 1
	value, b = int(b[0])&limit, b[1:]
	if value < limit {
		return value, b
	}
	for shift := uint(0); len(b) > 0; shift += 7 {
		octet := b[0]
		b = b[1:]
		value += int(octet&0x7f) << shift
		if octet&0x80 == 0 {
			break
		}
	}
	return value, b
}

func skipString(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	n, b := readVarInt(b, 7)
	return b[min(n, len(b)):]
}

// AppendField appends a field line as a literal without indexing and without Huffman coding (RFC 7541, Section
// 6.2.2). Such a block depends on no state of the connection, so it can be made by any goroutine, ahead of time, and
// used for many streams.
func AppendField(block []byte, name, value string) []byte {
	block = append(block, 0)
	block = appendString(block, name)
	return appendString(block, value)
}

// AppendStatus appends the :status pseudo-header field, which comes first in a response.
func AppendStatus(block []byte, status int) []byte {
	const static200, staticStatus = 0x80 | 8, 8 // RFC 7541, Appendix A
	if status == 200 {
		return append(block, static200)
	}
	return appendString(append(block, staticStatus), strconv.Itoa(status))
}

func appendString(b []byte, s string) []byte {
	const prefix = 1<<7 - 1
	n := len(s)
	if n < prefix {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, prefix)
	for n -= prefix; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), s...)
}
