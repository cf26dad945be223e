package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// sample is one measurement.
type sample struct {
	cpu  float64 // µs of the server for each RPC
	rate float64 // RPCs per second
}

// results are all samples, by load and server.
type results struct {
	samples map[shape]map[string][]sample
}

func (r *results) add(s shape, contender string, result sample) {
	if r.samples == nil {
		r.samples = make(map[shape]map[string][]sample)
	}
	if r.samples[s] == nil {
		r.samples[s] = make(map[string][]sample)
	}
	r.samples[s][contender] = append(r.samples[s][contender], result)
}

// print writes the medians, and the ratio of the first contender's CPU time to that of each other.
func (r *results) print(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "connections x streams\t")
	for _, c := range contenders {
		fmt.Fprintf(table, "%s µs/RPC\t%s RPC/s\t", c.name, c.name)
	}
	for _, c := range contenders[1:] {
		fmt.Fprintf(table, "CPU against %s\t", c.name)
	}
	fmt.Fprintln(table)
	for _, s := range shapes {
		fmt.Fprintf(table, "%s\t", s)
		for _, c := range contenders {
			fmt.Fprintf(table, "%.2f\t%.0f\t", r.cpu(s, c), r.rate(s, c))
		}
		for _, c := range contenders[1:] {
			fmt.Fprintf(table, "1/%.1f\t", r.cpu(s, c)/r.cpu(s, contenders[0]))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}

func (r *results) cpu(s shape, c contender) float64 {
	return median(r.samples[s][c.name], func(one sample) float64 { return one.cpu })
}

func (r *results) rate(s shape, c contender) float64 {
	return median(r.samples[s][c.name], func(one sample) float64 { return one.rate })
}

func median(samples []sample, value func(sample) float64) float64 {
	var values []float64
	for _, one := range samples {
		values = append(values, value(one))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
