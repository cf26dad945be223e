//go:build lockorder

package locks

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestMutex_Order has a program take mutexes in each order that matters. A program that breaks the rule ends with both names,
// although it recovers from panics.
func TestMutex_Order(t *testing.T) {
	var rpc, otherRPC Mutex[RPC]
	var conn Mutex[Connection]
	var part, whole, third Mutex[Account]
	var alone, otherAlone Mutex[Alone]
	take := func(all ...sync.Locker) func() {
		return func() {
			for _, each := range all {
				each.Lock()
			}
			for _, each := range all { // in any order
				each.Unlock()
			}
		}
	}
	for _, tt := range []struct {
		name string
		run  func()
		says string // empty: it is in order
	}{
		{"InOrder", take(&rpc, &conn, &part, &alone), ""},
		{"OneAfterAnother", func() { take(&conn)(); take(&rpc)() }, ""},
		{"PartThenWhole", take(&part, &whole), ""},
		{"TryLock", func() {
			conn.Lock()
			if !rpc.TryLock() || rpc.TryLock() {
				panic("TryLock has failed on a mutex that is free, or not on one that is locked")
			}
			take(&part)()
			rpc.Unlock()
			conn.Unlock()
		}, ""},
		{"OutOfOrder", take(&conn, &rpc), "that holds locks.Connection takes locks.RPC"},
		{"OutOfOrder_OverOne", take(&rpc, &part, &conn), "that holds locks.Account takes locks.Connection"},
		{"OutOfOrder_AfterTryLock", func() { conn.TryLock(); rpc.Lock() }, "that holds locks.Connection takes locks.RPC"},
		{"SamePlace", take(&rpc, &otherRPC), "that holds locks.RPC takes locks.RPC"},
		{"SamePlace_Innermost", take(&alone, &otherAlone), "that holds locks.Alone takes locks.Alone"},
		{"ThreeAccounts", take(&part, &whole, &third), "that holds locks.Account takes locks.Account"},
		{"Twice", take(&rpc, &rpc), "that holds locks.RPC takes locks.RPC"},
		{"Twice_Account", take(&part, &part), "that holds locks.Account takes locks.Account"},
		{"UnlockedByAnother", func() {
			rpc.Lock()
			done := make(chan struct{})
			go func() { defer close(done); rpc.Unlock() }()
			<-done
		}, "that does not hold locks.RPC unlocks it"},
		{"NotLocked", rpc.Unlock, "that does not hold locks.RPC unlocks it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if os.Getenv("GOGREETER_LOCKS") == "take" {
				defer func() {
					if reason := recover(); reason != nil {
						t.Error(reason)
					}
				}()
				tt.run()
				held.Range(func(g, all any) bool { t.Errorf("goroutine %v still holds %v", g, all); return true })
				return
			}
			program := exec.Command(os.Args[0], "-test.run=^TestMutex_Order$/^"+tt.name+"$")
			program.Env = append(os.Environ(), "GOGREETER_LOCKS=take")
			output, _ := program.CombinedOutput()
			code, want := program.ProcessState.ExitCode(), 0
			if tt.says != "" {
				want = 2 // 1 is that of a test that has failed
			}
			if code != want || !strings.Contains(string(output), tt.says) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", code, want, tt.says, output)
			}
		})
	}
}

// TestMutex_Cond has a goroutine wait for another, which takes the mutex meanwhile.
func TestMutex_Cond(t *testing.T) {
	var mu Mutex[RPC]
	cond, ready := sync.NewCond(&mu), false
	mu.Lock()
	go func() {
		mu.Lock()
		defer mu.Unlock()
		ready = true
		cond.Signal()
	}()
	for !ready {
		cond.Wait()
	}
	if mu.TryLock() {
		t.Error("Wait has returned without the mutex")
	}
	mu.Unlock()
}
