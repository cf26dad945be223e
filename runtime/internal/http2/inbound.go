package http2

import "github.com/gogreeter/gogreeter/runtime/internal/fields"

// inbound is the reader's: what has been read, and what the reader has to know of the peer. One goroutine at a time has it,
// and it is one value that the next reader goes on with.
type inbound struct {
	beginning beginning
	buf       readBuffer
	floods    floods
	upkeep    upkeep
	fields    *fields.Decoder
	block     fieldBlock // the field block under way, while CONTINUATION frames are expected
	window    inflow     // the connection's
	flushDue  bool       // something was appended that is to be flushed after the batch
}

// beginning is how much of the peer's preface (RFC 9113, Section 3.4) has been read:
//
//	prefaceDue ──the octets that only a client sends──▶ settingsDue ──its first SETTINGS frame──▶ begun
//
// The reader alone writes it, with Conn.mu held, and so may read it without.
type beginning uint8

// What the reader waits for; begun: any frame.
const (
	prefaceDue beginning = iota
	settingsDue
	begun
)

// fieldBlock is a field block of which not all frames have been read.
type fieldBlock struct {
	streamID  uint32 // 0: none under way
	endStream bool
	selfDep   bool // the HEADERS frame said that the stream depends on itself
	frames    int  // CONTINUATION frames
	octets    []byte
}
