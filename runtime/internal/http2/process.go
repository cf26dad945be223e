package http2

import (
	"encoding/binary"
	"errors"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// processFrames processes the frames that are there.
func (c *Conn) processFrames() error {
	for {
		f, ok, err := c.in.buf.next()
		if !ok {
			return err
		}
		if err = c.processFrame(f); err != nil {
			var streamErr StreamError
			if errors.As(err, &streamErr) {
				err = c.failStream(streamErr)
			}
			if err != nil {
				return err
			}
		}
	}
}

// processFrame processes one frame. The error it returns is a ConnError or a StreamError.
func (c *Conn) processFrame(f frame) error {
	if c.in.preface < prefaceDone && f.kind != frameSettings {
		// RFC 9113, Section 3.4: the client preface "MUST be followed by a SETTINGS frame".
		return ConnError{ErrCodeProtocol, "the first frame is not SETTINGS"}
	}
	if c.in.block.streamID != 0 && f.kind != frameContinuation {
		// RFC 9113, Section 4.3: field blocks are sent "with no interleaved frames of any other type or from any
		// other stream".
		return ConnError{ErrCodeProtocol, "frame in the middle of a field block"}
	}
	if err := f.check(); err != nil {
		return err
	}
	switch f.kind {
	case frameData:
		return c.processData(f)
	case frameHeaders:
		return c.processHeaders(f)
	case frameContinuation:
		return c.processContinuation(f)
	case framePriority:
		return c.processPriority(f)
	case frameRSTStream:
		return c.processRSTStream(f)
	case frameSettings:
		return c.processSettings(f)
	case framePushPromise:
		return c.role.processPushPromise()
	case framePing:
		return c.processPing(f)
	case frameGoAway:
		last, code := binary.BigEndian.Uint32(f.payload)&streamIDMask, binary.BigEndian.Uint32(f.payload[4:])
		return c.role.processGoAway(last, ErrCode(code), f.payload[8:])
	case frameWindowUpdate:
		return c.processWindowUpdate(f)
	}
	return nil // RFC 9113, Section 5.5: types that are not known are ignored.
}

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
	if len(fragment) == 0 && !c.in.floods.takeEmpty() {
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
	if b.frames > extraContinuations+largest/minMaxFrameSize || len(b.octets)+len(f.payload) > largest {
		return ConnError{ErrCodeEnhanceYourCalm, "field block too large"}
	}
	b.octets = append(b.octets, f.payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	whole := *b // taken away at once: the application may end this goroutine, and another reader goes on
	*b, c.in.upkeep.blockEnd = fieldBlock{}, 0
	return c.role.processBlock(whole)
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
	case st.missing > 0:
		return StreamError{st.id, ErrCodeProtocol, "content-length differs from the content"}
	}
	st.state.set(remoteClosed)
	defer c.removeRead(st)
	st.Handler.HandleTrailers(trailers)
	return nil
}

// processData processes DATA (RFC 9113, Section 6.1).
func (c *Conn) processData(f frame) error {
	if err := c.countInflow(len(f.payload)); err != nil {
		return err
	}
	data, ok := f.unpad()
	if !ok {
		return ConnError{ErrCodeProtocol, "padding of DATA is longer than the frame"}
	}
	endStream := f.has(flagEndStream)
	if len(data) == 0 && !endStream && !c.in.floods.takeEmpty() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many empty frames"}
	}
	st, err := c.receive(f, len(data), endStream)
	if err != nil {
		return err
	}
	if st == nil {
		return c.onClosedStream(f)
	}
	if !st.state.canReceive() {
		return StreamError{f.streamID, ErrCodeStreamClosed, "DATA after END_STREAM"}
	}
	if !st.headReceived {
		return StreamError{f.streamID, ErrCodeProtocol, "DATA before HEADERS"}
	}
	if n := int64(len(data)); st.missing >= 0 {
		if n > st.missing || endStream && n < st.missing {
			// RFC 9113, Section 8.1.1: such a message "is also malformed if the value of a Content-Length header field
			// does not equal the sum of the DATA frame payload lengths".
			return StreamError{f.streamID, ErrCodeProtocol, "content-length differs from the content"}
		}
		st.missing -= n
	}
	if endStream {
		st.state.set(remoteClosed)
		defer c.removeRead(st)
	}
	st.Handler.HandleData(data, endStream)
	return nil
}

