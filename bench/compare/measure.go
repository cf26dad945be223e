package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/h2load"
	"github.com/gogreeter/gogreeter/bench/internal/process"
	"github.com/gogreeter/gogreeter/bench/internal/report"
	"github.com/gogreeter/gogreeter/bench/internal/work"
)

// sample is what one server did in one scenario. Figures of loads are for one message: an RPC, where that is unary, and
// else a response, or a request where requests are what there are many of. Its fields have names in JSON; see -save.
type sample struct {
	CPU         float64 // µs
	Rate        float64 // messages per second
	Allocations float64 // -1: not known
	Reads       float64 // system calls
	Writes      float64
	Resident    float64       // MiB, at the end
	P50, P99    time.Duration // 0: not measured
	P999        time.Duration // of open loops only, as what follows
	Lag         time.Duration // p99 of how late the client itself was
	Due         float64       // RPCs per second that were due; Rate has those that were answered

	First, Later time.Duration // of uploads on a connection

	KiB  float64 // resident, of an idle piece
	MiB  float64 // of a file
	Time float64 // of the generator, next to the other's
}

// gauge is what is read before and after a load.
type gauge struct {
	cpu           time.Duration
	allocations   uint64
	reads, writes int
}

// measureLoad starts the server, warms it up with a tenth of the load, and measures it under the whole.
func measureLoad(b *bench, c contender, s scenario) (sample, error) {
	server, err := b.start(c, s)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	if _, err := b.put(server.Address, s, s.scaled(c.share/10)); err != nil {
		return sample{}, fmt.Errorf("warming up: %w", err)
	}
	before, err := read(server, c)
	if err != nil {
		return sample{}, err
	}
	endProfile, err := profile(server, c, s)
	if err != nil {
		return sample{}, err
	}
	result, err := b.put(server.Address, s, s.scaled(c.share))
	if err != nil {
		return sample{}, err
	}
	after, err := read(server, c)
	if err != nil {
		return sample{}, err
	}
	if err := endProfile(); err != nil {
		return sample{}, err
	}
	resident, err := server.Resident()
	if err != nil {
		return sample{}, err
	}
	each := func(total float64) float64 { return total / float64(result.Messages) }
	one := sample{
		CPU:         each(float64((after.cpu - before.cpu).Nanoseconds()) / 1000),
		Rate:        float64(result.Messages) / result.Elapsed.Seconds(),
		Allocations: -1,
		Reads:       each(float64(after.reads - before.reads)),
		Writes:      each(float64(after.writes - before.writes)),
		Resident:    float64(resident) / 1024,
	}
	if c.kind == golang {
		one.Allocations = each(float64(after.allocations - before.allocations))
	}
	if n := len(result.Waits); n > 0 {
		slices.Sort(result.Waits)
		one.P50, one.P99 = result.Waits[n/2], result.Waits[n*99/100]
	}
	return one, nil
}

func read(server *process.Server, c contender) (g gauge, err error) {
	if g.cpu, err = server.CPU(); err != nil {
		return g, err
	}
	if g.reads, g.writes, err = server.Calls(); err != nil {
		return g, err
	}
	if c.kind == golang {
		g.allocations, err = server.Allocations()
	}
	return g, err
}

// profile begins a CPU profile, if they are wanted, and returns what ends it.
func profile(server *process.Server, c contender, s scenario) (end func() error, err error) {
	if *profiles == "" || c.kind != golang {
		return func() error { return nil }, nil
	}
	directory, err := filepath.Abs(*profiles)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	name := strings.NewReplacer(" ", "_", ",", "", "/", "_").Replace(s.name + "-" + c.name)
	if err := server.Tell(report.Profile + filepath.Join(directory, name+".pprof")); err != nil {
		return nil, err
	}
	return func() error { return server.Tell(report.EndProfile) }, nil
}

// put puts a load on a server.
func (b *bench) put(address string, s scenario, l frameload.Load) (frameload.Result, error) {
	if s.paths == 1 {
		l.Path = "/" + work.ManyService + "/" + work.ManyMethod(0)
	}
	switch {
	case s.paths > 1 && !b.h2load:
		return frameload.Result{}, fmt.Errorf("%w: only h2load calls several methods", errLeftOut)
	case s.framed || !b.h2load:
		return l.Run(address)
	}
	body := filepath.Join(b.directory, "request")
	if err := os.WriteFile(body, l.Message, 0o600); err != nil {
		return frameload.Result{}, err
	}
	n := l.Connections * l.Streams * l.Rounds
	load := h2load.Load{
		Requests: n, Connections: l.Connections, Streams: l.Streams, TLS: l.TLS,
		Path: l.Path, Body: body, Reply: len(lengthPrefixed(work.SayHello(decode(l.Message)))),
	}
	for _, f := range l.Fields {
		load.Fields = append(load.Fields, f.Name+": "+f.Value)
	}
	if s.paths > 1 {
		load.Paths = filepath.Join(b.directory, "paths")
		if err := os.WriteFile(load.Paths, manyPaths(s.paths, address), 0o600); err != nil {
			return frameload.Result{}, err
		}
	}
	rate, err := load.Run(address)
	if err != nil {
		return frameload.Result{}, err
	}
	return frameload.Result{Messages: n, Elapsed: time.Duration(float64(n) / rate * float64(time.Second))}, nil
}

// manyPaths returns the first n methods of bench.Many, as h2load reads them.
func manyPaths(n int, address string) []byte {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "http://%s/%s/%s\n", address, work.ManyService, work.ManyMethod(i))
	}
	return []byte(lines.String())
}
