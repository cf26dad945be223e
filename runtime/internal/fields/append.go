package fields

import "strconv"

// AppendField appends a field line as a literal without indexing and without Huffman coding (RFC 7541, Section
// 6.2.2). Such a block depends on no state of the connection, so it can be made by any goroutine, ahead of time, and
// used for many streams.
func AppendField(block []byte, name, value string) []byte {
	block = append(block, 0)
	block = appendString(block, name)
	return appendString(block, value)
}

// AppendStatus appends the :status pseudo-header field, which is the first in a response.
func AppendStatus(block []byte, status int) []byte {
	const static200, staticStatus = 0x80 | 8, 8 // RFC 7541, Appendix A
	if status == 200 {
		return append(block, static200)
	}
	return appendString(append(block, staticStatus), strconv.Itoa(status))
}

// appendString appends a string literal (RFC 7541, Section 5.2).
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
