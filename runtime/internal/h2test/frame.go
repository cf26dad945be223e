package h2test

import (
	"encoding/binary"
	"fmt"
)

// The types of frames (RFC 9113, Section 6).
const (
	Data byte = iota
	Headers
	Priority
	RSTStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Flags of frames.
const (
	Ack         byte = 0x1 // of SETTINGS and PING
	EndStream   byte = 0x1
	EndHeaders  byte = 0x4
	Padded      byte = 0x8
	HasPriority byte = 0x20
)

// Settings that tests change (RFC 9113, Section 6.5.2).
const (
	HeaderTableSize   uint32 = 0x1
	InitialWindowSize uint32 = 0x4
	MaxHeaderListSize uint32 = 0x6
)

// Cancel is the error code CANCEL (RFC 9113, Section 7).
const Cancel uint32 = 0x8

// ClientPreface is what a client sends before its first frame (RFC 9113, Section 3.4).
const ClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frameHead is how many octets there are before a frame's payload.
const frameHead = 9

// Raw makes a frame, which need not be a valid one. Of the parts of its payload, integers stand for four octets, and bytes,
// strings and slices for themselves.
func Raw(kind, flags byte, id uint32, payload ...any) []byte {
	b := make([]byte, frameHead, 64)
	for _, part := range payload {
		switch part := part.(type) {
		case uint32:
			b = binary.BigEndian.AppendUint32(b, part)
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(part))
		case byte:
			b = append(b, part)
		case string:
			b = append(b, part...)
		case []byte:
			b = append(b, part...)
		case nil:
		default:
			panic(fmt.Sprintf("h2test: a payload has no %T", part))
		}
	}
	n := len(b) - frameHead
	b[0], b[1], b[2], b[3], b[4] = byte(n>>16), byte(n>>8), byte(n), kind, flags
	binary.BigEndian.PutUint32(b[5:], id)
	return b
}

// Parameters is the payload of SETTINGS: identifier, value, identifier, value…
func Parameters(settings ...uint32) (payload []byte) {
	for i := 0; i < len(settings); i += 2 {
		payload = binary.BigEndian.AppendUint16(payload, uint16(settings[i]))
		payload = binary.BigEndian.AppendUint32(payload, settings[i+1])
	}
	return payload
}

// Frame is a frame that has come.
type Frame struct {
	Type, Flags byte
	StreamID    uint32
	Payload     []byte
}

// Cut takes the first frame off b, if b holds all of it.
func Cut(b []byte) (f Frame, rest []byte, ok bool) {
	if len(b) < frameHead {
		return Frame{}, b, false
	}
	end := frameHead + (int(b[0])<<16 | int(b[1])<<8 | int(b[2]))
	if len(b) < end {
		return Frame{}, b, false
	}
	return Frame{b[3], b[4], binary.BigEndian.Uint32(b[5:]), b[frameHead:end]}, b[end:], true
}

// Has reports whether the frame has a flag.
func (f Frame) Has(flag byte) bool { return f.Flags&flag != 0 }

// Ends reports whether the frame ends its stream's direction.
func (f Frame) Ends() bool { return (f.Type == Data || f.Type == Headers) && f.Has(EndStream) }

// Uint32 returns the four octets at an offset of the payload.
func (f Frame) Uint32(at int) uint32 { return binary.BigEndian.Uint32(f.Payload[at:]) }

// Code is the error code of RST_STREAM and GOAWAY.
func (f Frame) Code() uint32 {
	switch f.Type {
	case RSTStream:
		return f.Uint32(0)
	case GoAway:
		return f.Uint32(4)
	}
	return 0
}

func (f Frame) String() string {
	return fmt.Sprintf("frame type %d, flags %#x, stream %d, %d octets, %.40q", f.Type, f.Flags, f.StreamID, len(f.Payload), f.Payload)
}
