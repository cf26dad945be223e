// Command compare measures gRPC servers side by side: each scenario is put on each server in turn, several rounds, and
// what is reported are medians and their ratios. It is run from the directory bench. A peer that is missing does not
// take part, and says so; without h2load all load comes from our own frameload.
//
//	go run ./compare [-rounds 5] [-only REGEXP] [-servers gogreeter,grpc-go] [-markdown FILE] [-plots DIRECTORY]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

var (
	rounds   = flag.Int("rounds", 5, "how often each server is measured in each scenario")
	only     = flag.String("only", "", "the scenarios whose names match this `regexp`")
	servers  = flag.String("servers", "", "the servers to compare, separated by commas; empty for all")
	list     = flag.Bool("list", false, "print the scenarios, and who takes part, and measure nothing")
	markdown = flag.String("markdown", "", "write the tables to this `file` too, between its markers if it has them")
	plots    = flag.String("plots", "", "write plots, as SVG, to this `directory`")
	save     = flag.String("save", "", "write all samples to this `file`, as JSON, after each round")
	render   = flag.String("render", "", "measure nothing; make the tables and plots of the samples in this `file`")
	profiles = flag.String("profiles", "", "write CPU profiles of the Go servers to this `directory`")
	without  = flag.Bool("ablate", false, "measure what each trick of the runtime gains, instead of the scenarios; -only chooses tricks")
	corpus   = flag.String("corpus", os.Getenv("GOGREETER_CORPUS"), "`file` with a CodeGeneratorRequest, to measure the generator too")
	maxRatio = flag.Float64("max-ratio", 0, "fail if gogreeter is off a bar by more than this many times, or makes more allocations than its bar")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run() error {
	r := &results{Samples: make(map[string][]sample), Profiled: *profiles != ""}
	if *render != "" {
		if err := r.load(*render); err != nil {
			return err
		}
		return r.report()
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *without {
		return measureTricks(r, pattern)
	}
	chosen := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !pattern.MatchString(s.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("-only: no scenario matches %q; -list prints them", *only)
	}
	if *list {
		for _, s := range chosen {
			fmt.Printf("%-50s %v\n", s.name, s.participants())
		}
		return nil
	}
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	r.describe(b.contenders)
	b.measureAll(chosen, r)
	r.Ended, r.LoadAfter = time.Now(), loadAverage()
	r.save()
	return r.report()
}

// measureAll measures every scenario in each round. What fails is kept, and does not keep the rest from being measured.
func (b *bench) measureAll(chosen []scenario, r *results) {
	for round := range *rounds {
		for i, s := range chosen {
			if s.once && round > 0 {
				continue
			}
			for _, c := range b.contenders {
				if !s.hasPart(c.name) {
					continue
				}
				start := time.Now()
				fmt.Fprintf(os.Stderr, "round %d of %d, scenario %d of %d (%s), %s ", round+1, *rounds, i+1, len(chosen), s.name, c.name)
				one, err := s.measure(b, c, s)
				if errors.Is(err, errLeftOut) {
					fmt.Fprintln(os.Stderr, err)
				} else if err != nil {
					fmt.Fprintln(os.Stderr, "FAILED:", err)
					r.fail(s, c.name, err)
				} else {
					fmt.Fprintf(os.Stderr, "%s, %.1f s\n", s.group.format(one), time.Since(start).Seconds())
					r.add(s, c.name, one)
				}
			}
		}
		r.save()
	}
}
