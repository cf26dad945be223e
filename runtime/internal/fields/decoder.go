package fields

import (
	"golang.org/x/net/http2/hpack"
)

// Decoder turns the field blocks of one direction of a connection into sections. All of them have to pass through it, in
// their order, since a block may change the dynamic table. It is for one goroutine at a time.
type Decoder struct {
	hpack    *hpack.Decoder
	maxList  int // octets, counted as in RFC 9113, Section 6.5.2
	maxLines int
	memos    [kinds]memo

	// Of the block that is being decoded.
	kind    Kind
	section *Section
	lines   []Field // reused from block to block
	size    int
	num     int
	pseudos uint8 // the pseudo-header fields that were there, a bit each
	regular bool  // a regular field was there: no pseudo-header field may follow
}

const (
	// tableSize is the initial SETTINGS_HEADER_TABLE_SIZE (RFC 9113, Section 6.5.2). We never announce another.
	tableSize = 4096

	// maxString bounds one string of a field block. It is above any list limit in use, so that a field that is too long
	// for the list can be skipped and the dynamic table kept.
	maxString = 1 << 20
)

// NewDecoder returns a decoder for sections of so many octets, counted as SETTINGS_MAX_HEADER_LIST_SIZE is, and so many lines.
func NewDecoder(maxList, maxLines int) *Decoder {
	d := &Decoder{maxList: maxList, maxLines: maxLines}
	d.hpack = hpack.NewDecoder(tableSize, d.emit)
	d.hpack.SetMaxStringLength(maxString)
	return d
}

// Decode decodes a whole field block. The section is an earlier one if the block is the same as then. An error says that the
// block cannot be decoded; the dynamic table is lost with it, and the decoder must not be used again. RFC 9113, Section 4.3:
// it "MUST be treated as a connection error [...] of type COMPRESSION_ERROR". A section that breaks a rule is no error here,
// because the connection goes on: see [Section.Malformed].
func (d *Decoder) Decode(kind Kind, block []byte) (*Section, error) {
	if m := &d.memos[kind]; m.section != nil && string(block) == string(m.block) {
		return m.section, nil
	}
	d.kind, d.section, d.lines = kind, &Section{ContentLength: -1}, d.lines[:0]
	d.size, d.num, d.pseudos, d.regular = 0, 0, 0, false
	if _, err := d.hpack.Write(block); err != nil {
		return nil, err
	}
	if err := d.hpack.Close(); err != nil {
		return nil, err
	}
	d.finish()
	d.remember(block)
	return d.section, nil
}

// emit is called by the HPACK decoder for each field.
func (d *Decoder) emit(f hpack.HeaderField) {
	s := d.section
	d.size += len(f.Name) + len(f.Value) + FieldOverhead
	d.num++
	if d.size > d.maxList || d.num > d.maxLines {
		// RFC 9113, Section 10.5.1: the block has to be decoded to its end all the same, to keep the dynamic table.
		s.Oversize = true
		return
	}
	if s.Malformed != "" {
		return
	}
	if len(f.Name) > 0 && f.Name[0] == ':' {
		s.Malformed = d.pseudo(f.Name, f.Value)
		return
	}
	d.regular = true
	if s.Malformed = checkField(f.Name, f.Value); s.Malformed != "" {
		return
	}
	if f.Name == "content-length" {
		if s.Malformed = s.declareLength(f.Value); s.Malformed != "" {
			return
		}
	}
	d.lines = append(d.lines, Field{f.Name, f.Value})
}

// finish completes the section, and checks what only the whole of it shows.
func (d *Decoder) finish() {
	s := d.section
	s.Fields = append(make([]Field, 0, len(d.lines)), d.lines...)
	s.spareLines, s.spareBytes = d.maxLines-d.num, d.maxList-d.size
	if s.Malformed != "" || s.Oversize {
		return
	}
	if required := pseudoRules[d.kind].required; d.pseudos&required != required && s.Method != "CONNECT" {
		s.Malformed = "a pseudo-header field is missing"
		return
	}
	if d.kind == Request {
		s.Malformed = s.takeHost(d.pseudos&authorityBit != 0)
	}
}
