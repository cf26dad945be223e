package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/h2load"
	"github.com/gogreeter/gogreeter/bench/internal/process"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

// sample is what one server did under one load. Figures are for one message: an RPC, where that is unary.
type sample struct {
	cpu         float64 // µs
	rate        float64 // messages per second
	allocations float64 // -1: not known
	reads       float64 // system calls
	writes      float64
	resident    float64       // MiB, at the end
	p50, p99    time.Duration // 0: not measured
}

// gauge is what is read before and after a load.
type gauge struct {
	cpu           time.Duration
	allocations   uint64
	reads, writes int
}

// measure starts the server, warms it up with a tenth of the load, and measures it under the whole.
func measure(directory string, c contender, s scenario) (sample, error) {
	server, err := process.Start(c.command[0], c.command[1:]...)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	warm := s
	warm.load.Rounds = max(1, s.load.Rounds/10)
	if _, err := put(directory, server.Address, warm); err != nil {
		return sample{}, err
	}
	before, err := read(server, c)
	if err != nil {
		return sample{}, err
	}
	result, err := put(directory, server.Address, s)
	if err != nil {
		return sample{}, err
	}
	after, err := read(server, c)
	if err != nil {
		return sample{}, err
	}
	resident, err := server.Resident()
	if err != nil {
		return sample{}, err
	}
	each := func(total float64) float64 { return total / float64(result.Messages) }
	one := sample{
		cpu:         each(float64((after.cpu - before.cpu).Microseconds())),
		rate:        float64(result.Messages) / result.Elapsed.Seconds(),
		allocations: -1,
		reads:       each(float64(after.reads - before.reads)),
		writes:      each(float64(after.writes - before.writes)),
		resident:    float64(resident) / 1024,
	}
	if c.golang {
		one.allocations = each(float64(after.allocations - before.allocations))
	}
	if n := len(result.Waits); n > 0 {
		slices.Sort(result.Waits)
		one.p50, one.p99 = result.Waits[n/2], result.Waits[n*99/100]
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
	if c.golang {
		g.allocations, err = server.Allocations()
	}
	return g, err
}

// put puts a scenario's load on a server.
func put(directory, address string, s scenario) (frameload.Result, error) {
	if !s.h2 {
		return s.load.Run(address)
	}
	body := filepath.Join(directory, "request")
	if err := os.WriteFile(body, s.load.Message, 0o600); err != nil {
		return frameload.Result{}, err
	}
	n := s.load.Connections * s.load.Streams * s.load.Rounds
	load := h2load.Load{
		Requests: n, Connections: s.load.Connections, Streams: s.load.Streams,
		Path: s.load.Path, Body: body, Reply: len(lengthPrefixed(reply(s.load.Message))),
	}
	rate, err := load.Run(address)
	if err != nil {
		return frameload.Result{}, err
	}
	return frameload.Result{Messages: n, Elapsed: time.Duration(float64(n) / rate * float64(time.Second))}, nil
}

// reply is what the servers answer to a request of SayHello.
func reply(request []byte) *helloworld.HelloReply {
	decoded := new(helloworld.HelloRequest)
	if err := proto.Unmarshal(request[5:], decoded); err != nil {
		panic(err) // it is of our making
	}
	return work.SayHello(decoded)
}
