// Command mutants checks the tests: it changes the code in one place at a time, so that it is wrong, and runs tests that
// have to notice. A mutant that survives has found something that no test looks at.
//
//	go run ./internal/mutants                  all of them
//	go run ./internal/mutants -part 3/8        every eighth, from the third on
//	go run ./internal/mutants -only 'window'   those whose line in the table matches
//
// The tree is not changed: the mutants are compiled by go test -overlay. Mutants that are wrong themselves fail the
// command too: those that do not compile, and those whose text is not in its file, or is there twice.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"
)

var (
	only    = flag.String("only", "", "run the mutants whose line in the table matches this `pattern`")
	part    = flag.String("part", "1/1", "run a part of the mutants: `i/n` is every n-th, from the i-th on")
	jobs    = flag.Int("jobs", runtime.GOMAXPROCS(0), "how many mutants run at a time")
	timeout = flag.Duration("timeout", 30*time.Second, "how long the tests of a mutant may take; longer is noticed, too")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	all, err := load()
	if err != nil {
		return err
	}
	chosen, err := choose(all, *part, *only)
	if err != nil {
		return err
	}
	fmt.Printf("%d of %d mutants, part %s\n", len(chosen), len(all), *part)
	directory, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	if err := checkUnchanged(ctx, chosen); err != nil {
		return err
	}
	counts := runAll(ctx, chosen, directory)
	fmt.Printf("%d killed, %d survived, %d broken, %d not run since no test can notice\n",
		counts[killed], counts[survived], counts[broken], counts[equivalent])
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case counts[survived]+counts[broken] > 0:
		return errors.New("mutants have survived, or are wrong themselves; see above")
	}
	return nil
}

// choose returns every n-th of the mutants whose line matches.
func choose(all []*mutant, part, pattern string) (chosen []*mutant, err error) {
	var i, n int
	if _, err := fmt.Sscanf(part, "%d/%d", &i, &n); err != nil || i < 1 || i > n {
		return nil, fmt.Errorf("-part %s: want i/n, with i from 1 to n", part)
	}
	matching, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	for at, m := range all {
		if at%n == i-1 && matching.MatchString(m.where()+" "+m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no mutant is chosen")
	}
	return chosen, nil
}

// checkUnchanged runs the tests on the code as it is: what fails there says nothing of a mutant.
func checkUnchanged(ctx context.Context, chosen []*mutant) error {
	tests := make(map[string][]string) // by package
	for _, m := range chosen {
		if m.equivalent == "" {
			tests[m.in] = append(tests[m.in], m.testNames()...)
		}
	}
	for _, in := range slices.Sorted(maps.Keys(tests)) {
		names := slices.Compact(slices.Sorted(slices.Values(tests[in])))
		started := time.Now()
		if output, err := goTest(ctx, in, names, "", 10*(*timeout)); err != nil {
			return fmt.Errorf("the tests of %s fail without a mutant: %w\n%s", in, err, output)
		}
		fmt.Printf("%s: %d tests pass on the code as it is (%.1f s)\n", in, len(names), time.Since(started).Seconds())
	}
	return nil
}

// runAll runs mutants, some at a time, and writes the table.
func runAll(ctx context.Context, chosen []*mutant, directory string) map[fate]int {
	counts := make(map[fate]int)
	var mu sync.Mutex // guards counts, and the output
	var wait sync.WaitGroup
	next := make(chan int)
	for range *jobs {
		wait.Go(func() {
			for i := range next {
				m := chosen[i]
				started := time.Now()
				result := m.run(ctx, filepath.Join(directory, fmt.Sprint(i)), *timeout)
				mu.Lock()
				counts[result.fate]++
				fmt.Printf("%-10s %5.1fs  %s: %s: %s\n", result.fate, time.Since(started).Seconds(), m.where(), m.name, result.text)
				mu.Unlock()
			}
		})
	}
	for i := range chosen {
		if ctx.Err() == nil {
			next <- i
		}
	}
	close(next)
	wait.Wait()
	return counts
}