// receive finds the stream of a DATA frame and counts the frame against the stream's window; padding is given back at
// once. It returns an error if the peer sent more than it was allowed.
func (c *Conn) receive(f frame, content int, endStream bool) (st *Stream, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.setLeftLocked(0); c.credit.left < 0 { // countInflow takes for given what is owed
		return nil, errConnWindow
	}
	st = c.streams.open[f.streamID]
	if st == nil || !st.state.canReceive() {
		return st, nil
	}
	before := st.in
	if !st.in.receive(len(f.payload)) {
		return st, StreamError{f.streamID, ErrCodeFlowControl, beyondStreamWindow}
	}
	c.in.estimate.count(&st.round, len(f.payload))
	if padding := len(f.payload) - content; padding > 0 && !endStream {
		if increment := st.in.consume(padding); increment > 0 {
			c.appendControlLocked(appendWindowUpdate(c.out.buf, st.id, increment))
			c.FlushAfterBatch()
		}
	}
	if c.changedLocked(before, st.in) {
		c.FlushAfterBatch()
	}
	return st, nil
}

// beyondStreamWindow is why a stream ends whose peer has sent more than its window permits.
const beyondStreamWindow = "DATA beyond the stream's window"

// errConnWindow is why a connection ends whose peer has sent more than the connection's window permits.
var errConnWindow = ConnError{ErrCodeFlowControl, "DATA beyond the connection's window"}

// countInflow takes n octets off the connection's window. They are given back whatever becomes of their stream: the
// windows of the streams bound what we hold of requests. But a peer that leaves too much of its responses gets no window
// until it has taken some.
func (c *Conn) countInflow(n int) error {
	if !c.in.window.receive(n) {
		return errConnWindow
	}
	if c.in.estimate == nil && c.received.Load() >= unmeasured {
		c.mu.Lock()
		c.beginEstimateLocked()
		c.mu.Unlock()
	}
	c.in.estimate.countAny(n)
	if increment := c.in.window.consume(n); increment > 0 {
		if c.owe(increment, n) {
			c.watchWindows(stuckAfter)
		}
	}
	return nil
}

// grantWindow is called when there is room for the window that was withheld.
func (c *Conn) grantWindow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.credit.withheld = false
	flush := c.giveLocked(c.credit.claim.Size)
	if c.credit.owed > 0 { // since the claim was made, or for want of permission
		flush = c.openWindowLocked() || flush
	}
	if flush {
		c.flushLocked()
	}
}

// onClosedStream judges DATA on a stream that is not open.
func (c *Conn) onClosedStream(f frame) error {
	c.mu.Lock()
	idle := c.streams.isIdle(f.streamID)
	byUs, known := c.streams.recent.find(f.streamID)
	ignored := c.life.stage >= finalGoAwaySent && f.streamID > c.streams.highest
	c.mu.Unlock()
	switch {
	case ignored:
		// RFC 9113, Section 6.8: after GOAWAY, frames on streams beyond the last one are ignored.
		return nil
	case idle:
		return ConnError{ErrCodeProtocol, "DATA on an idle stream"}
	case known && !byUs:
		return StreamError{f.streamID, ErrCodeStreamClosed, "DATA on a closed stream"}
	}
	// RFC 9113, Section 5.1: "An endpoint MUST ignore frames that it receives on closed streams after it has sent a
	// RST_STREAM frame." That may be what became of a stream that we do not remember, too.
	return nil
}

