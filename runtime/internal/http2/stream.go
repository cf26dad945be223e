package http2

import (
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// Stream is a request and its response. The user makes it, as part of a struct of its own, and sets Handler. Its methods may
// be called by any goroutine once it is open.
type Stream struct {
	Handler StreamHandler

	conn *Conn // immutable after the stream was opened

	state     streamState
	readToEnd bool // see ReadToEnd. Guarded by conn.mu; once the stream is open only the reader writes it, and reads it without.

	// Owned by the reader.
	headed   bool  // the head is there, other than of an interim response
	declared int64 // content-length, or -1
	received int64 // octets of content

	// Guarded by conn.mu.
	in inflow
	sender
}

// ID returns the stream's identifier; 0 until it is open.
func (st *Stream) ID() uint32 { return st.id }

// Head appends a field block, as [fields.AppendField] makes them, as a HEADERS frame; block can be used again at once.
//
// What Head, Data, End and Message append goes with the next [Conn.Flush]. Their error is a [StreamError] if the stream
// cannot be written to any more.
func (st *Stream) Head(block []byte) error {
	return st.write(func(o *outbox) { o.appendHeaders(&st.sender, block, false) })
}

// Data appends content. What there is no window for waits on the stream. If taken is true, data is the stream's now, which
// gives it to buffer.Put in the end: it must not be used again. paid is how many octets of the connection's account the
// caller has counted for data; they go with it. flush has it leave without a Flush, a little later: in one write with what
// other goroutines that can run append.
func (st *Stream) Data(data []byte, paid int64, flush bool) (taken bool, err error) {
	err = st.write(func(o *outbox) {
		taken = o.send(&st.sender, data, paid)
		if flush {
			st.conn.promiseLocked()
		}
	})
	return taken, err
}

// End ends our half of the stream, with a field block or, if that is nil, without. Content that waits goes before, unless
// discard drops it. A response that ends before its request declines the rest of that, see [Stream.ReadToEnd].
func (st *Stream) End(trailers []byte, discard bool) error {
	return st.write(func(o *outbox) {
		if discard {
			o.discard(&st.sender)
		}
		st.finishLocked(trailers)
	})
}

// Message appends a whole message, or the rest of one: it is Head unless head is nil, Data unless that is empty, and End, in
// one.
func (st *Stream) Message(head, data, trailers []byte, paid int64) (taken bool, err error) {
	err = st.write(func(*outbox) { taken = st.messageLocked(head, data, trailers, paid) })
	return taken, err
}

// messageLocked is Message, of a stream that can be written to.
func (st *Stream) messageLocked(head, data, trailers []byte, paid int64) (taken bool) {
	o, whole := &st.conn.out, len(data) == 0 && trailers == nil // so that the head can have END_STREAM
	if head != nil {
		o.appendHeaders(&st.sender, head, whole)
	}
	if head != nil && whole {
		st.closeLocalLocked()
		return false
	}
	taken = o.send(&st.sender, data, paid)
	st.finishLocked(trailers)
	return taken
}

// ReadToEnd has the peer's half of the stream read to its end although our half has ended. Otherwise RST_STREAM with NO_ERROR
// declines the rest of it (RFC 9113, Section 8.1). Only the reader may call it.
func (st *Stream) ReadToEnd() {
	st.conn.mu.Lock()
	st.readToEnd = true
	st.conn.mu.Unlock()
}

// write has a step append frames, if the stream can be written to.
func (st *Stream) write(step func(o *outbox)) error {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.state.canSend() || st.sender.finish || c.life.stage >= ending {
		return StreamError{st.id, ErrCodeStreamClosed, "written to after its end"}
	}
	c.out.ready()
	c.out.answered = true
	step(&c.out)
	return nil
}

// finishLocked ends our half, now or behind what waits.
func (st *Stream) finishLocked(trailers []byte) {
	if st.conn.out.finish(&st.sender, trailers) {
		st.endLocked(trailers)
	}
}

// Full reports whether the stream's backlog is more than [Config.MaxPendingBytes], as it was after the caller's last
// Data at the latest.
func (st *Stream) Full() bool { return st.full.Load() }

// WaitRoom flushes, and waits while the stream is full. room is false if the stream is over. inTime is false if it has waited
// for as long as limit; 0 is for ever.
func (st *Stream) WaitRoom(limit time.Duration) (room, inTime bool) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
	// Few streams have a goroutine that waits, so few need a condition.
	if st.room == nil {
		st.room = sync.NewCond(&c.mu)
	}
	late := false
	if limit > 0 {
		timer := time.AfterFunc(limit, func() {
			defer c.life.contain()
			c.mu.Lock()
			defer c.mu.Unlock()
			late = true
			st.room.Broadcast()
		})
		defer timer.Stop()
	}
	for st.full.Load() && st.state.canSend() && c.life.stage < ending && !late {
		st.room.Wait()
	}
	return st.state.canSend() && c.life.stage < ending, !late
}

