package http2

import "encoding/binary"

// frameType is the type of a frame (RFC 9113, Section 6).
type frameType uint8

// The types of RFC 9113, Section 6.
const (
	frameData         frameType = 0x0
	frameHeaders      frameType = 0x1
	framePriority     frameType = 0x2
	frameRSTStream    frameType = 0x3
	frameSettings     frameType = 0x4
	framePushPromise  frameType = 0x5
	framePing         frameType = 0x6
	frameGoAway       frameType = 0x7
	frameWindowUpdate frameType = 0x8
	frameContinuation frameType = 0x9
)

// Flags; which of them a frame type defines is in RFC 9113, Section 6. Undefined ones are ignored.
const (
	flagEndStream  = 0x01
	flagAck        = 0x01
	flagEndHeaders = 0x04
	flagPadded     = 0x08
	flagPriority   = 0x20
)

// Settings of RFC 9113, Section 6.5.2.
const (
	settingHeaderTableSize      = 0x1
	settingEnablePush           = 0x2
	settingMaxConcurrentStreams = 0x3
	settingInitialWindowSize    = 0x4
	settingMaxFrameSize         = 0x5
	settingMaxHeaderListSize    = 0x6
)

// Sizes that RFC 9113 gives.
const (
	frameHeaderLen          = 9
	minMaxFrameSize         = 1 << 14   // RFC 9113, Section 6.5.2: the initial value of SETTINGS_MAX_FRAME_SIZE.
	maxMaxFrameSize         = 1<<24 - 1 // RFC 9113, Section 6.5.2.
	defaultWindow           = 1<<16 - 1 // RFC 9113, Section 6.9.2.
	defaultTableSize        = 4096      // RFC 9113, Section 6.5.2.
	maxWindow               = 1<<31 - 1 // RFC 9113, Section 6.9.1.
	clientPreface           = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	streamIDMask     uint32 = 1<<31 - 1
)

// frame is one frame in the read buffer. Its payload aliases the buffer.
type frame struct {
	kind     frameType
	flags    uint8
	streamID uint32
	payload  []byte
}

// has reports whether the frame has a flag. What the flag means depends on the type.
func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

// parseFrameHeader reads the nine octets of a frame header (RFC 9113, Section 4.1). b has at least nine.
func parseFrameHeader(b []byte) (f frame, length int) {
	_ = b[8]
	length = int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	f.kind = frameType(b[3])
	f.flags = b[4]
	f.streamID = binary.BigEndian.Uint32(b[5:]) & streamIDMask // the reserved bit is ignored
	return f, length
}

// unpad returns the frame's content without padding (RFC 9113, Section 6.1). ok is false if the padding is longer
// than the content.
func (f frame) unpad() (content []byte, ok bool) {
	if !f.has(flagPadded) {
		return f.payload, true
	}
	if len(f.payload) == 0 || int(f.payload[0]) > len(f.payload)-1 {
		return nil, false
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], true
}

// appendFrameHeader appends the nine octets of a frame header.
func appendFrameHeader(b []byte, kind frameType, flags uint8, streamID uint32, length int) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags,
		byte(streamID>>24), byte(streamID>>16), byte(streamID>>8), byte(streamID))
}

// appendRSTStream appends RST_STREAM (RFC 9113, Section 6.4).
func appendRSTStream(b []byte, streamID uint32, code ErrCode) []byte {
	b = appendFrameHeader(b, frameRSTStream, 0, streamID, 4)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

// appendWindowUpdate appends WINDOW_UPDATE (RFC 9113, Section 6.9). Stream 0 is the connection.
func appendWindowUpdate(b []byte, streamID, increment uint32) []byte {
	b = appendFrameHeader(b, frameWindowUpdate, 0, streamID, 4)
	return binary.BigEndian.AppendUint32(b, increment)
}

// appendPing appends PING (RFC 9113, Section 6.7).
func appendPing(b []byte, flags uint8, data [8]byte) []byte {
	return append(appendFrameHeader(b, framePing, flags, 0, 8), data[:]...)
}

// appendGoAway appends GOAWAY (RFC 9113, Section 6.8). debug is for a log of the peer's.
func appendGoAway(b []byte, lastStreamID uint32, code ErrCode, debug string) []byte {
	b = appendFrameHeader(b, frameGoAway, 0, 0, 8+len(debug))
	b = binary.BigEndian.AppendUint32(b, lastStreamID)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return append(b, debug...)
}

// setting is one parameter of a SETTINGS frame.
type setting struct {
	id    uint16
	value uint32
}

// appendSettings appends SETTINGS (RFC 9113, Section 6.5).
func appendSettings(b []byte, settings ...setting) []byte {
	b = appendFrameHeader(b, frameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, s.id)
		b = binary.BigEndian.AppendUint32(b, s.value)
	}
	return b
}

