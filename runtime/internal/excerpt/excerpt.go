// Package excerpt bounds what goes back to a peer, or into a log, of what that peer has chosen. A few octets on the wire can
// stand for thousands (RFC 7541, Section 6.1: an indexed field), so a text that repeats them all is an amplifier.
package excerpt

import "unicode/utf8"

// Max is how many octets of a value are repeated.
const Max = 64

// mark says that a value was cut.
const mark = "..."

// Of returns s if it is short, and otherwise its first octets, [Max] at most, and "...". It does not cut through a
// character of UTF-8.
func Of(s string) string {
	if len(s) <= Max {
		return s
	}
	return Prefix(s, Max) + mark
}

// Prefix returns the first octets of s, limit at most, and does not cut through a character of UTF-8.
func Prefix(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > max(0, limit-utf8.UTFMax) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
