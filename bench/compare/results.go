package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results are all samples of a run, and what is to be known of it. Exported fields are those of the file of -save.
type results struct {
	Samples map[string][]sample // by scenario and server; see key
	Rounds  int
	Failed  []string

	Machine    string
	Versions   []string          // of the tools
	Peers      map[string]string // versions of the servers
	Profiled   bool
	Began      time.Time
	Ended      time.Time
	LoadBefore string // load average
	LoadAfter  string
}

func key(scenario, contender string) string { return scenario + " | " + contender }

func (r *results) add(s scenario, contender string, one sample) {
	r.Samples[key(s.name, contender)] = append(r.Samples[key(s.name, contender)], one)
}

func (r *results) fail(s scenario, contender string, err error) {
	first, _, _ := strings.Cut(err.Error(), "\n")
	r.Failed = append(r.Failed, fmt.Sprintf("%s, %s: %s", s.name, contender, first))
}

// describe notes on which machine, and between which versions, the comparison is.
func (r *results) describe(contenders []contender) {
	r.Rounds, r.Began, r.LoadBefore = *rounds, time.Now(), loadAverage()
	r.Machine = fmt.Sprintf("%d CPUs, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	r.Versions = []string{"Go " + strings.TrimPrefix(runtime.Version(), "go")}
	if output, err := exec.Command("h2load", "--version").Output(); err == nil {
		r.Versions = append(r.Versions, strings.Replace(strings.TrimSpace(string(output)), "nghttp2/", "", 1))
	}
	r.Peers = make(map[string]string)
	for _, c := range contenders {
		if version := c.version(); version != "" {
			r.Peers[c.name] = version
		}
	}
}

// titled returns a server's name with the version of what it is built with.
func (r *results) titled(name string) string {
	if version := r.Peers[name]; version != "" {
		return name + " " + version
	}
	return name
}

// loadAverage returns the machine's load of the last 1, 5 and 15 minutes.
func loadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	fields := bytes.Fields(content)
	if err != nil || len(fields) < 3 {
		return "not known"
	}
	return string(bytes.Join(fields[:3], []byte(" ")))
}

// save writes what there is. A failure to do so is no reason to give up the measurement.
func (r *results) save() {
	if *save == "" {
		return
	}
	content, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = os.WriteFile(*save, content, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "-save:", err)
	}
}

func (r *results) load(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, r)
}

// median returns the median of a figure; ok is false if there is none.
func median[T cmp.Ordered](r *results, scenario, contender string, figure func(sample) T) (value T, ok bool) {
	var values []T
	for _, one := range r.Samples[key(scenario, contender)] {
		values = append(values, figure(one))
	}
	if len(values) == 0 {
		return value, false
	}
	slices.Sort(values)
	return values[len(values)/2], true
}

func (r *results) has(scenario, contender string) bool {
	return len(r.Samples[key(scenario, contender)]) > 0
}

// measured returns the scenarios of a group of which there is a sample.
func (r *results) measured(g group) []scenario {
	return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool {
		return s.group != g || !slices.ContainsFunc(s.with, func(contender string) bool { return r.has(s.name, contender) })
	})
}

// present returns the servers of which there is a sample in one of the scenarios.
func (r *results) present(among []scenario) []string {
	var names []string
	for _, c := range contenders {
		if slices.ContainsFunc(among, func(s scenario) bool { return r.has(s.name, c.name) }) {
			names = append(names, c.name)
		}
	}
	return names
}

// What is read of a sample.
func cpu(one sample) float64        { return one.CPU }
func rate(one sample) float64       { return one.Rate }
func kibEach(one sample) float64    { return one.KiB }
func mibEach(one sample) float64    { return one.MiB }
func p50(one sample) time.Duration  { return one.P50 }
func p99(one sample) time.Duration  { return one.P99 }
func p999(one sample) time.Duration { return one.P999 }
func lag(one sample) time.Duration  { return one.Lag }

// ratio returns how many times ours a peer's figure is.
func (r *results) ratio(scenario, peer, ours string, figure func(sample) float64) (ratio float64, ok bool) {
	own, ok1 := median(r, scenario, ours, figure)
	other, ok2 := median(r, scenario, peer, figure)
	if !ok1 || !ok2 || own <= 0 {
		return 0, false
	}
	return other / own, true
}

// report writes the tables and plots, and fails if something was not measured or a bar is missed by too much.
func (r *results) report() error {
	text := r.tables()
	fmt.Print(text)
	if *markdown != "" {
		if err := place(*markdown, "make bench-docs", text); err != nil {
			return err
		}
	}
	if *plots != "" {
		if err := r.plot(*plots); err != nil {
			return err
		}
	}
	errs := []error{r.check()}
	for _, failed := range r.Failed {
		errs = append(errs, errors.New(failed))
	}
	return errors.Join(errs...)
}

// place writes the text to a file, between the markers of the command that writes it if it has them: the rest is written
// by hand.
func place(file, command, text string) error {
	content, err := os.ReadFile(file)
	begin, end := "<!-- begin of what "+command+" writes -->\n", "<!-- end of it -->\n"
	before, rest, found := strings.Cut(string(content), begin)
	if _, after, ended := strings.Cut(rest, end); err == nil && found && ended {
		text = before + begin + "\n" + text + "\n" + end + after
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
