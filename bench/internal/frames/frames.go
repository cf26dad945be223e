// Package frames has what a client that makes its frames by hand needs of HTTP/2 (RFC 9113, Section 6). The loads of the benchmarks
// are such clients: a load must cost less than the server that it measures.
package frames

import (
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// Types of frames, flags and settings.
const (
	Data         = 0x0
	Headers      = 0x1
	RSTStream    = 0x3
	Settings     = 0x4
	Ping         = 0x6
	GoAway       = 0x7
	WindowUpdate = 0x8

	EndStream  = 0x1
	Ack        = 0x1
	EndHeaders = 0x4

	MaxConcurrentStreams = 0x3
	InitialWindowSize    = 0x4
)

// Sizes.
const (
	DefaultWindow = 1<<16 - 1
	largeWindow   = 1<<31 - 1
	MaxPayload    = 1 << 14 // of a frame, unless the peer permits more
	header        = 9
)

// Frame is a frame that has come. Its payload is a part of what Next was given.
type Frame struct {
	Kind, Flags byte
	ID          uint32
	Payload     []byte
}

// Next takes the first frame of b. ok is false if it is not there as a whole.
func Next(b []byte) (f Frame, rest []byte, ok bool) {
	if len(b) < header {
		return Frame{}, b, false
	}
	end := header + (int(b[0])<<16 | int(b[1])<<8 | int(b[2]))
	if len(b) < end {
		return Frame{}, b, false
	}
	return Frame{b[3], b[4], binary.BigEndian.Uint32(b[5:]) & largeWindow, b[header:end]}, b[end:], true
}

// Append appends a frame.
func Append(b []byte, kind, flags byte, id uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	return append(b, payload...)
}

// AppendCredit appends a WINDOW_UPDATE of the connection.
func AppendCredit(b []byte, octets int) []byte {
	return Append(b, WindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(octets)))
}

// AppendGreeting appends the preface of a client, with windows that are never in the way.
func AppendGreeting(b []byte) []byte {
	b = append(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	b = Append(b, Settings, 0, 0, []byte{0, InitialWindowSize, 0x7f, 0xff, 0xff, 0xff})
	return AppendCredit(b, largeWindow-DefaultWindow)
}

// WriteRequest encodes the fields that every request of gRPC's has.
func WriteRequest(e *hpack.Encoder, scheme, path string) {
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: scheme},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "bench"},
		{Name: "te", Value: "trailers"},
		{Name: "content-type", Value: "application/grpc"},
	} {
		e.WriteField(f)
	}
}
