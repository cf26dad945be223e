package http2

import (
	"slices"
	"time"
)

// streams is the table of a connection's streams. Guarded by Conn.mu.
type streams struct {
	open      map[uint32]*Stream
	opening   bool   // a stream counts in highest and is not in open yet
	highest   uint32 // the highest stream that was opened; for a server's, only the reader writes it, and reads it without mu
	limit     uint32 // SETTINGS_MAX_CONCURRENT_STREAMS of the peer: how many we may open
	recent    recentStreams
	idleSince time.Time // when the last stream ended; for Config.MaxIdle alone
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
