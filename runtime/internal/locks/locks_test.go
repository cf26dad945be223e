package locks

import (
	"sync"
	"testing"
)

// TestMutex_Order takes two or three mutexes in each order that matters. Without the tag nothing is checked.
func TestMutex_Order(t *testing.T) {
	if !Checked {
		t.Skip("this build does not check the order; use -tags lockorder")
	}
	var rpc, otherRPC Mutex[RPC]
	var conn Mutex[Connection]
	var part, whole, third Mutex[Account]
	for _, test := range []struct {
		name   string
		locks  []sync.Locker
		panics bool
	}{
		{"InOrder", []sync.Locker{&rpc, &conn, &part}, false},
		{"PartThenWhole", []sync.Locker{&part, &whole}, false},
		{"ThreeAccounts", []sync.Locker{&part, &whole, &third}, true},
		{"OutOfOrder", []sync.Locker{&conn, &rpc}, true},
		{"TwoRPCs", []sync.Locker{&rpc, &otherRPC}, true},
		{"OverTwo", []sync.Locker{&rpc, &part, &conn}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			taken := 0
			defer func() {
				if reason := recover(); (reason != nil) != test.panics {
					t.Errorf("%v", reason)
				}
				for _, l := range test.locks[:taken] {
					l.Unlock()
				}
				if _, holds := holdsForTest(); len(holds) > 0 {
					t.Errorf("the goroutine holds %v", holds)
				}
			}()
			for _, l := range test.locks {
				l.Lock()
				taken++
			}
		})
	}
}

// TestMutex_Unlocks has a mutex unlocked by another goroutine, which is refused, and used with a condition variable.
func TestMutex_Unlocks(t *testing.T) {
	var m Mutex[RPC]
	if Checked {
		m.Lock()
		refused := make(chan any)
		go func() {
			defer func() { refused <- recover() }()
			m.Unlock()
		}()
		if <-refused == nil {
			t.Error("a goroutine has unlocked another's mutex")
		}
		m.Unlock()
	}
	if !m.TryLock() || m.TryLock() {
		t.Error("TryLock is not that of a mutex")
	}
	m.Unlock()

	cond, ready := sync.NewCond(&m), false
	go func() {
		m.Lock()
		defer m.Unlock()
		ready = true
		cond.Signal()
	}()
	m.Lock()
	for !ready {
		cond.Wait()
	}
	m.Unlock()
}
