package http2

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/clock"
)

// estimate finds out whether windows are what keeps the peer from sending more: whether it fills them within a round trip. To
// measure that, a PING goes out beside DATA, and the octets are counted that come before its acknowledgement. There is one
// such PING under way at most, and none while little comes: what is counted before it says whether it is worth one. The
// estimate is the reader's, and looks at no clock but the reader's own. A connection has none, nil, before much has come.
//
// A peer can make the estimate say what it likes, by the time that it takes to acknowledge. So the estimate says only how large
// windows would be of use. How large they may be is a matter of the account: see windows.
type estimate struct {
	counted  int           // octets of DATA since first
	batched  int           // of them, those of batches that have ended
	first    clock.Instant // when the first of them came
	last     clock.Instant // when DATA came last
	pinging  bool          // a PING is under way, which was sent at first
	number   uint32        // of PINGs sent
	round    uint32        // the number of the round
	largest  int           // the most octets of one stream in the round
	need     int           // how many octets have to come before a PING is worth it
	window   int           // the smaller of the windows, when it was looked at last
	trip     time.Duration // the last round trip; 0: none was measured
	measured clock.Instant // when that was
	newRate  float64       // octets a second, then
	rate     float64       // octets a second when a window grew last; 0: none has
	grown    clock.Instant // when that was
	total    uint64        // octets of DATA in all batches
	looked   uint64        // of them, those before the last look
	lookedAt clock.Instant // when that was
}

const (
	unmeasured       = 4 << 10          // octets that have to come until there is an estimate: most connections are no uploads
	firstMeasurement = 16 << 10         // octets of DATA that are counted before the first PING
	remeasured       = time.Second      // how long a round trip is taken for what the next will be
	rateForgotten    = 10 * time.Second // how long a rate counts
	idleAfter        = 30 * time.Second // how long hardly anything has to come until windows that have grown become what they were
	growthFactor     = 4                // windows become so many times as large as what came in a round trip
	never            = math.MaxInt      // for need: nothing is measured
)

// begin begins anew, as if nothing had been measured. A PING that is under way goes on.
func (e *estimate) begin() { e.need, e.trip, e.rate = firstMeasurement, 0, 0 }

// stop ends the measuring until begin.
func (e *estimate) stop() { e.need = never }

// round is what a stream has sent in a round: while a batch was processed, or a PING under way.
type round struct{ number, octets uint32 }

// countAny counts n octets of DATA, whether of a stream or not.
func (e *estimate) countAny(n int) {
	if e != nil {
		e.counted += n
	}
}

// count counts n octets of a stream's in the round.
func (e *estimate) count(r *round, n int) {
	if e == nil {
		return
	}
	if r.number != e.round {
		*r = round{number: e.round}
	}
	r.octets += uint32(n)
	e.largest = max(e.largest, int(r.octets))
}

// endBatch is called when a batch has been processed, which began at now. It reports whether a PING is to go out.
func (e *estimate) endBatch(now clock.Instant) (ping bool) {
	if e == nil {
		return false
	}
	n := e.counted - e.batched
	if n == 0 {
		return false
	}
	gap := now.Sub(e.last)
	e.last = now
	if e.batched == 0 {
		e.first = now
	}
	e.batched = e.counted
	e.total += uint64(n)
	if e.pinging {
		return false
	}
	if e.due(n, gap, now) {
		e.counted, e.batched, e.first, e.pinging = n, n, now, true
		e.number++
		return true
	}
	e.round++
	e.largest = 0
	return false
}

// due reports whether a PING is worth it beside a batch with n octets, behind a gap in which no DATA came. A peer that waits for
// a window sends in bursts, one in each round trip. The PING has to leave with the beginning of one: beside its end, it would be
// acknowledged before the next.
func (e *estimate) due(n int, gap time.Duration, now clock.Instant) bool {
	switch {
	case e.counted < e.need:
		return false
	case !e.plausible(now):
		e.counted, e.batched = 0, 0
		return false
	}
	return e.trip == 0 || gap > e.trip/8 || e.counted-n >= 2*e.need
}

// plausible reports whether what was counted came so fast that half a window could come within a round trip, as far as that is
// known.
func (e *estimate) plausible(now clock.Instant) bool {
	if e.trip == 0 || now.Sub(e.measured) >= remeasured {
		return true
	}
	return 2*float64(e.counted)*float64(e.trip) >= float64(e.window)*float64(now.Sub(e.first))
}

// payload is what the PING under way carries. Its number tells it from those before, which a peer may acknowledge again.
func (e *estimate) payload() (data [8]byte) {
	copy(data[:], "wind")
	binary.BigEndian.PutUint32(data[4:], e.number)
	return data
}

// acknowledges reports whether data is that of the PING under way.
func (e *estimate) acknowledges(data [8]byte) bool {
	return e != nil && e.pinging && data == e.payload()
}

// end ends the measurement, when the PING is acknowledged, for windows of these sizes. It returns how large they should be: that
// of each stream, and that of the connection. What is not larger is no reason to change anything.
func (e *estimate) end(now clock.Instant, stream, conn int) (wantStream, wantConn int) {
	sample, largest := e.counted, e.largest
	e.trip, e.measured = max(now.Sub(e.first), time.Microsecond), now
	e.counted, e.batched, e.largest, e.pinging = 0, 0, 0, false
	e.round++
	if e.window = min(stream, conn); e.need != never {
		e.need = e.window
	}
	e.newRate = float64(sample) / e.trip.Seconds()
	if e.newRate < 1.25*e.rate && now.Sub(e.grown) < rateForgotten {
		// What limits the peer is something else. More under way would only wait there.
		return 0, 0
	}
	if filled(largest, stream) {
		wantStream = growthFactor * largest
	}
	if filled(sample, conn) {
		wantConn = growthFactor * sample
	}
	return wantStream, wantConn
}

// filled reports whether octets fill a window. Half of it is enough: a peer that has used all may have been given no more until
// half of it was consumed.
func filled(octets, window int) bool { return 2*octets >= window }

// grew is called when a window has grown after the last measurement. As much as before comes until the peer knows, and then the
// next one can begin.
func (e *estimate) grew(now clock.Instant) {
	e.need = int(e.newRate * e.trip.Seconds())
	e.rate, e.grown = e.newRate, now
}

// idle reports whether hardly anything has come for idleAfter. It says so once.
func (e *estimate) idle(now clock.Instant) bool {
	if e == nil || now.Sub(e.lookedAt) < idleAfter {
		return false
	}
	idle := e.total-e.looked < defaultWindow
	e.looked, e.lookedAt = e.total, now
	return idle
}
