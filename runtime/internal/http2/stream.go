package http2

import (
	"slices"
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// Stream is a request and its response. The user makes it, as part of a struct of its own, and sets Handler. Its methods may
// be called by any goroutine once it is open.
type Stream struct {
	Handler StreamHandler

	conn *Conn // immutable after the stream was opened

	state     streamState
	readToEnd bool // see ReadToEnd. Guarded by conn.mu; once the stream is open only the reader writes it, and reads it without.

	// Owned by the reader.
	headReceived bool  // the head is there, other than of an interim response
	missing      int64 // octets of content that are to come, as content-length says; -1: it says nothing
	round        round // of the estimate

	// Guarded by conn.mu.
	in inflow
	sender
}

// ID returns the stream's identifier; 0 until it is open.
func (st *Stream) ID() uint32 { return st.id }

// ReadToEnd has the peer's half of the stream read to its end although our half has ended. Otherwise RST_STREAM with NO_ERROR
// declines the rest of it (RFC 9113, Section 8.1). Only the reader may call it.
func (st *Stream) ReadToEnd() {
	st.conn.mu.Lock()
	st.readToEnd = true
	st.conn.mu.Unlock()
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
			defer c.life.recoverPanic()
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
	return int(max(st.in.window, 0))
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
	return st.announce(func(in *inflow) uint32 {
		if held > 0 {
			st.conn.windows.allowed += int64(n)
		}
		return in.expect(held, int32(min(n, maxWindow)))
	})
}

// announce appends the WINDOW_UPDATE for a change of the stream's window, if it is worth one.
func (st *Stream) announce(change func(*inflow) uint32) (flush bool) {
	c, open := st.conn, st.state.canReceive()
	if !open && c.windows.beyond.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := st.in
	increment := change(&st.in)
	flush = c.changedLocked(before, st.in)
	if increment == 0 || !open || c.life.stage >= ending {
		return flush
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
	st.conn, st.id, st.in = c, id, newInflow(c.windows.initial)
	c.streams.add(st)
	c.account.Begin(budget.Streams)
}

// removeLocked forgets a stream. byUs says that we reset it, so that frames may still be under way.
func (c *Conn) removeLocked(st *Stream, byUs bool) {
	if !c.streams.remove(st, byUs) {
		return
	}
	if c.account.End(budget.Streams) == 0 && c.config.MaxIdle > 0 {
		c.streams.idleSince = clock.Now()
	}
	// What has ended as it should is closed. All else has been reset, or the connection is over.
	if st.state.bits.Load()&closed != closed {
		st.state.set(reset)
	}
	c.out.forget(&st.sender)
	before := st.in
	st.in.held, st.in.expected = 0, 0
	if c.changedLocked(before, st.in) {
		c.scheduleFlushLocked()
	}
	st.Handler.HandleRemoved()
	c.endIfNoStreamsLocked()
}

// streams is the table of a connection's streams. Guarded by Conn.mu.
type streams struct {
	open      map[uint32]*Stream
	opening   bool   // a stream counts in highest and is not in open yet
	highest   uint32 // the highest stream that was opened; for a server's, only the reader writes it, and reads it without mu
	limit     uint32 // SETTINGS_MAX_CONCURRENT_STREAMS of the peer: how many we may open
	recent    recentStreams
	idleSince clock.Instant // when the last stream ended; for Config.MaxIdle alone
}

// begin notes that a stream is opened. What follows is add, or opening is set to false.
func (t *streams) begin(id uint32) { t.highest, t.opening = id, true }

// add adds a stream that has been opened.
func (t *streams) add(st *Stream) { t.open[st.id], t.opening = st, false }

// remove forgets a stream, and reports whether it was there. byUs says that we reset it, so that frames may still be under
// way.
func (t *streams) remove(st *Stream, byUs bool) (was bool) {
	if _, was = t.open[st.id]; was {
		delete(t.open, st.id)
		t.recent.add(st.id, byUs)
	}
	return was
}

// none reports whether no stream is open or about to be.
func (t *streams) none() bool { return len(t.open) == 0 && !t.opening }

// isIdle reports whether a stream is idle (RFC 9113, Section 5.1): it has not been opened, nor has one above it. Streams with
// even identifiers are those of server push, and there are none.
func (t *streams) isIdle(id uint32) bool { return id > t.highest || id%2 == 0 }

// recentStreams remembers the streams that closed last, to tell a frame that was under way when we reset its stream
// from one that is an offence. Streams that end as they should do not push out those that we reset. The zero value is
// empty.
type recentStreams struct {
	reset                [48]uint32 // by us
	ended                [8]uint32
	nextReset, nextEnded uint8
}

// add adds a stream that has closed, in place of the oldest of its kind.
func (r *recentStreams) add(id uint32, byUs bool) {
	if byUs {
		r.reset[r.nextReset] = id
		r.nextReset = (r.nextReset + 1) % uint8(len(r.reset))
		return
	}
	r.ended[r.nextEnded] = id
	r.nextEnded = (r.nextEnded + 1) % uint8(len(r.ended))
}

// find reports whether the stream is known, and then whether we have reset it.
func (r *recentStreams) find(id uint32) (byUs, known bool) {
	if slices.Contains(r.reset[:], id) {
		return true, true
	}
	return false, slices.Contains(r.ended[:], id)
}
