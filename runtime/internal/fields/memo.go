package fields

// memo is the last block of its kind that is worth remembering, and what it means. A peer that repeats a call sends the same
// octets again, and then neither decoding nor checks are needed.
type memo struct {
	block   []byte
	section *Section // nil: none
}

// maxMemoBlock is how many octets of a field block are worth remembering.
const maxMemoBlock = 1024

// remember keeps the section that was just made of a block, if the same block would make the same section again. A block that
// may change the dynamic table does not, and what is remembered of others may mean something else behind it.
func (d *Decoder) remember(block []byte) {
	if !leavesTableAlone(block) {
		for i := range d.memos {
			d.memos[i].section = nil
		}
		return
	}
	if d.section.Malformed == "" && !d.section.Oversize && len(block) <= maxMemoBlock {
		m := &d.memos[d.kind]
		m.block, m.section = append(m.block[:0], block...), d.section
	}
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

// skipString returns what follows a string literal (RFC 7541, Section 5.2).
func skipString(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	n, b := readVarInt(b, 7)
	return b[min(n, len(b)):]
}
