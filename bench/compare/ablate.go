package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/process"
)

// withoutIt is the name of a server that is built without a trick.
const withoutIt = "without it"

// measureTricks measures what each trick whose name matches gains.
func measureTricks(r *results, pattern *regexp.Regexp) error {
	*servers = gogreeter
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	r.describe(b.contenders)
	if err := b.ablate(r, pattern.MatchString); err != nil {
		return err
	}
	r.Ended, r.LoadAfter = time.Now(), loadAverage()
	return r.reportTricks()
}

// ablate measures the server without each of the tricks, in turn with the server as it is.
func (b *bench) ablate(r *results, matches func(string) bool) error {
	ours := b.contenders[slices.IndexFunc(b.contenders, func(c contender) bool { return c.name == gogreeter })]
	chosen := slices.DeleteFunc(slices.Clone(tricks), func(t trick) bool { return !matches(t.name) })
	if len(chosen) == 0 {
		return errors.New("-only: no trick matches")
	}
	without := make(map[string]contender)
	for _, t := range chosen {
		c, err := b.without(ours, t)
		if err != nil {
			return fmt.Errorf("the server without the trick %q: %w", t.name, err)
		}
		without[t.name] = c
	}
	for round := range *rounds {
		for _, t := range chosen {
			s := scenarioNamed(t.scenario)
			pair := []contender{ours, without[t.name]}
			if round%2 == 1 {
				slices.Reverse(pair)
			}
			for _, c := range pair {
				one, err := s.measure(b, c, s)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, c.name, err)
				}
				fmt.Fprintf(os.Stderr, "round %d of %d, %s: %s: %s\n", round+1, *rounds, t.name, c.name, s.group.format(one))
				r.add(scenario{name: t.name}, c.name, one)
			}
		}
	}
	return nil
}

// without builds our server without a trick.
func (b *bench) without(ours contender, t trick) (contender, error) {
	changed, err := t.changed()
	if err != nil {
		return contender{}, err
	}
	replace := make(map[string]string)
	for file, content := range changed {
		path, err := filepath.Abs(file)
		if err != nil {
			return contender{}, err
		}
		replace[path] = filepath.Join(b.directory, filepath.Base(file))
		if err := os.WriteFile(replace[path], []byte(content), 0o600); err != nil {
			return contender{}, err
		}
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return contender{}, err
	}
	overlay := filepath.Join(b.directory, "overlay.json")
	if err := os.WriteFile(overlay, content, 0o600); err != nil {
		return contender{}, err
	}
	c := ours
	c.name = withoutIt
	program := filepath.Join(b.directory, strings.ReplaceAll(t.name, " ", "-"))
	c.command = []string{program}
	return c, process.Build(ours.source, program, "-overlay="+overlay)
}

// changed returns the content of the files that a trick is in, without it.
func (t trick) changed() (map[string]string, error) {
	contents := make(map[string]string)
	for _, e := range t.edits {
		content, ok := contents[e.file]
		if !ok {
			read, err := os.ReadFile(e.file)
			if err != nil {
				return nil, err
			}
			content = string(read)
		}
		if n := strings.Count(content, e.old); n != 1 {
			return nil, fmt.Errorf("%s has %d times, not once: %s", e.file, n, e.old)
		}
		contents[e.file] = strings.Replace(content, e.old, e.new, 1)
	}
	return contents, nil
}

func scenarioNamed(name string) scenario {
	return scenarios[slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })]
}

// reportTricks writes the table of what each trick gains.
func (r *results) reportTricks() error {
	var w strings.Builder
	r.writeRun(&w)
	fmt.Fprint(&w, "| trick | where | with | without | |\n|---|---|---:|---:|---:|\n")
	for _, t := range tricks {
		s := scenarioNamed(t.scenario)
		figure := func(one sample) float64 { return one.CPU + one.KiB }
		with, ok := median(r, t.name, gogreeter, figure)
		without, ok2 := median(r, t.name, withoutIt, figure)
		if !ok || !ok2 {
			continue
		}
		unit := func(value float64) string { return s.group.format(sample{CPU: value, KiB: value}) }
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %.2f × |\n", t.name, s.name, unit(with), unit(without), without/with)
	}
	fmt.Print(w.String())
	if *markdown == "" {
		return nil
	}
	return place(*markdown, "make bench-tricks", w.String())
}
