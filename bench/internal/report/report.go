// Package report lets a server under measurement answer questions about itself: one line on its standard input, one on
// its standard output.
package report

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
)

// Questions. The answer to Allocations is their number since the start of the server; to anything else it is "done", or
// the error.
const (
	Allocations = "allocations"
	Collect     = "collect"  // collect garbage, and give the memory back to the system
	Profile     = "profile " // and a file: begin a CPU profile
	EndProfile  = "end profile"
)

// Answer answers in the background until the standard input ends.
func Answer() {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			fmt.Println(answer(lines.Text()))
		}
	}()
}

func answer(question string) any {
	file, isProfile := strings.CutPrefix(question, Profile)
	switch {
	case question == Allocations:
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.Mallocs
	case question == Collect:
		// What is in a sync.Pool takes two collections, and a stack is halved by each.
		for range 5 {
			runtime.GC()
		}
		debug.FreeOSMemory()
	case isProfile:
		if err := profile(file); err != nil {
			return err
		}
	case question == EndProfile:
		pprof.StopCPUProfile()
	default:
		return fmt.Errorf("what is %q?", question)
	}
	return "done"
}

func profile(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(f)
}