// appendSettingsAck appends the acknowledgement of a SETTINGS frame.
func appendSettingsAck(b []byte) []byte { return appendFrameHeader(b, frameSettings, flagAck, 0, 0) }

// appendHeaders appends a field block as a HEADERS frame and as many CONTINUATION frames as the peer's maximum frame
// size makes necessary.
func appendHeaders(b []byte, streamID uint32, block []byte, endStream bool, maxFrame int) []byte {
	var flags uint8
	if endStream {
		flags = flagEndStream
	}
	kind := frameHeaders
	for len(block) > maxFrame {
		b = append(appendFrameHeader(b, kind, flags, streamID, maxFrame), block[:maxFrame]...)
		block, kind, flags = block[maxFrame:], frameContinuation, 0
	}
	return append(appendFrameHeader(b, kind, flags|flagEndHeaders, streamID, len(block)), block...)
}

// rule is what RFC 9113, Section 6 asks of every frame of a type, whatever has happened before.
type rule struct {
	name        string
	on          place
	least, most int    // octets of the payload
	unit        int    // of which the payload is a multiple; 0: of any
	wrong       string // what a payload of another length is
}

// place is where a frame may be.
type place uint8

// The places.
const (
	anywhere     place = iota // or other code judges
	onStream                  // not stream 0
	onConnection              // stream 0
)

// frameRules has the rules by frame type. HEADERS and CONTINUATION are judged by what is known of their stream.
var frameRules = [...]rule{
	frameData:         {"DATA", onStream, 0, maxMaxFrameSize, 0, ""},
	frameHeaders:      {"HEADERS", anywhere, 0, maxMaxFrameSize, 0, ""},
	framePriority:     {"PRIORITY", onStream, 5, 5, 0, "not 5 octets"},
	frameRSTStream:    {"RST_STREAM", onStream, 4, 4, 0, "not 4 octets"},
	frameSettings:     {"SETTINGS", onConnection, 0, maxMaxFrameSize, 6, "not a multiple of 6 octets"},
	framePushPromise:  {"PUSH_PROMISE", anywhere, 0, maxMaxFrameSize, 0, ""},
	framePing:         {"PING", onConnection, 8, 8, 0, "not 8 octets"},
	frameGoAway:       {"GOAWAY", onConnection, 8, maxMaxFrameSize, 0, "under 8 octets"},
	frameWindowUpdate: {"WINDOW_UPDATE", anywhere, 4, 4, 0, "not 4 octets"},
	frameContinuation: {"CONTINUATION", anywhere, 0, maxMaxFrameSize, 0, ""},
}

// settingsAckRule is in place of the rule for SETTINGS if the frame has ACK (RFC 9113, Section 6.5).
var settingsAckRule = rule{"acknowledgement of SETTINGS", anywhere, 0, 0, 0, "not empty"}

// check judges a frame by the rules of its type. RFC 9113, Section 5.5: types that are not known are ignored.
func (f frame) check() error {
	if int(f.kind) >= len(frameRules) {
		return nil
	}
	r, n := &frameRules[f.kind], len(f.payload)
	switch {
	case r.on == onStream && f.streamID == 0:
		return ConnError{ErrCodeProtocol, r.name + " on stream 0"}
	case r.on == onConnection && f.streamID != 0:
		return ConnError{ErrCodeProtocol, r.name + " on a stream"}
	}
	if f.kind == frameSettings && f.has(flagAck) {
		r = &settingsAckRule
	}
	switch wrong := n < r.least || n > r.most || r.unit > 0 && n%r.unit != 0; {
	case wrong && f.kind == framePriority:
		// RFC 9113, Section 6.3: "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error".
		return StreamError{f.streamID, ErrCodeFrameSize, r.name + " is " + r.wrong}
	case wrong:
		return ConnError{ErrCodeFrameSize, r.name + " is " + r.wrong}
	}
	return nil
}
