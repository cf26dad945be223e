// Package budget counts the memory that a peer makes us hold, and decides who may have more of it.
//
// A [Budget] is an account in octets. What it counts, it counts by capacity: a slice by the memory behind it. Whoever
// holds something adds it and subtracts it again; whoever is about to make something large asks first, and waits in line
// if there is no room. Nothing here knows what the octets are for, but for the side that they are on.
//
// # Two sides
//
// Requests come from the peer and responses go to it. They share one limit, by rules that keep each side from waiting for
// the other for ever:
//
//   - Responses have three quarters of the limit at most. Up to a sixteenth of it they may become more whatever requests
//     there are. So a connection full of requests, whose handlers wait to answer, is emptied by answers.
//   - What the peer may send without being asked, by the flow-control windows that it has, is not in our hands. But more of
//     a large request is asked for only while no more than an eighth of the limit has been granted and not been used, or
//     nothing has; so many halves of requests cannot keep each other from becoming whole.
//   - Only if responses have more than their sixteenth, and all together is more than the limit, is the peer asked for
//     nothing at all ([Budget.Pressed]): it has to take some of its responses first.
//   - Of a whole that is full, whatever fills it, a peer whose part holds more than its sixteenth is asked for nothing, but for
//     what has been granted. Otherwise the halves of requests that fill it could never become whole.
//
// # Locks
//
// The counters are atomic. A Budget's mutex is innermost, but for that of its whole: nothing is called with it held. Claims
// are granted on a goroutine of the budget's own, so that Sub may be called with any lock held.
//
// Whoever gives octets back subtracts them before he looks whether anybody waits; whoever begins to wait says so before
// he looks for the last time. So one of them sees the other.
package budget

