package budget

import "slices"

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
	if b.crowd.Load() == 0 || b.filled(0) && !b.fits(0) {
		return // there is none, or it would be in vain
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

// Promise promises the peer up to n octets of the connection's window beyond what every connection has, and returns how many.
// They are what it may send although its whole is full. All that parts have promised is no more than an eighth of the whole.
// Recant takes them back.
func (b *Budget) Promise(n int64) (promised int64) {
	w := b.whole
	if w == nil {
		return n
	}
	w.lock()
	defer w.mu.Unlock()
	if w.filled(w.limit / 4) {
		return 0
	}
	promised = max(min(n, w.limit/8-w.promised), 0)
	w.promised += promised
	return promised
}

// Recant takes n octets back that Promise has promised.
func (b *Budget) Recant(n int64) {
	if w := b.whole; w != nil && n > 0 {
		w.lock()
		defer w.mu.Unlock()
		w.promised -= n
	}
}

// Open returns how many octets have been granted in ForRequests and not used up.
func (b *Budget) Open() int64 {
	b.lock()
	defer b.mu.Unlock()
	return b.open
}
