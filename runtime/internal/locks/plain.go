//go:build !lockorder

package locks

import "sync"

// mutex is what a Mutex is without the check: a sync.Mutex.
type mutex[P place] struct{ sync.Mutex }

// Checked says whether this build checks the order.
const Checked = false
