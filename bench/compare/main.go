// Command compare measures gRPC servers side by side: each scenario is put on each server in turn, several rounds, and
// what is reported are medians and their ratios. It is run from the directory bench and needs h2load; grpc-python takes
// part if a python3 with grpcio is found.
//
//	go run ./compare [-rounds 5] [-only REGEXP] [-servers gogreeter,grpc-go] [-markdown FILE] [-plots DIRECTORY]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/bench/internal/process"
)

var (
	rounds   = flag.Int("rounds", 5, "how often each server is measured in each scenario")
	only     = flag.String("only", "", "the scenarios whose names match this `regexp`")
	servers  = flag.String("servers", "", "the servers to compare, separated by commas; empty for all")
	markdown = flag.String("markdown", "", "write the tables to this `file` too")
	plots    = flag.String("plots", "", "write plots, as SVG, to this `directory`")
	maxRatio = flag.Float64("max-ratio", 0, "fail if gogreeter's CPU time in a scenario with a bar is more than this many times the bar")
)

// contender is a server that takes part.
type contender struct {
	name      string
	directory string   // of its main package; empty for a script
	command   []string // program and flags, once built
	flags     []string
	golang    bool // can tell its allocations
}

var contenders = []contender{
	{name: "gogreeter", directory: "gogreeter_server", golang: true},
	{name: "gogreeter inline", directory: "gogreeter_server", flags: []string{"-inline"}, golang: true},
	{name: "grpc-go", directory: "grpc_go_server", golang: true},
	{name: "connect-go", directory: "connect_go_server", golang: true},
	{name: "grpc-python"},
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run() error {
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	work, err := os.MkdirTemp("", "gogreeter-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	taking, err := build(work)
	if err != nil {
		return err
	}
	r := &results{contenders: taking}
	for _, s := range scenarios {
		if pattern.MatchString(s.name) {
			r.scenarios = append(r.scenarios, s)
		}
	}
	for round := range *rounds {
		for i, s := range r.scenarios {
			for _, c := range taking {
				if s.skips(c.name) {
					continue
				}
				fmt.Fprintf(os.Stderr, "round %d of %d, scenario %d of %d (%s), %s\n", round+1, *rounds, i+1, len(r.scenarios), s.name, c.name)
				one, err := measure(work, c, s)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, c.name, err)
				}
				r.add(s, c, one)
			}
		}
	}
	return r.report()
}

// build compiles the servers, and finds a Python for the one that is a script.
func build(work string) ([]contender, error) {
	var taking []contender
	wanted := strings.Split(*servers, ",")
	for _, c := range contenders {
		if *servers != "" && !slices.Contains(wanted, c.name) {
			continue
		}
		if c.directory == "" {
			python := findPython()
			if python == "" {
				fmt.Fprintln(os.Stderr, "no python3 with grpcio: grpc-python does not take part")
				continue
			}
			c.command = []string{python, "python_server/server.py"}
			taking = append(taking, c)
			continue
		}
		program := filepath.Join(work, c.directory)
		if _, err := os.Stat(program); err != nil {
			if err := process.Build(c.directory, program); err != nil {
				return nil, err
			}
		}
		c.command = append([]string{program}, c.flags...)
		taking = append(taking, c)
	}
	return taking, nil
}

func findPython() string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	return ""
}
