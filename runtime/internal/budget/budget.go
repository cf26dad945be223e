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
	"slices"
	"sync"
	"sync/atomic"
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

	mu sync.Mutex
	// Guarded by mu.
	lines    [lines][]*Claim
	open     int64             // octets granted in ForRequests and not used up
	credit   int64             // octets of these that may still be asked for although the whole is full
	extra    [urgencies]*Claim // granted although there was no room, and not used up; nil: none
	closed   bool              // nothing is granted any more
	blocked  bool              // a claim was not granted for want of room in the whole
	joined   bool              // this is one of the whole's parts
	granting bool              // a goroutine grants claims
	changed  bool              // and has to look once more
	parts    []*Budget         // of a whole: those that wait for its room, in turn

	sched *scheduler // nil, but in tests
}

// scheduler decides in tests which goroutine goes on between two steps, so that they can go through all interleavings.
type scheduler struct {
	lock  func(*sync.Mutex) // instead of Lock
	pause func()            // between steps that others may come between
	spawn func(f func())    // instead of go
}

func (b *Budget) lock() {
	if b.sched != nil {
		b.sched.lock(&b.mu)
		return
	}
	b.mu.Lock()
}

func (b *Budget) pause() {
	if b.sched != nil {
		b.sched.pause()
	}
}

