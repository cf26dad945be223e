package runtime

import (
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// incoming is the request under way, as the reader cuts it out of content. The reader owns it, except last.
type incoming struct {
	wire.Cutter
	state    requestState
	asked    bool                         // last is the claim for its rest
	reserved uint32                       // octets that requestMemory counts for it
	claim    atomic.Pointer[requestClaim] // the last claim; nil: there has been none. Stored by the reader.
}

// currentClaim returns the claim for the rest of the request under way; nil if the rest has not been asked for.
func (in *incoming) currentClaim() *requestClaim {
	if in.asked {
		return in.claim.Load()
	}
	return nil
}

// dueAfter is how long a request waits in line if no handler has begun. After that it may come although there is no
// room.
const dueAfter = time.Second

// requestClaim is the claim of a large request: one that does not fit into the stream's flow-control window, so that the
// server has to ask for its rest. Each request has its own claim: a late grant opens the window for no other request.
type requestClaim struct {
	// Immutable.
	owner   awaiting
	session *connState
	stream  *http2.Stream
	size    int       // octets
	asked   time.Time // when it got in line

	claim   budget.Claim
	missing atomic.Int64 // octets that have not come; stored by the reader
	open    atomic.Bool  // there is room: the window has been opened
}

// awaiting is the RPC that a large request belongs to.
type awaiting interface {
	// isEnding reports whether the request is of no use any more.
	isEnding() bool

	// urgency says what waits for the request. waited: it has been in line for dueAfter.
	urgency(waited bool) budget.Urgency
}

// isLarge reports whether a request of n octets has to be asked for.
func isLarge(n int) bool { return wire.PrefixLen+n > streamWindow }

// newRequestClaim returns a claim of so many octets, for a request of size octets of which some are missing. It is complete
// before ask: the end of the RPC may drop it earlier.
func newRequestClaim(of awaiting, s *connState, stream *http2.Stream, size, missing int, octets int64) *requestClaim {
	v := &requestClaim{owner: of, session: s, stream: stream, size: size, asked: time.Now()}
	v.claim = budget.Claim{Line: budget.ForRequests, Size: octets, Granted: v.granted, Urgent: v.urgent}
	v.missing.Store(int64(missing))
	return v
}

// ask gets in line. The reader calls it.
func (v *requestClaim) ask() {
	granted := v.session.account.Ask(&v.claim)
	switch {
	case v.owner.isEnding(): // the end of the RPC may not have seen this claim
		v.drop()
	case !granted:
		v.session.watchForStall()
		time.AfterFunc(dueAfter, v.urge)
	case v.expect():
		v.session.h2.FlushAfterBatch()
	}
}

// urge makes the account check its claims again.
func (v *requestClaim) urge() {
	v.session.shared.survive("a timer for a request", v.session.account.Urge)
}

// expect opens the stream's window for the rest of the request.
func (v *requestClaim) expect() (flush bool) {
	v.open.Store(true)
	missing := int(v.missing.Load())
	return missing > 0 && v.stream.Expect(wire.PrefixLen+v.size-missing, missing)
}

// granted is called when there is room for the request.
func (v *requestClaim) granted() {
	if v.owner.isEnding() {
		v.drop()
	} else if v.expect() {
		v.session.h2.Flush()
	}
}

// urgent says whether the request may come although there is no room.
func (v *requestClaim) urgent() budget.Urgency {
	return v.owner.urgency(time.Since(v.asked) >= dueAfter)
}

// drop gives up the claim, or what it was granted. v may be nil.
func (v *requestClaim) drop() {
	if v != nil {
		v.session.account.Drop(&v.claim)
	}
}
