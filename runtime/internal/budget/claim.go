package budget

import "slices"

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

// InLine reports whether a claim waits. It may be nil, and does not then.
func (b *Budget) InLine(c *Claim) bool {
	if c == nil {
		return false
	}
	b.lock()
	defer b.mu.Unlock()
	return c.inLine
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
