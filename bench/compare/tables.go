package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// tables returns everything that was measured, in Markdown.
func (r *results) tables() string {
	var w strings.Builder
	r.writeRun(&w)
	w.WriteString("### Bars\n\n")
	r.writeBars(&w)
	r.writeCPU(&w, "CPU time of the server, for each message", perMessage)
	r.writeCPU(&w, "CPU time as something grows, for each small unary RPC", growth)
	r.writeLines(&w)
	r.writeTail(&w, "Latency of RPCs that are due at a fixed rate", tail)
	r.writeTail(&w, "Latency of RPCs on a connection of their own, beside another client", beside)
	r.writeMemory(&w)
	r.writeSizes(&w)
	r.writeFigures(&w, append(r.measured(perMessage), r.measured(growth)...))
	return w.String()
}

// writeRun says what run it was, and how quiet the machine.
func (r *results) writeRun(w *strings.Builder) {
	fmt.Fprintf(w, "Medians of %d rounds, %s to %s UTC, on a machine with %s; %s.\n", r.Rounds,
		r.Began.UTC().Format("2006-01-02 15:04"), r.Ended.UTC().Format("15:04"), r.Machine, strings.Join(r.Versions, ", "))
	fmt.Fprintf(w, "Load average (1, 5, 15 minutes) at the start %s, at the end %s; the bench itself is a load of about 2.\n", r.LoadBefore, r.LoadAfter)
	if r.Profiled {
		fmt.Fprintln(w, "The servers were profiled meanwhile, which costs them some time.")
	}
	fmt.Fprintln(w)
	for _, failed := range r.Failed {
		fmt.Fprintf(w, "- failed: %s\n", failed)
	}
	if len(r.Failed) > 0 {
		fmt.Fprintln(w)
	}
}

// heads returns the heads of columns that are servers.
func (r *results) heads(names []string) (heads []string) {
	for _, name := range names {
		heads = append(heads, r.titled(name))
	}
	return heads
}

// header writes a table's title, the charts of its group, and its first lines.
func (r *results) header(w *strings.Builder, title string, g group, first string, columns []string) {
	fmt.Fprintf(w, "### %s\n\n", title)
	for _, c := range charts {
		if _, rows := r.drawn(c); c.group == g && g != none && len(rows) > 0 && *plots != "" {
			fmt.Fprintf(w, "![%s](%s/%s)\n\n", c.question, filepath.Base(*plots), c.file)
		}
	}
	fmt.Fprintf(w, "| %s | %s |\n|---|%s\n", first, strings.Join(columns, " | "), strings.Repeat("---:|", len(columns)))
}

// writeCPU writes a table of CPU time, with how many times ours the peers' is.
func (r *results) writeCPU(w *strings.Builder, title string, g group) {
	rows := r.measured(g)
	if len(rows) == 0 {
		return
	}
	columns := r.present(rows)
	r.header(w, title, g, "scenario", r.heads(columns))
	for _, s := range rows {
		fmt.Fprintf(w, "| %s |", s.name)
		for _, name := range columns {
			value, ok := median(r, s.name, name, cpu)
			ratio, compared := r.ratio(s.name, name, gogreeter, cpu)
			switch {
			case !ok:
				fmt.Fprint(w, " – |")
			case name == gogreeter || !compared:
				fmt.Fprintf(w, " %.2f µs |", value)
			default:
				fmt.Fprintf(w, " %.2f µs (%.1f ×) |", value, ratio)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

func (r *results) writeMemory(w *strings.Builder) {
	rows := r.measured(memory)
	if len(rows) == 0 {
		return
	}
	columns := r.present(rows)
	r.header(w, "Resident memory for each", memory, "what", r.heads(columns))
	for _, s := range rows {
		fmt.Fprintf(w, "| %s (%d of them) |", s.name, affordable(s.pieces))
		for _, name := range columns {
			value, ok := median(r, s.name, name, kibEach)
			fmt.Fprintf(w, " %s |", dash(ok, kib(value)))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

func (r *results) writeSizes(w *strings.Builder) {
	rows := r.measured(size)
	if len(rows) == 0 {
		return
	}
	columns := r.present(rows)
	r.header(w, "Size of the program", size, "what", r.heads(columns))
	for _, s := range rows {
		fmt.Fprintf(w, "| %s |", s.name)
		for _, name := range columns {
			value, ok := median(r, s.name, name, mibEach)
			fmt.Fprintf(w, " %s |", dash(ok, fmt.Sprintf("%.2f MiB", value)))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// writeFigures writes everything else that was measured of the loads.
func (r *results) writeFigures(w *strings.Builder, rows []scenario) {
	if len(rows) == 0 {
		return
	}
	r.header(w, "Everything else that was measured, for each message", none, "scenario",
		[]string{"server", "messages/s", "allocations", "reads", "writes", "resident MiB", "p50", "p99"})
	for _, s := range rows {
		for _, c := range contenders {
			figure := func(f func(sample) float64) float64 {
				value, _ := median(r, s.name, c.name, f)
				return value
			}
			if !r.has(s.name, c.name) {
				continue
			}
			allocations := figure(func(one sample) float64 { return one.Allocations })
			p50 := time.Duration(figure(func(one sample) float64 { return float64(one.P50) }))
			p99 := time.Duration(figure(func(one sample) float64 { return float64(one.P99) }))
			fmt.Fprintf(w, "| %s | %s | %.0f | %s | %s | %s | %.0f | %s | %s |\n", s.name, r.titled(c.name),
				figure(rate), dash(allocations >= 0, count(allocations)),
				dash(c.kind == golang, calls(figure(func(one sample) float64 { return one.Reads }))),
				dash(c.kind == golang, calls(figure(func(one sample) float64 { return one.Writes }))),
				figure(func(one sample) float64 { return one.Resident }),
				dash(p50 > 0, p50.Round(time.Microsecond).String()), dash(p99 > 0, p99.Round(time.Microsecond).String()))
		}
	}
	fmt.Fprintln(w)
}

func dash(known bool, text string) string {
	if !known {
		return "–"
	}
	return text
}
