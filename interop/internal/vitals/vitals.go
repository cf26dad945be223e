// Package vitals says what a process holds.
package vitals

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	gogreeter "github.com/gogreeter/gogreeter/runtime"
)

// Vitals are what a process holds at a moment, and the processor time that it has used.
type Vitals struct {
	Goroutines, Descriptors int
	Heap, Resident          uint64 // octets
	CPU                     time.Duration
}

// State is what a server says of itself.
type State struct {
	Vitals
	Stats gogreeter.ServerStats
}

// Take takes those of this process, after a garbage collection. Descriptors and Resident are 0 where there is no /proc.
func Take() Vitals {
	runtime.GC() // what the pools hold
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	v := Vitals{Goroutines: runtime.NumGoroutine(), Heap: memory.HeapAlloc}
	if descriptors, err := os.ReadDir("/proc/self/fd"); err == nil {
		v.Descriptors = len(descriptors)
	}
	if pages, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(pages)); len(fields) > 1 {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			v.Resident = n * uint64(os.Getpagesize())
		}
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		v.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return v
}