import (
	"math"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// Side is what octets are held for.
type Side uint8

const (
	Requests  Side = iota // what the peer has sent
	Responses             // what is to be sent to the peer
	sides
)

// Line is where a claim waits. Each is first in, first out.
type Line uint8

const (
	ForWindow    Line = iota // for anything to come; ahead of ForRequests, whose octets may need it
	ForRequests              // for more of a request to come
	ForResponses             // for a response to be made
	ForBeginning             // for an RPC to begin; behind all in ForResponses
	lines
)

// side is what a line is for.
func (l Line) side() Side {
	if l == ForWindow || l == ForRequests {
		return Requests
	}
	return Responses
}

// Budget is an account. Make one with [New]. Its methods may be called by any goroutine.
type Budget struct {
	// Immutable after New.
	limit    int64            // octets of both sides
	easy     [2]int64         // up to how much both sides, and responses, hold while there is no question
	whole    *Budget          // of which this is a part; nil: none
	panicked func(reason any) // what has panicked is one of the claims' functions

	used    [sides]atomic.Int64
	things  [kinds]atomic.Int64
	freed   [sides]atomic.Uint64 // octets that have been given back; of requests, only by a part
	waiting atomic.Int32         // claims in lines; written with mu held
	crowd   atomic.Int32         // parts; written with mu held

	mu locks.Mutex[locks.Account]
	// Guarded by mu.
	lines [lines][]*Claim
	requested
	closed   bool      // nothing is granted any more
	blocked  bool      // a claim was not granted for want of room in the whole
	joined   bool      // this is one of the whole's parts
	promised int64     // of a whole: octets that Promise has promised
	granting bool      // a goroutine grants claims
	changed  bool      // and has to look once more
	parts    []*Budget // of a whole: those that wait for its room, in turn

	sched *scheduler // nil, but in tests
}

// requested is what large requests have been granted.
type requested struct {
	open   int64             // octets granted in ForRequests and not used up
	credit int64             // octets of these that may still be asked for although the whole is full
	extra  [urgencies]*Claim // granted although there was no room, and not used up; nil: none
}

// noLimit is so large that sums of it don't overflow.
const noLimit = math.MaxInt64 / 8

// New returns a budget of limit octets; a negative limit is none. whole is the budget that this one is a part of, whose
// limit holds for all its parts together; it may be nil. panicked is called, while that unwinds the stack, when a function of
// a claim's has panicked.
func New(limit int64, whole *Budget, panicked func(reason any)) *Budget {
	if limit < 0 || limit > noLimit {
		limit = noLimit
	}
	reserve := limit / 8
	return &Budget{limit: limit, easy: [2]int64{limit - reserve, limit - limit/4 - reserve}, whole: whole, panicked: panicked}
}

// Limit returns the limit in octets; one that is not there is very large.
func (b *Budget) Limit() int64 { return b.limit }

// floor is up to where responses may always become more.
func (b *Budget) floor() int64 { return b.limit / 16 }

// all is what both sides hold.
func (b *Budget) all() int64 { return b.Used(Requests) + b.used[Responses].Load() }

// Add counts n octets, whether there is room or not.
func (b *Budget) Add(side Side, n int64) {
	b.used[side].Add(n)
	if b.whole != nil {
		b.whole.Add(side, n)
	}
}

// Sub gives n octets back. It never blocks for long, whatever locks are held.
func (b *Budget) Sub(side Side, n int64) {
	if n == 0 {
		return
	}
	b.used[side].Add(-n)
	if side == Responses || b.whole != nil {
		b.freed[side].Add(uint64(n))
	}
	b.pause()
	b.Urge()
	if b.whole != nil {
		b.whole.Sub(side, n)
		b.pause()
		b.whole.grantParts()
	}
}

// Used returns the octets that are held.
func (b *Budget) Used(side Side) int64 {
	if side == Responses {
		return b.used[side].Load()
	}
	return b.used[side].Load() + Weight*(b.things[Streams].Load()+b.things[Handlers].Load())
}

// Kind is what is counted by number, since there are many, and each holds about the same: Weight octets of requests.
type Kind uint8

const (
	Streams  Kind = iota // that are open
	Handlers             // that run or will, those included whose stream has ended
	kinds
)

// Weight is what a stream, and what a handler, holds in octets: with usual metadata, and a request of a few hundred octets.
const Weight = 2 << 10

// Count returns how many there are of a kind.
func (b *Budget) Count(kind Kind) int64 { return b.things[kind].Load() }

// Begin counts one more of a kind.
func (b *Budget) Begin(kind Kind) {
	b.things[kind].Add(1)
	if b.whole != nil {
		b.whole.things[kind].Add(1)
	}
}

// End counts one fewer of a kind, and returns how many are left. It never blocks for long, whatever locks are held.
func (b *Budget) End(kind Kind) (left int64) {
	left = b.things[kind].Add(-1)
	b.Urge()
	if b.whole != nil {
		b.whole.End(kind)
		b.whole.grantParts()
	}
	return left
}

// Progress returns a number that changes whenever the peer does what a budget that is [Budget.Stuck] waits for: it takes
// responses or, if there are none, completes requests.
func (b *Budget) Progress() uint64 {
	n := b.freed[Responses].Load()
	if b.used[Responses].Load() == 0 {
		n += b.freed[Requests].Load()
	}
	return n
}

// Crowded reports whether parts of this budget wait for room in it.
func (b *Budget) Crowded() bool { return b.crowd.Load() > 0 }

// Fits reports whether there is room for a response of n octets. One that is larger than all that responses can have is
// taken for half of that, so that it need not wait for ever.
func (b *Budget) Fits(n int64) bool { return b.fits(n) && (b.whole == nil || b.whole.fits(n)) }

func (b *Budget) fits(n int64) bool {
	share := b.limit - b.limit/4
	n = min(n, share/2)
	mine := b.used[Responses].Load()
	return mine+n <= share && (b.all()+n <= b.limit || mine <= b.floor())
}

// MayBegin reports whether there is so much room that an RPC may begin.
func (b *Budget) MayBegin() bool {
	if b.whole == nil && b.all() <= b.easy[0] && b.used[Responses].Load() <= b.easy[1] {
		return true // as nearly always
	}
	return b.mayBegin() && (b.whole == nil || b.whole.mayBegin())
}

func (b *Budget) mayBegin() bool { return b.fits(b.limit / 8) }

// Pressed reports whether the peer has to take some of its responses before it is asked for anything.
func (b *Budget) Pressed() bool { return b.pressed(0) || b.whole != nil && b.withheld() }

// Full reports whether the peer has to take some of its responses before anything may come, even what has been granted.
func (b *Budget) Full() bool { return b.pressed(0) }

// withheld reports whether the whole has no room for what this part's peer may send. A part that has little goes on: if all
// waited for the whole, none of their requests would become whole, and it would stay full.
func (b *Budget) withheld() bool { return b.whole.filled(0) && b.all() > b.floor() }

// Overdrawn reports whether so much more is held than the limit that nothing new should come.
func (b *Budget) Overdrawn() bool {
	return b.pressed(-b.limit/8) || b.whole != nil && b.whole.filled(-b.whole.limit/8)
}

func (b *Budget) pressed(n int64) bool { return b.filled(n) && b.used[Responses].Load() > b.floor() }

// filled reports whether n octets more are too many, whatever they are for.
func (b *Budget) filled(n int64) bool { return b.all()+min(n, b.limit/4) > b.limit }

// room reports whether a budget, not its whole, has room for a claim.
func (b *Budget) room(line Line, size int64) bool {
	switch line {
	case ForResponses:
		return b.fits(size)
	case ForBeginning:
		return b.fits(b.limit / 4) // more than mayBegin wants: all that wait look once more, so it is not to come and go
	case ForWindow:
		return !b.pressed(0)
	}
	return !b.pressed(max(size, b.limit/8)) // some more than Pressed asks for, so that it does not come and go
}

// Stuck reports whether what the peer makes us hold keeps something from going on, its own or, where the whole has no room,
// others'. It is then for the peer to take its responses, and to complete its requests.
func (b *Budget) Stuck() bool {
	mine := b.used[Responses].Load()
	if b.whole != nil && b.whole.crowd.Load() > 0 && (mine > 0 || b.all() > b.floor() && b.whole.filled(b.whole.limit)) {
		return true
	}
	if mine <= b.floor() {
		return false
	}
	b.lock()
	defer b.mu.Unlock()
	return len(b.lines[ForResponses]) > 0 || len(b.lines[ForBeginning]) > 0 || len(b.lines[ForWindow])+len(b.lines[ForRequests]) > 0 && b.pressed(b.limit/8) || !b.fits(0)
}

// Waiting returns how many claims are in a line.
func (b *Budget) Waiting(line Line) int {
	if b.waiting.Load() == 0 {
		return 0
	}
	b.lock()
	defer b.mu.Unlock()
	return len(b.lines[line])
}

// Try counts n octets if there is room, and nobody else of that line has been waiting for it.
func (b *Budget) Try(line Line, n int64) bool {
	b.lock()
	defer b.mu.Unlock()
	return len(b.lines[line]) == 0 && b.takeLocked(line, n)
}

// takeLocked counts size octets if there is room for them.
func (b *Budget) takeLocked(line Line, size int64) bool {
	if !b.room(line, size) || line == ForRequests && b.open > 0 && b.open+size > b.limit/8 {
		return false
	}
	if w := b.whole; w != nil {
		w.lock() // so that two parts don't take the same room
		defer w.mu.Unlock()
		if !b.wholeHasRoomLocked(line, size) {
			b.blocked = true
			return false
		}
	}
	if line != ForWindow {
		b.Add(line.side(), size)
	}
	return true
}

// wholeHasRoomLocked is room for the whole. It also holds the whole's lock.
func (b *Budget) wholeHasRoomLocked(line Line, size int64) bool {
	switch {
	case line.side() == Responses:
		return b.whole.room(line, size)
	case line == ForRequests:
		return !b.whole.filled(size)
	case !b.withheld():
		return true
	}
	if b.credit <= 0 {
		return false
	}
	b.credit -= size
	return true
}
