package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/openload"
	"github.com/gogreeter/gogreeter/bench/internal/process"
	"github.com/gogreeter/gogreeter/bench/internal/work"
)

// How long open loops last, and how RPCs in them are spread.
const (
	openWarmUp      = 500 * time.Millisecond
	openDuration    = 4 * time.Second
	openConnections = 10
	maximumAtOnce   = 100             // RPCs at once, when a server does what it can
	maximumDuration = 2 * time.Second // of that
	besideRate      = 1_000           // small RPCs per second beside another client
)

// enough is the part of the RPCs due that a server answers in time if it keeps up.
const enough = 0.95

// atRate is a scenario of small unary RPCs that are due at a fixed rate.
func atRate(name string, rate float64) scenario {
	return scenario{name: name, group: tail, measure: measureTail, rate: rate, with: []string{gogreeter, grpcGo, connectGo}}
}

// atPart is one whose rate is a part of what the server can do.
func atPart(name string, part float64) scenario {
	return scenario{name: name, group: tail, measure: measureTail, part: part, with: []string{gogreeter, grpcGo, connectGo}}
}

// besideLoad is a scenario of small RPCs on a connection of their own, while another client puts a load on another.
func besideLoad(name string, load frameload.Load) scenario {
	return scenario{
		name: name, group: beside, measure: measureTail, rate: besideRate, beside: &load, with: []string{gogreeter, grpcGo, connectGo},
	}
}

func besideUploads(name string, lanes, octets int) scenario {
	return besideLoad(name, frameload.Load{Streams: lanes, Upload: true, Path: collect, Message: request(strings.Repeat("x", octets))})
}

func besideCalls(name string, lanes int) scenario {
	return besideLoad(name, frameload.Load{Streams: lanes, Unary: true, Path: sayHello, Message: request("Ada"), Replies: 1})
}

// measureTail measures latencies in an open loop: see package openload.
func measureTail(b *bench, c contender, s scenario) (one sample, err error) {
	load := b.openLoad()
	load.Rate = s.rate
	if s.part > 0 {
		most, err := b.maximum(c)
		if err != nil {
			return sample{}, err
		}
		load.Rate = s.part * most
	}
	server, err := b.start(c, s)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	if s.beside != nil {
		load.Connections = 1
		end, err := s.beside.Start(server.Address)
		if err != nil {
			return sample{}, err
		}
		defer func() {
			if _, stopped := end.Stop(); err == nil && stopped != nil {
				err = fmt.Errorf("the load beside it: %w", stopped)
			}
		}()
	}
	return b.runOpen(server, load, s.beside == nil)
}

// runOpen runs an open loop. CPU time is of the whole server, and says nothing if there is another load.
func (b *bench) runOpen(server *process.Server, load openload.Load, alone bool) (sample, error) {
	before, err := server.CPU()
	if err != nil {
		return sample{}, err
	}
	result, err := b.open(server, load)
	if err != nil {
		return sample{}, err
	}
	after, err := server.CPU()
	if err != nil {
		return sample{}, err
	}
	one := sample{
		Allocations: -1, Rate: result.Rate, Due: load.Rate, P50: result.P50, P99: result.P99, P999: result.P999, Lag: result.Lag,
	}
	if alone {
		one.CPU = float64((after - before).Nanoseconds()) / 1000 / float64(result.All)
	}
	return one, nil
}

func (b *bench) openLoad() openload.Load {
	message := request("Ada")
	return openload.Load{
		Connections: openConnections, WarmUp: openWarmUp, Duration: openDuration, Path: sayHello,
		Message: message, Reply: len(lengthPrefixed(work.SayHello(decode(message)))),
	}
}

// maximum returns how many small unary RPCs per second the server can do. It is measured once.
func (b *bench) maximum(c contender) (float64, error) {
	if most := b.maxima[c.name]; most > 0 {
		return most, nil
	}
	server, err := b.start(c, scenario{})
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	load := b.openLoad()
	load.AtOnce, load.Duration = maximumAtOnce, maximumDuration
	result, err := b.open(server, load)
	if err != nil {
		return 0, err
	}
	b.maxima[c.name] = result.Rate
	return result.Rate, nil
}

