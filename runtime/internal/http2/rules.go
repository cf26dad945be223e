package http2

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
