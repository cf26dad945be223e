package http2

import (
	"encoding/binary"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// processHeaders processes HEADERS (RFC 9113, Section 6.2).
func (c *Conn) processHeaders(f frame) error {
	// RFC 9113, Section 5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers".
	if f.streamID%2 == 0 {
		return ConnError{ErrCodeProtocol, "HEADERS on an even stream or on stream 0"}
	}
	fragment, ok := f.unpad()
	if !ok {
		return ConnError{ErrCodeProtocol, "padding of HEADERS is longer than the frame"}
	}
	selfDep := false
	if f.has(flagPriority) {
		if len(fragment) < 5 {
			return ConnError{ErrCodeFrameSize, "HEADERS is too short for its priority"}
		}
		selfDep = binary.BigEndian.Uint32(fragment)&streamIDMask == f.streamID
		fragment = fragment[5:]
	}
	if f.has(flagEndHeaders) {
		return c.processBlock(f.streamID, fragment, f.has(flagEndStream), selfDep)
	}
	if len(fragment) == 0 && !c.in.floods.empties.take() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many empty frames"}
	}
	b := &c.in.block
	b.streamID, b.endStream, b.selfDep, b.frames = f.streamID, f.has(flagEndStream), selfDep, 0
	b.octets = append(b.octets[:0], fragment...)
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
	whole := *b
	*b, c.in.upkeep.blockEnd = fieldBlock{}, time.Time{} // at once: the application may end this goroutine, and another reader goes on
	return c.processBlock(whole.streamID, whole.octets, whole.endStream, whole.selfDep)
}

// processBlock processes a whole field block: it opens a stream, or is a trailer section. The block is decoded in any
// case, since it may change the dynamic table.
func (c *Conn) processBlock(id uint32, block []byte, endStream, selfDep bool) error {
	kind := fields.Trailers
	if id > c.streams.highest { // only the reader writes it
		kind = fields.Request
	}
	section, err := c.in.fields.Decode(kind, block)
	if err != nil {
		return ConnError{ErrCodeCompression, err.Error()}
	}
	if kind == fields.Request {
		return c.openStream(id, section, endStream, selfDep)
	}
	c.mu.Lock()
	st := c.streams.open[id]
	c.mu.Unlock()
	if st == nil {
		return c.headersOnClosedStream(id)
	}
	if !st.state.canReceive() {
		return StreamError{id, ErrCodeStreamClosed, "HEADERS after END_STREAM"}
	}
	switch {
	case !endStream:
		// RFC 9113, Section 8.1: a second HEADERS "without the END_STREAM flag set after receiving the HEADERS frame
		// that opens a request" makes it malformed.
		return StreamError{id, ErrCodeProtocol, "second HEADERS without END_STREAM"}
	case section.Malformed != "":
		return StreamError{id, ErrCodeProtocol, section.Malformed}
	case st.declared >= 0 && st.received != st.declared:
		return StreamError{id, ErrCodeProtocol, "content-length differs from the content"}
	}
	st.state.set(remoteClosed)
	st.Handler.HandleData(nil, true)
	c.removeRead(st)
	return nil
}

// headersOnClosedStream judges HEADERS on a stream that is closed, or was skipped by the peer.
func (c *Conn) headersOnClosedStream(id uint32) error {
	c.mu.Lock()
	byUs, known := c.streams.recent.find(id)
	c.mu.Unlock()
	switch {
	case byUs:
		return nil // RFC 9113, Section 5.1: what arrives after our RST_STREAM is ignored.
	case known:
		return ConnError{ErrCodeStreamClosed, "HEADERS on a closed stream"}
	}
	// RFC 9113, Section 5.1.1: "The identifier of a newly established stream MUST be numerically greater than all
	// streams that the initiating endpoint has opened".
	return ConnError{ErrCodeProtocol, "stream identifier is not greater than the last one"}
}

// openStream opens a stream for a request.
func (c *Conn) openStream(id uint32, request *fields.Section, endStream, selfDep bool) error {
	c.mu.Lock()
	ignored := c.life.stage >= draining
	full := len(c.streams.open) >= c.config.MaxConcurrentStreams
	if !ignored {
		c.streams.begin(id) // failStream, or what follows, ends the opening
	}
	if id == maxWindow {
		// RFC 9113, Section 5.1.1: a client that has used up the stream identifiers needs a new connection. Shutdown says
		// so, and serves this one.
		c.shutdownLocked("no stream identifiers are left")
	}
	c.mu.Unlock()
	switch {
	case ignored:
		return nil
	case request.Malformed != "":
		return StreamError{id, ErrCodeProtocol, request.Malformed}
	case selfDep:
		return StreamError{id, ErrCodeProtocol, "stream depends on itself"}
	case full:
		return StreamError{id, ErrCodeRefusedStream, "more streams than SETTINGS_MAX_CONCURRENT_STREAMS"}
	case endStream && request.ContentLength > 0:
		return StreamError{id, ErrCodeProtocol, "content-length without content"}
	}
	if c.account.Overdrawn() {
		// It is what we hold that is too much, not what the peer does: this costs it no token. RFC 9113, Section 8.7: the
		// request may be sent again.
		return c.resetStream(StreamError{id, ErrCodeRefusedStream, "more is held for the peer than it may have"})
	}
	st := c.app.NewStream(request)
	if st == nil {
		return StreamError{id, ErrCodeRefusedStream, "refused by the application"}
	}
	st.conn, st.id, st.declared = c, id, request.ContentLength
	st.in = newInflow(int32(c.config.StreamWindow))
	if endStream {
		st.state.set(remoteClosed)
	}
	c.mu.Lock()
	c.streams.add(st)
	c.account.Begin(budget.Streams)
	c.mu.Unlock()
	c.in.floods.opened++
	st.Handler.HandleRequest(endStream)
	return nil
}
