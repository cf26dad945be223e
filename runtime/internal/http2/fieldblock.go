package http2

import (
	"encoding/binary"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// processHeaders processes HEADERS (RFC 9113, Section 6.2).
func (c *Conn) processHeaders(f frame) error {
	// RFC 9113, Section 5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers". A server initiates
	// none.
	if f.streamID%2 == 0 {
		return ConnError{ErrCodeProtocol, "HEADERS on an even stream or on stream 0"}
	}
	fragment, ok := f.unpad()
	if !ok {
		return ConnError{ErrCodeProtocol, "padding of HEADERS is longer than the frame"}
	}
	block := fieldBlock{streamID: f.streamID, endStream: f.has(flagEndStream)}
	if f.has(flagPriority) {
		if len(fragment) < 5 {
			return ConnError{ErrCodeFrameSize, "HEADERS is too short for its priority"}
		}
		block.selfDep = binary.BigEndian.Uint32(fragment)&streamIDMask == f.streamID
		fragment = fragment[5:]
	}
	if f.has(flagEndHeaders) {
		block.octets = fragment
		return c.role.processBlock(block)
	}
	if len(fragment) == 0 && !c.in.floods.empties.take() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many empty frames"}
	}
	block.octets = append(c.in.block.octets[:0], fragment...)
	c.in.block = block
	c.watchBlock()
	return nil
}

// processContinuation processes CONTINUATION (RFC 9113, Section 6.10).
func (c *Conn) processContinuation(f frame) error {
	b := &c.in.block
	if b.streamID == 0 || f.streamID != b.streamID {
		return ConnError{ErrCodeProtocol, "CONTINUATION without HEADERS"}
	}
	b.frames++
	largest := 4 * c.config.MaxHeaderListBytes
	if b.frames > spareContinuations+largest/minMaxFrameSize || len(b.octets)+len(f.payload) > largest {
		return ConnError{ErrCodeEnhanceYourCalm, "field block too large"}
	}
	b.octets = append(b.octets, f.payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	whole := *b // taken away at once: the application may end this goroutine, and another reader goes on
	*b, c.in.upkeep.blockEnd = fieldBlock{}, time.Time{}
	return c.role.processBlock(whole)
}

// decode decodes a field block. All of them have to be, since each may change the dynamic table.
func (c *Conn) decode(kind fields.Kind, b fieldBlock) (*fields.Section, error) {
	section, err := c.in.fields.Decode(kind, b.octets)
	if err != nil {
		return nil, ConnError{ErrCodeCompression, err.Error()}
	}
	return section, nil
}

// processTrailers ends the peer's half of a stream by trailers.
func (c *Conn) processTrailers(st *Stream, trailers *fields.Section, endStream bool) error {
	switch {
	case !endStream:
		// RFC 9113, Section 8.1: a second HEADERS "without the END_STREAM flag set after receiving the HEADERS frame
		// that opens a request or after receiving a final [...] status code" makes it malformed.
		return StreamError{st.id, ErrCodeProtocol, "second HEADERS without END_STREAM"}
	case trailers.Malformed != "":
		return StreamError{st.id, ErrCodeProtocol, trailers.Malformed}
	case st.declared >= 0 && st.received != st.declared:
		return StreamError{st.id, ErrCodeProtocol, "content-length differs from the content"}
	}
	st.state.set(remoteClosed)
	defer c.removeRead(st)
	st.Handler.HandleTrailers(trailers)
	return nil
}