// Window returns how many octets of content the peer may send before Consumed or Expect gives it more.
func (st *Stream) Window() int {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return int(st.in.window)
}

// Waiting returns how many octets of the response wait for the peer's window, or for room in the out-buffer.
func (st *Stream) Waiting() int {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return st.backlog.size
}

// Blocked reports whether some of the response waits for the peer's window.
func (st *Stream) Blocked() bool {
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return st.backlog.size > 0 && st.conn.out.windowOf(&st.sender) <= 0
}

// MaxFieldSection returns the peer's SETTINGS_MAX_HEADER_LIST_SIZE, counted as RFC 9113, Section 6.5.2 says; a field section
// that is larger costs the stream, or with some peers the connection. It is math.MaxInt32 if the peer has set no limit.
func (st *Stream) MaxFieldSection() int { return int(st.conn.peerMaxList.Load()) }

// Consumed gives n octets of content back to the peer's flow-control window. The caller flushes if it reports true.
func (st *Stream) Consumed(n int) (flush bool) {
	return st.announce(func(in *inflow) uint32 { return in.consume(n) })
}

// Expect makes sure that n more octets of content can be sent, beyond the stream's window if need be: the rest of a
// message that the application has decided to take. If held is not 0, that is how much of the message is there, and the
// stream's window is then open for what follows the message. The caller flushes if it reports true.
func (st *Stream) Expect(held, n int) (flush bool) {
	return st.announce(func(in *inflow) uint32 { return in.expect(held, int32(min(n, maxWindow))) })
}

// announce appends the WINDOW_UPDATE for a change of the stream's window, if it is worth one.
func (st *Stream) announce(change func(*inflow) uint32) (flush bool) {
	if !st.state.canReceive() {
		return false
	}
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	increment := change(&st.in)
	if increment == 0 || c.life.stage >= ending {
		return false
	}
	c.out.buf = appendWindowUpdate(c.out.buf, st.id, increment)
	return true
}

// Reset ends the stream with RST_STREAM. Nothing happens if it has ended already.
func (st *Stream) Reset(code ErrCode) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.state.isClosed() || c.life.stage >= ending {
		return
	}
	c.out.buf = appendRSTStream(c.out.buf, st.id, code)
	c.removeLocked(st, true)
}

// endLocked appends the end of our half.
func (st *Stream) endLocked(trailers []byte) {
	st.conn.out.appendEnd(&st.sender, trailers)
	st.closeLocalLocked()
}

// closeLocalLocked notes that END_STREAM was appended. Unless the peer's half is to be read to its end, that ends the stream:
// the rest of a request is declined.
func (st *Stream) closeLocalLocked() {
	c := st.conn
	if st.state.set(localClosed)&remoteClosed == 0 {
		if st.readToEnd {
			return // the end of the peer's half removes it
		}
		c.out.buf = appendRSTStream(c.out.buf, st.id, ErrCodeNo)
		c.removeLocked(st, true)
		return
	}
	c.removeLocked(st, false)
}

// removeRead forgets a stream whose other half has ended after ours. It is deferred, since the handler may end the goroutine;
// another may be the reader by then, so that it leaves inbound alone.
func (c *Conn) removeRead(st *Stream) {
	if st.readToEnd && st.state.isClosed() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removeLocked(st, false)
		if c.life.stage == ending {
			c.flushLocked()
		}
	}
}

// openLocked makes a stream one of the connection's.
func (c *Conn) openLocked(st *Stream, id uint32) {
	st.conn, st.id, st.in = c, id, newInflow(int32(c.config.StreamWindow))
	c.streams.add(st)
	c.account.Begin(budget.Streams)
}

// removeLocked forgets a stream. byUs says that we reset it, so that frames may still be under way.
func (c *Conn) removeLocked(st *Stream, byUs bool) {
	if !c.streams.remove(st, byUs) {
		return
	}
	if c.account.End(budget.Streams) == 0 && c.config.MaxIdle > 0 {
		c.streams.idleSince = time.Now()
	}
	// What has ended as it should is closed. All else has been reset, or the connection is over.
	if st.state.bits.Load()&closed != closed {
		st.state.set(reset)
	}
	c.out.forget(&st.sender)
	st.Handler.HandleRemoved()
	c.endIfDrainedLocked()
}
