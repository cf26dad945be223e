package http2

import (
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// Stream is a request and its response. The application makes it, as part of a struct of its own, and sets Handler;
// its methods may be called by any goroutine once [StreamHandler.HandleRequest] has been called.
type Stream struct {
	Handler StreamHandler

	// Immutable after the stream was opened.
	conn     *Conn
	declared int64 // content-length, or -1

	state streamState
	drain bool // see Outgoing.Drain. Guarded by conn.mu; only the reader writes it, and so may read it without.

	// Owned by the reader.
	received int64

	// Guarded by conn.mu.
	in inflow
	sender
}

// Outgoing is part of a response, in the order in which it goes out. The slices are field blocks as made by
// [fields.AppendField], and content.
type Outgoing struct {
	Headers  []byte // a HEADERS frame
	Data     []byte // DATA frames
	Trailers []byte // a HEADERS frame that ends the stream
	Finish   bool   // the stream ends here, also without trailers
	Discard  bool   // data of earlier calls that has not gone out yet is dropped
	Drain    bool   // the request is read to its end, although the response has ended before; only the reader may ask for that

	// Paid is how many octets of Conn's account the caller has counted for Data. They go with it if it is kept.
	Paid int64

	// Soon has it all leave without a Flush, a little later: together with what other goroutines that can run write.
	Soon bool
}

// ID returns the stream's identifier; 0 until it is open.
func (st *Stream) ID() uint32 { return st.id }

// Write appends frames to the connection's out-buffer; [Conn.Flush] lets them go. Data for which there is no window
// waits on the stream. If kept is true, o.Data has become the stream's, which gives it to buffer.Put in the end, and must
// not be used again; all other slices can be reused at once. The error is a StreamError if the stream cannot be written to
// any more.
//
// If the response ends before the request has, RST_STREAM with NO_ERROR follows it (RFC 9113, Section 8.1), unless o.Drain.
func (st *Stream) Write(o Outgoing) (kept bool, err error) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.state.canSend() || st.sender.finish || c.life.stage >= ending {
		return false, StreamError{st.id, ErrCodeStreamClosed, "written to after its end"}
	}
	c.out.ready()
	c.out.answered = true
	if o.Drain { // others must not write it, since the reader looks
		st.drain = true
	}
	if o.Discard {
		c.out.discard(&st.sender)
	}
	if o.Headers != nil {
		c.out.appendHeaders(&st.sender, o.Headers, o.Finish && o.Data == nil && o.Trailers == nil)
		if o.Finish && o.Data == nil && o.Trailers == nil {
			st.closeLocalLocked()
			return false, nil
		}
	}
	if len(o.Data) > 0 {
		kept = c.out.send(&st.sender, o.Data, o.Paid)
	}
	if o.Soon {
		c.promiseLocked()
	}
	if (o.Trailers != nil || o.Finish) && c.out.finish(&st.sender, o.Trailers) {
		st.endLocked(o.Trailers)
	}
	return kept, nil
}

// Full reports whether the stream's backlog is more than [Config.MaxPendingBytes], as it was after the caller's last
// Write at the latest.
func (st *Stream) Full() bool { return st.full.Load() }

// WaitRoom flushes, and waits while the stream is full. room is false if the stream is over. inTime is false if it has waited
// for as long as patience; 0 is for ever.
func (st *Stream) WaitRoom(patience time.Duration) (room, inTime bool) {
	c := st.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
	if st.room == nil {
		st.room = sync.NewCond(&c.mu)
	}
	late := false
	if patience > 0 {
		timer := time.AfterFunc(patience, func() {
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

// MaxFieldSection returns the peer's SETTINGS_MAX_HEADER_LIST_SIZE, counted as RFC 9113, Section 6.5.2 says; a field section
// that is larger costs the stream, or with some peers the connection. It is math.MaxInt32 if the peer has set no limit.
func (st *Stream) MaxFieldSection() int { return int(st.conn.peerMaxList.Load()) }

// Consumed gives n octets of content back to the peer's flow-control window. The caller flushes if it reports true.
func (st *Stream) Consumed(n int) (flush bool) {
	return st.announce(func(in *inflow) uint32 { return in.consume(n) })
}

// Expect makes sure that n more octets of content can come, beyond the stream's window if need be: the rest of a
// message that the application has decided to take. If some is not 0, that is how much of the message has come, and the
// stream's window is then open for what follows the message. The caller flushes if it reports true.
func (st *Stream) Expect(some, n int) (flush bool) {
	return st.announce(func(in *inflow) uint32 { return in.expect(some, int32(min(n, maxWindow))) })
}

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

// endLocked ends the response.
func (st *Stream) endLocked(trailers []byte) {
	st.conn.out.appendEnd(&st.sender, trailers)
	st.closeLocalLocked()
}

// closeLocalLocked notes that END_STREAM was appended. A server's response ends the stream: if the request has not
// ended, the rest of it is declined.
func (st *Stream) closeLocalLocked() {
	c := st.conn
	if st.state.set(localClosed)&remoteClosed == 0 {
		if st.drain {
			return // the end of the request removes it
		}
		c.out.buf = appendRSTStream(c.out.buf, st.id, ErrCodeNo)
		c.removeLocked(st, true)
		return
	}
	c.removeLocked(st, false)
}

// endDrained forgets a stream whose request has ended after its response. The reader calls it.
func (c *Conn) endDrained(st *Stream) {
	if st.drain && st.state.isClosed() {
		c.mu.Lock()
		c.removeLocked(st, false)
		c.in.flushDue = c.in.flushDue || c.life.stage == ending
		c.mu.Unlock()
	}
}

// removeLocked forgets a stream. byUs says that we reset it, so that frames may still be under way.
func (c *Conn) removeLocked(st *Stream, byUs bool) {
	if !c.streams.remove(st, byUs) {
		return
	}
	if c.account.End(budget.Streams) == 0 && c.config.MaxIdle > 0 {
		c.streams.idleSince = time.Now()
	}
	if st.state.bits.Load()&closed != closed {
		st.state.set(reset)
	}
	c.out.forget(&st.sender)
	st.Handler.HandleRemoved()
	c.endIfDrainedLocked()
}
