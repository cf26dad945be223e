//go:build !lockorder

package locks

import "sync"

// Mutex is a mutex with a place in the order. The zero value is unlocked.
type Mutex[P place] = sync.Mutex

// Checked says whether this build checks the order.
const Checked = false

// The compiler inlines methods of sync.Mutex where it knows their code: in packages that import sync, or one that calls them.
var _ = func(m *sync.Mutex) { m.Lock(); defer m.Unlock() }
