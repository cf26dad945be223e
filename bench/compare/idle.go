package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/process"
	"github.com/gogreeter/gogreeter/bench/internal/report"
)

const (
	spareDescriptors = 500 // of what both processes have open besides
	streamsEach      = 100 // idle streams on a connection, which every server allows
)

// measureIdle measures how much more of the server is resident when there are many idle pieces. The memory of the
// kernel, the sockets' buffers, is not in it.
func measureIdle(b *bench, c contender, s scenario) (sample, error) {
	server, err := b.start(c, s)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	// The first connection has code and tables loaded which all others share.
	var first frameload.Idle
	defer first.Close()
	if err := openAndUse(&first, server.Address, 1); err != nil {
		return sample{}, err
	}
	if s.streams {
		return measureStreams(server, s)
	}
	before, err := collected(server)
	if err != nil {
		return sample{}, err
	}
	pieces := affordable(s.pieces)
	var idle frameload.Idle
	defer idle.Close()
	if s.used {
		err = openAndUse(&idle, server.Address, pieces)
	} else {
		err = idle.Open(server.Address, pieces)
	}
	if err != nil {
		return sample{}, err
	}
	return growthSince(server, before, pieces)
}

// measureStreams has the streams on connections that are open, and have been used, before.
func measureStreams(server *process.Server, s scenario) (sample, error) {
	var idle frameload.Idle
	defer idle.Close()
	if err := openAndUse(&idle, server.Address, s.pieces/streamsEach); err != nil {
		return sample{}, err
	}
	before, err := collected(server)
	if err != nil {
		return sample{}, err
	}
	held := frameload.Load{Streams: streamsEach, Rounds: 1, Path: bidiStream, Message: request("Ada"), Replies: 1, Hold: true}
	if err := idle.Run(held); err != nil {
		return sample{}, err
	}
	return growthSince(server, before, s.pieces)
}

// openAndUse opens connections, and has an RPC on each.
func openAndUse(idle *frameload.Idle, address string, n int) error {
	if err := idle.Open(address, n); err != nil {
		return err
	}
	return idle.Run(frameload.Load{Streams: 1, Rounds: 1, Unary: true, Path: sayHello, Message: request("Ada"), Replies: 1})
}

// collected returns the server's resident set in KiB, without garbage.
func collected(server *process.Server) (kib int, err error) {
	if err := server.Tell(report.Collect); err != nil {
		return 0, err
	}
	return server.Resident()
}

func growthSince(server *process.Server, before, pieces int) (sample, error) {
	after, err := collected(server)
	return sample{KiB: float64(after-before) / float64(pieces)}, err
}

// affordable returns n, or how many connections the limit of descriptors allows, which is the servers' limit too: a Go
// program raises its soft limit to the hard one by itself.
func affordable(n int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return n
	}
	most := int(min(limit.Cur, 1<<20)) - spareDescriptors
	if n <= most {
		return n
	}
	fmt.Fprintf(os.Stderr, "(descriptors allow %d of %d connections) ", most, n)
	return max(most, 1)
}
