package http2

import "github.com/gogreeter/gogreeter/runtime/internal/buffer"

// outbox is what waits to be sent, and how much of it the peer lets us send. Guarded by Conn.mu.
type outbox struct {
	outBuffers
	flushing
	maxPending    int       // Config.MaxPendingBytes; immutable
	queue         sendQueue // of streams
	peerWindow    int32     // SETTINGS_INITIAL_WINDOW_SIZE of the peer
	window        int32     // the connection's
	tableSize     uint32    // SETTINGS_HEADER_TABLE_SIZE of the peer
	tableReduced  bool      // it has become smaller, and no field block has gone since
	sentSincePing bool      // HEADERS or DATA was appended since the peer's last PING
}

// Head appends a field block, as [fields.AppendField] makes them, as a HEADERS frame; block can be used again at once.
//
// What Head, Data, End and Message append goes with the next [Conn.Flush]. Their error is a [StreamError] if the stream
// cannot be written to any more.
func (st *Stream) Head(block []byte) error {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.readyLocked() {
		return st.writtenTooLate()
	}
	c.out.appendHeaders(&st.sender, block, false)
	return nil
}

// Data appends content, behind a head unless that is nil. Content beyond the flow-control window waits on the stream. If
// taken is true, the stream owns data, and gives it to buffer.Put in the end: the caller must not use it again. paid is
// how many octets the caller has counted for data in the connection's account; the stream takes that count over too. flush
// schedules a flush: data leaves a little later, in one write with what other runnable goroutines append.
func (st *Stream) Data(head, data []byte, reserved int64, flush bool) (taken bool, err error) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.readyLocked() {
		return false, st.writtenTooLate()
	}
	if head != nil {
		c.out.appendHeaders(&st.sender, head, false)
	}
	taken = c.out.send(&st.sender, data, reserved)
	if flush {
		c.scheduleFlushLocked()
	}
	return taken, nil
}

// End ends our half of the stream, with a field block unless that is nil. Content that waits is sent first, unless
// discard drops it. A response that ends before its request declines the rest of the request; see [Stream.ReadToEnd].
func (st *Stream) End(trailers []byte, discard bool) error {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.readyLocked() {
		return st.writtenTooLate()
	}
	if discard {
		c.out.discard(&st.sender)
	}
	st.endLocked(trailers)
	return nil
}

// Message appends a whole message, or the rest of one: it is Data, unless that is empty, and End in one.
func (st *Stream) Message(head, data, trailers []byte, reserved int64) (taken bool, err error) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.readyLocked() {
		return false, st.writtenTooLate()
	}
	return st.messageLocked(head, data, trailers, reserved), nil
}

// messageLocked is Message, of a stream that can be written to.
func (st *Stream) messageLocked(head, data, trailers []byte, reserved int64) (taken bool) {
	switch {
	case head == nil:
	case len(data) == 0 && trailers == nil: // the head can have END_STREAM
		st.endLocked(head)
		return false
	default:
		st.conn.out.appendHeaders(&st.sender, head, false)
	}
	taken = st.conn.out.send(&st.sender, data, reserved)
	st.endLocked(trailers)
	return taken
}

// readyLocked reports whether the stream can be written to, and then prepares the outbox for it.
func (st *Stream) readyLocked() bool {
	c := st.conn
	if !st.state.canSend() || st.sender.endStream || c.life.stage >= ending {
		return false
	}
	c.out.ready()
	c.out.sentSincePing = true
	return true
}

// writtenTooLate is the error of a stream that cannot be written to any more.
func (st *Stream) writtenTooLate() error {
	return StreamError{st.id, ErrCodeStreamClosed, "written to after its end"}
}

// endLocked ends our half after the backlog. That ends the stream, and declines the rest of the request, unless readToEnd is
// set.
func (st *Stream) endLocked(trailers []byte) {
	c := st.conn
	st.sender.endStream = true
	switch {
	case st.backlog.size > 0: // pump comes back to it
		st.trailers = append([]byte(nil), trailers...)
		c.out.hold(int64(cap(st.trailers)))
		return
	case trailers != nil:
		c.out.appendHeaders(&st.sender, trailers, true)
	default:
		c.out.buf = appendFrameHeader(c.out.buf, frameData, flagEndStream, st.id, 0)
	}
	declined := st.state.set(localClosed)&remoteClosed == 0
	if declined {
		if st.readToEnd {
			return // the end of the peer's half removes it
		}
		c.out.buf = appendRSTStream(c.out.buf, st.id, ErrCodeNo)
	}
	c.removeLocked(st, declined)
}

// windowOf is how many octets a stream may send.
func (o *outbox) windowOf(s *sender) int { return int(min(o.ownWindow(s), int64(o.window))) }

