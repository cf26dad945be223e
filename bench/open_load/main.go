// Command open_load makes the load that it reads from standard input, as JSON, and writes the result to standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/gogreeter/gogreeter/bench/internal/openload"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "open_load:", err)
		os.Exit(1)
	}
}

func run() error {
	var load openload.Load
	if err := json.NewDecoder(os.Stdin).Decode(&load); err != nil {
		return err
	}
	debug.SetGCPercent(-1) // it would stop the thread that paces; what it takes is some bytes for each RPC
	result, err := load.Run()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
