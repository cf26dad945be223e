// Package report lets a server under measurement say how much it has allocated: it answers each line on its standard
// input with the number of allocations since its start.
package report

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

// Allocations answers in the background until the standard input ends.
func Allocations() {
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			fmt.Println(stats.Mallocs)
		}
	}()
}