// open has the load made by a process of its own, so that nothing but the load is scheduled in it.
func (b *bench) open(server *process.Server, load openload.Load) (result openload.Result, err error) {
	if b.generator == "" {
		program := filepath.Join(b.directory, "open_load")
		if err := process.Build("open_load", program); err != nil {
			return result, err
		}
		b.generator = program
	}
	load.Address = server.Address
	input, err := json.Marshal(load)
	if err != nil {
		return result, err
	}
	command := exec.Command(b.generator)
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	if err != nil {
		return result, fmt.Errorf("open_load: %w", err)
	}
	return result, json.Unmarshal(output, &result)
}

// tailBars are for each scenario: p99 and p99.9 next to grpc-go's.
func tailBars(limit float64, scenarios ...string) (bars []bar) {
	for _, s := range scenarios {
		bars = append(bars, waitBar("p99", s, grpcGo, limit, p99), waitBar("p99.9", s, grpcGo, limit, p999))
	}
	return bars
}

// waitBar is a bar for a latency next to a peer's.
func waitBar(what, scenario, peer string, limit float64, wait func(sample) time.Duration) bar {
	figure := func(r *results) (float64, bool) {
		ratio, ok := r.ratio(scenario, peer, gogreeter, number(wait))
		return 1 / ratio, ok && ratio > 0
	}
	return bar{what: fmt.Sprintf("%s, %s, next to %s's", what, scenario, peer), figure: figure, limit: limit, format: times}
}

// number returns a figure in nanoseconds.
func number(wait func(sample) time.Duration) func(sample) float64 {
	return func(one sample) float64 { return float64(wait(one)) }
}

// writeTail writes a table of latencies.
func (r *results) writeTail(w *strings.Builder, title string, g group) {
	rows := r.measured(g)
	if len(rows) == 0 {
		return
	}
	columns := []string{"server", "due/s", "answered/s", "p50", "p99", "p99.9", "CPU", "lag of the client"}
	r.header(w, title, g, "scenario", columns)
	for _, s := range rows {
		for _, c := range contenders {
			if r.has(s.name, c.name) {
				fmt.Fprintf(w, "| %s | %s | %s |\n", s.name, r.titled(c.name), strings.Join(r.tailCells(s.name, c.name), " | "))
			}
		}
	}
	fmt.Fprintln(w)
}

// tailCells returns a row of the table, without the names. A server that does not keep up has its answers in bold.
func (r *results) tailCells(scenario, name string) []string {
	due, _ := median(r, scenario, name, func(one sample) float64 { return one.Due })
	achieved, _ := median(r, scenario, name, rate)
	spent, _ := median(r, scenario, name, cpu)
	answered := fmt.Sprintf("%.0f", achieved)
	if !r.keepsUp(scenario, name) {
		answered = "**" + answered + "**"
	}
	cells := []string{fmt.Sprintf("%.0f", due), answered}
	for _, wait := range []func(sample) time.Duration{p50, p99, p999} {
		value, _ := median(r, scenario, name, wait)
		cell := rounded(value)
		if ratio, ok := r.ratio(scenario, name, gogreeter, number(wait)); ok && name != gogreeter {
			cell += fmt.Sprintf(" (%.1f ×)", ratio)
		}
		cells = append(cells, cell)
	}
	late, _ := median(r, scenario, name, lag)
	return append(cells, dash(spent > 0, fmt.Sprintf("%.2f µs", spent)), rounded(late))
}

// keepsUp reports whether a server answers in time what is due.
func (r *results) keepsUp(scenario, name string) bool {
	part, _ := median(r, scenario, name, func(one sample) float64 { return one.Rate / max(one.Due, 1) })
	return part >= enough
}

// rounded returns a time with about three digits.
func rounded(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
