//go:build !lockorder

package locks

import (
	"os/exec"
	"regexp"
	"sync"
	"testing"
)

var _ *sync.Mutex = new(Mutex[RPC])

// TestMutex_IsInlined has a package that does not import sync call no function where nobody else holds the mutex.
func TestMutex_IsInlined(t *testing.T) {
	code, err := exec.Command("go", "build", "-gcflags=-S", "../budget").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, code)
	}
	if called := regexp.MustCompile(`CALL\s.*Mutex\)\.(Lock|Unlock)\(SB\)`).Find(code); called != nil {
		t.Errorf("not inlined: %s", called)
	}
	if !regexp.MustCompile(`CALL\s.*Mutex\)\.lockSlow\(SB\)`).Match(code) {
		t.Error("nothing locks a mutex")
	}
}