// ownWindow returns how many octets the stream's own window allows. Until open has checked it, that may exceed 32 bits.
func (o *outbox) ownWindow(s *sender) int64 { return int64(o.peerWindow) + s.delta }

// enqueue puts a stream into the queue if it has data that its own window lets out.
func (o *outbox) enqueue(s *sender) {
	if !s.queued && s.backlog.size > 0 && o.ownWindow(s) > 0 {
		o.queue.push(s)
	}
}

// send appends as much of data as the windows allow, and leaves the rest on the stream. paid octets have been counted for
// data. It reports whether the stream has taken data itself, and that count, rather than a copy.
func (o *outbox) send(s *sender, data []byte, reserved int64) (taken bool) {
	rest := data
	// Streams that wait for the connection's window go first.
	if s.backlog.size == 0 && o.queue.empty() {
		for len(rest) > 0 {
			n := o.appendData(s, rest, maxOut-len(o.buf))
			if n == 0 {
				break
			}
			rest = rest[n:]
		}
	}
	if len(rest) > 0 {
		held := s.backlog.cost
		if taken = s.backlog.add(data, rest); taken {
			held += reserved
		}
		o.hold(s.backlog.cost - held)
		o.enqueue(s)
	}
	o.updateFull(s)
	return taken
}

// appendData appends a DATA frame with the first octets of data, up to limit and as far as the windows allow. It returns how
// many there were.
func (o *outbox) appendData(s *sender, data []byte, limit int) int {
	n := min(len(data), o.windowOf(s), limit, minMaxFrameSize)
	if n <= 0 {
		return 0
	}
	o.buf = append(appendFrameHeader(o.buf, frameData, 0, s.id, n), data[:n]...)
	o.window -= int32(n)
	s.delta -= int64(n)
	o.sent += uint64(n)
	o.sentSincePing = true
	return n
}

// appendHeaders appends a field block. After the peer has made its dynamic table smaller, the next one has to begin
// with a Dynamic Table Size Update (RFC 7541, Section 4.2), although our field blocks do not use the table.
func (o *outbox) appendHeaders(s *sender, block []byte, endStream bool) {
	if o.tableReduced {
		o.tableReduced = false
		block = append([]byte{tableSizeZero}, block...)
	}
	frames := len(block)/minMaxFrameSize + 1
	if need := len(block) + frames*frameHeaderLen; need > outBufferSize && cap(o.buf)-len(o.buf) < need {
		o.push()
		o.buf = buffer.Get(need)
	}
	o.buf = appendHeaders(o.buf, s.id, block, endStream, minMaxFrameSize)
	o.holdBuf()
}

// tableSizeZero is a Dynamic Table Size Update to 0 (RFC 7541, Section 6.3), which is within every limit.
const tableSizeZero = 0x20

// discard drops the data and trailers of a stream that wait.
func (o *outbox) discard(s *sender) {
	o.hold(-s.backlog.cost - int64(cap(s.trailers)))
	s.backlog.clear()
	s.trailers = nil
	o.signalRoom(s)
}

// forget removes a stream that has ended from the outbox.
func (o *outbox) forget(s *sender) {
	if s.queued {
		o.queue.remove(s)
	}
	o.discard(s)
}

// signalRoom tells the goroutines that wait for room that the backlog has shrunk, or that the stream is over.
func (o *outbox) signalRoom(s *sender) {
	o.updateFull(s)
	s.wake()
}

// updateFull updates sender.full: whether too much of the stream waits. It stores changes only, since a store that other goroutines
// see costs as much as a lock.
func (o *outbox) updateFull(s *sender) {
	if atStreamLimit := s.backlog.size > o.maxPending; atStreamLimit != s.full.Load() {
		s.full.Store(atStreamLimit)
	}
}

// pump moves data of the queued streams to the out-buffer, a frame of each in turn. If it returns a stream, that stream's
// data is all sent and its end is due; call pump again afterwards. It returns nil if nothing more can be sent.
func (o *outbox) pump() *sender {
	for !o.queue.empty() && o.window > 0 && len(o.buf) < maxOut {
		s := o.queue.pop()
		if s.backlog.size == 0 {
			continue
		}
		o.ready()
		held := s.backlog.cost
		s.backlog.advance(o.appendData(s, s.backlog.next(), minMaxFrameSize))
		o.hold(s.backlog.cost - held)
		if s.backlog.size <= o.maxPending {
			o.signalRoom(s)
		}
		if s.backlog.size > 0 {
			o.enqueue(s)
		} else if s.endStream {
			return s
		}
	}
	return nil
}

// open adds an increment to a stream's window. It reports false if that makes the window larger than RFC 9113, Section
// 6.9.1 allows.
func (o *outbox) open(s *sender, increment int64) bool {
	if o.ownWindow(s)+increment > maxWindow {
		return false
	}
	s.delta += increment
	o.enqueue(s)
	return true
}