func (b *Budget) spawnGrantAll() {
	if b.sched != nil {
		b.sched.spawn(b.grantAll)
		return
	}
	go b.grantAll()
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
	if b.waiting.Load() > 0 {
		b.grant()
	}
	if b.whole != nil {
		b.whole.Sub(side, n)
		b.pause()
		if b.whole.crowd.Load() > 0 {
			b.whole.grantParts()
		}
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
	if b.waiting.Load() > 0 {
		b.grant()
	}
	if b.whole != nil {
		b.whole.End(kind)
		if b.whole.crowd.Load() > 0 {
			b.whole.grantParts()
		}
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

// Urgency says what waits behind a claim.
type Urgency uint8

const (
	CanWait  Urgency = iota // nothing: it is not granted before there is room
	Due                     // whoever made it, who keeps nobody from going on
	Pressing                // others: whoever made it has what they need. A claim that is due never stands before it.
	urgencies
)

// Claim asks for octets. Its exported fields are set before [Budget.Ask], and not changed while it waits. It may be asked for
// again once Ask or Granted has said that it was granted, and [Budget.UseUp] been called. Then no late call of Granted can
// be taken for one that concerns another request.
type Claim struct {
	Line Line
	Size int64 // octets that are counted when the claim is granted; in ForWindow they are not

	// Granted is called once the claim has been granted, unless Ask has said so. It comes a little later than the grant: the
	// claim may have been dropped meanwhile. It has no locks to fear, and should not block for long.
	Granted func()

	// Urgent says whether the claim may be granted although there is no room: others may be waiting for whoever made it. One
	// claim of each urgency is at a time, until [Budget.Drop] or [Budget.UseUp]. It is called without locks. nil: never.
	Urgent func() Urgency

	// Guarded by Budget.mu.
	inLine bool
	held   int64 // granted, and not taken
	open   int64 // in Budget.open
}

// Ask puts a claim in its line. It reports true if the claim has been granted at once.
func (b *Budget) Ask(c *Claim) (granted bool) {
	b.lock()
	defer b.mu.Unlock()
	if !b.closed && b.firstLocked(c.Line) && b.takeLocked(c.Line, c.Size) {
		b.grantedLocked(c)
		return true
	}
	b.pause()
	c.inLine = true
	b.lines[c.Line] = append(b.lines[c.Line], c)
	b.waiting.Add(1)
	b.grantLocked() // room may have come before anybody could see the claim
	return false
}

// firstLocked reports whether nobody waits whose turn comes before that of a new claim.
func (b *Budget) firstLocked(line Line) bool {
	return len(b.lines[line]) == 0 && (line != ForBeginning || len(b.lines[ForResponses]) == 0)
}

func (b *Budget) grantedLocked(c *Claim) {
	if c.Line != ForWindow {
		c.held += c.Size
	}
	if c.Line == ForRequests {
		c.open += c.Size
		b.open += c.Size
		b.credit += c.Size
	}
}

// Drop takes a claim back: it leaves its line, or what it was granted is given back. It reports whether the claim was in
// line; then it will not be granted.
func (b *Budget) Drop(c *Claim) (waited bool) {
	b.lock()
	waited = c.inLine
	if waited {
		b.leaveLocked(c)
	}
	b.useUpLocked(c)
	held := c.held
	c.held = 0
	b.grantLocked() // whoever stands behind may be content with less
	b.mu.Unlock()
	b.Sub(c.Line.side(), held)
	return waited
}

// Take makes what a claim was granted the caller's, to give back by Sub.
func (b *Budget) Take(c *Claim) (octets int64) {
	b.lock()
	defer b.mu.Unlock()
	octets, c.held = c.held, 0
	return octets
}

// Leave has a claim leave its line, in case it stands there.
func (b *Budget) Leave(c *Claim) {
	b.lock()
	defer b.mu.Unlock()
	if c.inLine {
		b.leaveLocked(c)
		b.grantLocked()
	}
}

// UseUp says that what a claim was granted has served its purpose: its request is with its handler.
func (b *Budget) UseUp(c *Claim) {
	b.lock()
	defer b.mu.Unlock()
	b.useUpLocked(c)
	b.grantLocked()
}

func (b *Budget) useUpLocked(c *Claim) {
	b.open -= c.open
	b.credit = min(b.credit, b.open)
	c.open = 0
	if i := slices.Index(b.extra[:], c); i >= 0 {
		b.extra[i] = nil
	}
}

func (b *Budget) leaveLocked(c *Claim) {
	line := b.lines[c.Line]
	i := slices.Index(line, c)
	b.lines[c.Line] = slices.Delete(line, i, i+1)
	c.inLine = false
	if b.waiting.Add(-1) == 0 {
		b.joinLocked(false)
	}
}

// Close says that the peer is gone, or about to be: nothing is granted any more, so that nothing begins because something
// else has ended. Claims have to be dropped all the same.
func (b *Budget) Close() {
	b.lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Urge has the claims looked at again: one may have become urgent.
func (b *Budget) Urge() {
	if b.waiting.Load() > 0 {
		b.grant()
	}
}

func (b *Budget) grant() {
	b.lock()
	defer b.mu.Unlock()
	b.grantLocked()
}

// grantLocked has a goroutine grant what can be granted.
func (b *Budget) grantLocked() {
	if b.closed || b.waiting.Load() == 0 {
		return
	}
	b.changed = true
	if !b.granting {
		b.granting = true
		b.spawnGrantAll()
	}
}

func (b *Budget) grantAll() {
	defer func() {
		if reason := recover(); reason != nil {
			b.panicked(reason)
			b.grantAgain()
		}
	}()
	b.lock()
	defer b.mu.Unlock()
	for b.changed && !b.closed {
		b.changed, b.blocked = false, false
		granted := b.grantableLocked()
		b.pause()
		if b.joinLocked(b.blocked) {
			b.changed = true // room may have come before the whole could see that it is waited for
		}
		if len(granted) == 0 {
			granted = b.urgentLocked()
		}
		b.callGranted(granted)
		b.changed = b.changed || len(granted) > 0
	}
	b.granting = false
}

// callGranted tells claims that they have been granted, with the lock given up meanwhile.
func (b *Budget) callGranted(granted []*Claim) {
	b.mu.Unlock()
	defer b.lock() // also if one of them panics
	for _, c := range granted {
		c.Granted()
	}
}

// grantAgain is called when granting has ended by a panic.
func (b *Budget) grantAgain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.granting = false
	b.grantLocked()
}

// grantableLocked takes the claims out of their lines for which there is room.
func (b *Budget) grantableLocked() (granted []*Claim) {
	for line := range b.lines {
		if Line(line) == ForBeginning && len(b.lines[ForResponses]) > 0 {
			continue
		}
		for len(b.lines[line]) > 0 {
			c := b.lines[line][0]
			if !b.takeLocked(c.Line, c.Size) {
				break
			}
			b.leaveLocked(c)
			b.grantedLocked(c)
			granted = append(granted, c)
		}
	}
	return granted
}

// urgentLocked takes a claim out of its line that cannot wait for room. It gives up the lock to find one.
func (b *Budget) urgentLocked() []*Claim {
	if b.extra[Due] != nil && b.extra[Pressing] != nil {
		return nil
	}
	var candidates []*Claim
	for _, line := range b.lines {
		for _, c := range line {
			if c.Urgent != nil {
				candidates = append(candidates, c)
			}
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	urgency := b.urgencies(candidates)
	if b.closed {
		return nil
	}
	for level := Pressing; level > CanWait; level-- {
		i := slices.Index(urgency, level)
		if i < 0 || b.extra[level] != nil || !candidates[i].inLine {
			continue
		}
		c := candidates[i]
		b.leaveLocked(c)
		b.Add(c.Line.side(), c.Size)
		b.grantedLocked(c)
		b.extra[level] = c
		return []*Claim{c}
	}
	return nil
}

// urgencies asks claims how urgent they are, with the lock given up meanwhile.
func (b *Budget) urgencies(claims []*Claim) (all []Urgency) {
	b.mu.Unlock()
	defer b.lock()
	for _, c := range claims {
		all = append(all, c.Urgent())
	}
	return all
}

// joinLocked notes whether this budget waits for room in its whole. It reports true if it begins to.
func (b *Budget) joinLocked(waits bool) (begins bool) {
	if b.joined == waits {
		return false
	}
	b.joined = waits
	w := b.whole
	w.lock()
	defer w.mu.Unlock()
	if waits {
		w.parts = append(w.parts, b)
		w.crowd.Add(1)
		return true
	}
	i := slices.Index(w.parts, b)
	w.parts = slices.Delete(w.parts, i, i+1)
	w.crowd.Add(-1)
	return false
}

// grantParts has the parts look for what they can grant, another of them first each time.
func (b *Budget) grantParts() {
	if b.filled(0) && !b.fits(0) {
		return // in vain
	}
	b.lock()
	parts := slices.Clone(b.parts)
	if len(parts) > 1 {
		b.parts = append(b.parts[1:], parts[0])
	}
	b.mu.Unlock()
	for _, part := range parts {
		part.grant()
	}
}
