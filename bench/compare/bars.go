package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// bar is something that gogreeter is to reach.
type bar struct {
	what   string
	figure func(r *results) (value float64, ok bool) // the smaller the better
	limit  float64
	format func(value float64) string
	exact  bool // the same in each run, on whatever machine
}

// The formats of figures and bars.
func part(value float64) string  { return "1/" + strings.TrimSuffix(fmt.Sprintf("%.2f", 1/value), "0") }
func times(value float64) string { return fmt.Sprintf("%.2f ×", value) }
func kib(value float64) string   { return fmt.Sprintf("%.1f KiB", value) }
func count(value float64) string { return fmt.Sprintf("%.1f", value) }
func calls(value float64) string { return fmt.Sprintf("%.3f", value) }

// bars are all bars that concern speed, memory and size.
var bars = slices.Concat(cpuBars, latencyBars, lineBars(line32KiB), lineBars(line512KiB), lineBars(line50), otherBars)

var cpuBars = []bar{
	cpuBar(unary1x100, gogreeter, grpcGo, 1/5.0),
	cpuBar(unary10x10, gogreeter, grpcGo, 1/5.0),
	cpuBar(unary50x20, gogreeter, grpcGo, 1/5.0),
	cpuBar(unary50x1, gogreeter, grpcGo, 1/2.2),
	cpuBar(unary1x1, gogreeter, grpcGo, 1/2.8),
	cpuBar(unary1x100, inline, grpcGo, 1/7.0),
	cpuBar(unary10x10, gogreeter, grpcPython, 1/50.0),
	allocationBar(unary1x1, 8),
	allocationBar(unary10x10, 8),
	cpuBar(sleeping, gogreeter, grpcGo, 1/2.9),
	cpuBar(gzip64KB, gogreeter, grpcGo, 1/1.8),
	cpuBar(pingPong100, gogreeter, grpcGo, 1/2.5),
	cpuBar(pingPong1x1, gogreeter, grpcGo, 1/1.8),
	cpuBar(pingPong1x10, gogreeter, grpcGo, 1/2.2),
	cpuBar(pingPong10x10, gogreeter, grpcGo, 1/1.7),
	cpuBar(download100, gogreeter, grpcGo, 1/1.5),
	cpuBar(downloads100, gogreeter, grpcGo, 1/1.5),
	cpuBar(upload1MiB, gogreeter, grpcGo, 1/1.5),
	cpuBar(uploads100, gogreeter, grpcGo, 1/2.3),
	cpuBar(uploads1MB, gogreeter, grpcGo, 1/1.45),
	cpuBar(downloads1MB, gogreeter, grpcGo, 1/1.4),
}

var latencyBars = slices.Concat([]bar{
	waitBar("p50", unary1x1, grpcGo, 0.6, p50),
	waitBar("p50", pingPong1x1, grpcGo, 0.85, p50),
	waitBar("p99", besideUpload, grpcGo, 0.3, p99),
	waitBar("p99", besideUpload, connectGo, 3, p99),
	waitBar("p99", besideMany, grpcGo, 0.15, p99),
}, tailBars(0.4, tail2k, tail10k, tail30k))

var otherBars = []bar{
	{what: "p99 of a fast method beside a slow one, next to alone", figure: slowdown, limit: 1.5, format: times},
	memoryBar(idleConnections, 8),
	{what: binarySize + ", next to grpc-go's", figure: sizeRatio, limit: 0.7, format: times, exact: true},
	{what: generator + ", time next to protoc-gen-go-grpc's", figure: generatorRatio, limit: 0.7, format: times},
}

// cpuBar is a bar for CPU time next to a peer's.
func cpuBar(scenario, ours, peer string, limit float64) bar {
	what := fmt.Sprintf("CPU time, %s, next to %s's", scenario, peer)
	if ours == inline {
		what = fmt.Sprintf("CPU time, %s, inline, next to %s's", scenario, peer)
	}
	figure := func(r *results) (float64, bool) {
		ratio, ok := r.ratio(scenario, peer, ours, cpu)
		return 1 / ratio, ok
	}
	return bar{what: what, figure: figure, limit: limit, format: part}
}

func allocationBar(scenario string, limit float64) bar {
	figure := func(r *results) (float64, bool) {
		return median(r, scenario, gogreeter, func(one sample) float64 { return one.Allocations })
	}
	return bar{what: "allocations, " + scenario, figure: figure, limit: limit, format: count, exact: true}
}

func memoryBar(scenario string, limit float64) bar {
	figure := func(r *results) (float64, bool) {
		return median(r, scenario, gogreeter, kibEach)
	}
	return bar{what: "memory, " + scenario, figure: figure, limit: limit, format: kib}
}

// slowdown is what slow RPCs on the connection do to the p99 of fast ones.
func slowdown(r *results) (factor float64, ok bool) {
	alone, ok1 := median(r, slowAlone, gogreeter, p99)
	beside, ok2 := median(r, slowBeside, gogreeter, p99)
	return float64(beside) / float64(alone), ok1 && ok2 && alone > 0
}

func sizeRatio(r *results) (float64, bool) {
	ratio, ok := r.ratio(binarySize, grpcGo, gogreeter, mibEach)
	return 1 / ratio, ok
}

func generatorRatio(r *results) (float64, bool) {
	return median(r, generator, gogreeter, func(one sample) float64 { return one.Time })
}

// writeBars writes the table of the bars; those of which nothing was measured are in it as well.
func (r *results) writeBars(w *strings.Builder) {
	fmt.Fprint(w, "| what | figure | bar | reached |\n|---|---:|---:|---|\n")
	for _, b := range bars {
		figure, reached := "–", "not measured"
		if value, ok := b.figure(r); ok {
			figure, reached = b.format(value), "**no**"
			if value <= b.limit {
				reached = "yes"
			}
		}
		fmt.Fprintf(w, "| %s | %s | at most %s | %s |\n", b.what, figure, b.format(b.limit), reached)
	}
	fmt.Fprintln(w)
}

// check fails if a figure is further from its bar than -max-ratio allows, since anything nearer is noise on a shared
// machine; a figure without noise has to reach its bar. If no bar has a figure, that is a failure too.
func (r *results) check() error {
	if *maxRatio == 0 {
		return nil
	}
	var errs []error
	measured := 0
	for _, b := range bars {
		limit := b.limit * *maxRatio
		if b.exact {
			limit = b.limit
		}
		value, ok := b.figure(r)
		if ok {
			measured++
		}
		if ok && value > limit {
			errs = append(errs, fmt.Errorf("%s: %s; the bar is %s", b.what, b.format(value), b.format(b.limit)))
		}
	}
	if measured == 0 {
		errs = append(errs, errors.New("nothing was measured that has a bar"))
	}
	return errors.Join(errs...)
}