// processPriority checks PRIORITY and ignores it (RFC 9113, Section 5.3.2).
func (c *Conn) processPriority(f frame) error {
	if !c.in.floods.takeControl() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many PRIORITY frames"}
	}
	if binary.BigEndian.Uint32(f.payload)&streamIDMask == f.streamID {
		return c.role.dependsOnItself(f.streamID)
	}
	return nil
}

// processRSTStream processes RST_STREAM (RFC 9113, Section 6.4).
func (c *Conn) processRSTStream(f frame) error {
	c.mu.Lock()
	idle := c.streams.isIdle(f.streamID) && c.life.stage < finalGoAwaySent
	st := c.streams.open[f.streamID]
	if st != nil {
		c.removeLocked(st, false)
		c.in.flushDue = c.in.flushDue || c.life.stage == ending
	}
	c.mu.Unlock()
	if idle {
		// RFC 9113, Section 6.4: "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state."
		return ConnError{ErrCodeProtocol, "RST_STREAM on an idle stream"}
	}
	if st == nil {
		return nil
	}
	st.Handler.HandleClose(ResetError{ErrCode(binary.BigEndian.Uint32(f.payload))})
	if !c.in.floods.takeReset() {
		return ConnError{ErrCodeEnhanceYourCalm, "too many streams reset"}
	}
	return nil
}

// processPing processes PING (RFC 9113, Section 6.7).
func (c *Conn) processPing(f frame) error {
	data := [8]byte(f.payload)
	if f.has(flagAck) {
		if data == shutdownPing {
			c.sendFinalGoAway()
		} else if c.in.estimate.acknowledges(data) && c.grow() {
			c.watchWindows(idleAfter)
		}
		return nil
	}
	c.mu.Lock()
	// Clients that measure the round trip (grpc-go) send a PING whenever they get DATA and have none under way: those
	// cost less than what caused them.
	caused := c.out.sentSincePing
	c.out.sentSincePing = false
	c.appendControlLocked(appendPing(c.out.buf, flagAck, data))
	c.mu.Unlock()
	if caused {
		c.in.upkeep.resetPingStrikes()
	} else if !c.in.upkeep.permitPing(c.config, c.OpenStreams() > 0) || !c.in.floods.takeControl() {
		return ConnError{ErrCodeEnhanceYourCalm, "too_many_pings"}
	}
	c.FlushAfterBatch()
	return nil
}

// processWindowUpdate processes WINDOW_UPDATE (RFC 9113, Section 6.9).
func (c *Conn) processWindowUpdate(f frame) error {
	increment := int64(binary.BigEndian.Uint32(f.payload) & streamIDMask)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.streamID == 0 {
		if increment == 0 {
			return ConnError{ErrCodeProtocol, "WINDOW_UPDATE of 0"}
		}
		if !addWindow(&c.out.window, increment) {
			return ConnError{ErrCodeFlowControl, "the connection's window overflows"}
		}
		c.in.flushDue = c.in.flushDue || !c.out.queue.empty()
		if c.credit.withheld { // it may be what the peer has not taken that there was no room for
			c.in.flushDue = c.openWindowLocked() || c.in.flushDue
		}
		return nil
	}
	st := c.streams.open[f.streamID]
	if st == nil {
		if c.streams.isIdle(f.streamID) && c.life.stage < finalGoAwaySent {
			return ConnError{ErrCodeProtocol, "WINDOW_UPDATE on an idle stream"}
		}
		return nil
	}
	if increment == 0 {
		return StreamError{f.streamID, ErrCodeProtocol, "WINDOW_UPDATE of 0"}
	}
	if !c.out.open(&st.sender, increment) {
		return StreamError{f.streamID, ErrCodeFlowControl, "the stream's window overflows"}
	}
	// A stream that has nothing to send needs no flush: most updates are for windows that are open.
	c.in.flushDue = c.in.flushDue || st.queued
	return nil
}
