package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// results are all samples, by scenario and server.
type results struct {
	contenders []contender
	scenarios  []scenario
	samples    map[[2]string][]sample
}

func (r *results) add(s scenario, c contender, one sample) {
	if r.samples == nil {
		r.samples = make(map[[2]string][]sample)
	}
	key := [2]string{s.name, c.name}
	r.samples[key] = append(r.samples[key], one)
}

// median returns the median of a figure; ok is false if there is none.
func median[T cmp.Ordered](r *results, scenario, contender string, figure func(sample) T) (value T, ok bool) {
	var values []T
	for _, one := range r.samples[[2]string{scenario, contender}] {
		values = append(values, figure(one))
	}
	if len(values) == 0 {
		return value, false
	}
	slices.Sort(values)
	return values[len(values)/2], true
}

func cpu(one sample) float64 { return one.cpu }

// ratio returns how many times a peer's CPU time is the first contender's, or another of ours.
func (r *results) ratio(s scenario, peer, ours string) (ratio float64, ok bool) {
	own, ok1 := median(r, s.name, ours, cpu)
	other, ok2 := median(r, s.name, peer, cpu)
	if !ok1 || !ok2 || own == 0 {
		return 0, false
	}
	return other / own, true
}

// report writes the tables and plots, and fails if a bar is missed by too much.
func (r *results) report() error {
	var text strings.Builder
	r.writeRatios(&text)
	r.writeFigures(&text)
	fmt.Print(text.String())
	if *markdown != "" {
		if err := os.WriteFile(*markdown, []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	if *plots != "" {
		if err := r.plot(*plots); err != nil {
			return err
		}
	}
	return r.check()
}

// writeRatios writes the table of CPU time against the peers, with the bars.
func (r *results) writeRatios(w io.Writer) {
	fmt.Fprint(w, "| server CPU per message | gogreeter |")
	for _, c := range r.contenders[1:] {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintln(w, " bar | reached |")
	fmt.Fprintln(w, "|---|---:|"+strings.Repeat("---:|", len(r.contenders)-1)+"---|---|")
	for _, s := range r.scenarios {
		fmt.Fprintf(w, "| %s |", s.name)
		for i, c := range r.contenders {
			value, ok := median(r, s.name, c.name, cpu)
			switch ratio, _ := r.ratio(s, c.name, r.contenders[0].name); {
			case !ok:
				fmt.Fprint(w, " – |")
			case i == 0:
				fmt.Fprintf(w, " %.2f µs |", value)
			default:
				fmt.Fprintf(w, " %.2f µs (%.1f ×) |", value, ratio)
			}
		}
		bars, reached := r.bars(s)
		fmt.Fprintf(w, " %s | %s |\n", bars, reached)
	}
	fmt.Fprintln(w)
}

// bars describes the bars of a scenario, and what became of them.
func (r *results) bars(s scenario) (bars, reached string) {
	var texts, verdicts []string
	one := func(peer, ours string, bar float64) {
		ratio, ok := r.ratio(s, peer, ours)
		if !ok {
			return
		}
		texts = append(texts, fmt.Sprintf("%s 1/%.3g", peer, 1/bar))
		verdict := "no"
		if ratio >= 1/bar {
			verdict = "yes"
		}
		verdicts = append(verdicts, fmt.Sprintf("1/%.1f %s", ratio, verdict))
	}
	for _, c := range r.contenders {
		if bar, ok := s.bars[c.name]; ok {
			one(c.name, r.contenders[0].name, bar)
		}
	}
	if s.inlineBar > 0 {
		one("grpc-go", "gogreeter inline", s.inlineBar)
	}
	return strings.Join(texts, ", "), strings.Join(verdicts, ", ")
}

// writeFigures writes everything else that was measured.
func (r *results) writeFigures(w io.Writer) {
	fmt.Fprintln(w, "| scenario | server | messages/s | allocations | reads | writes | resident MiB | p50 | p99 |")
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, s := range r.scenarios {
		for _, c := range r.contenders {
			rate, ok := median(r, s.name, c.name, func(one sample) float64 { return one.rate })
			if !ok {
				continue
			}
			allocations, _ := median(r, s.name, c.name, func(one sample) float64 { return one.allocations })
			reads, _ := median(r, s.name, c.name, func(one sample) float64 { return one.reads })
			writes, _ := median(r, s.name, c.name, func(one sample) float64 { return one.writes })
			resident, _ := median(r, s.name, c.name, func(one sample) float64 { return one.resident })
			p50, _ := median(r, s.name, c.name, func(one sample) time.Duration { return one.p50 })
			p99, _ := median(r, s.name, c.name, func(one sample) time.Duration { return one.p99 })
			fmt.Fprintf(w, "| %s | %s | %.0f | %s | %.3f | %.3f | %.0f | %s | %s |\n", s.name, c.name, rate,
				dash(allocations >= 0, fmt.Sprintf("%.1f", allocations)), reads, writes, resident,
				dash(p50 > 0, p50.Round(time.Microsecond).String()), dash(p99 > 0, p99.Round(time.Microsecond).String()))
		}
	}
	if factor, ok := r.slowdown(); ok {
		fmt.Fprintf(w, "\np99 of a fast method beside a slow one: %.2f × alone (bar: at most 1.5 ×)\n", factor)
	}
}

func dash(known bool, text string) string {
	if !known {
		return "–"
	}
	return text
}

// slowdown is what slow RPCs on the connection do to the p99 of fast ones.
func (r *results) slowdown() (factor float64, ok bool) {
	p99 := func(one sample) float64 { return float64(one.p99) }
	alone, ok1 := median(r, slowAlone, r.contenders[0].name, p99)
	beside, ok2 := median(r, slowBeside, r.contenders[0].name, p99)
	return beside / alone, ok1 && ok2 && alone > 0
}

// check fails if a ratio is further from its bar than -max-ratio allows. Anything nearer is noise on a shared machine.
func (r *results) check() error {
	if *maxRatio == 0 {
		return nil
	}
	var errs []error
	for _, s := range r.scenarios {
		for peer, bar := range s.bars {
			if ratio, ok := r.ratio(s, peer, r.contenders[0].name); ok && 1/ratio > bar**maxRatio {
				errs = append(errs, fmt.Errorf("%s: CPU time is %.2f of %s's; the bar is %.2f", s.name, 1/ratio, peer, bar))
			}
		}
	}
	return errors.Join(errs...)
}
