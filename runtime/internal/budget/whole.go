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
