// Command quick measures the CPU time that a server takes for a small unary RPC: the example greeter_server and an equal
// grpc-go server, under the same load from h2load, in turns. It is run from the directory bench.
//
//	go run ./quick [-rounds 5] [-requests 200000]
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/bench/internal/h2load"
	"github.com/gogreeter/gogreeter/bench/internal/process"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

var (
	rounds   = flag.Int("rounds", 5, "how often each server is measured under each load")
	requests = flag.Int("requests", 200_000, "RPCs in the largest loads; the loads with fewer open streams have fewer")
)

// contender is a server that takes part.
type contender struct {
	name      string
	directory string
	program   string // once built
}

var contenders = []contender{
	{name: "gogreeter", directory: "../example/helloworld/greeter_server"},
	{name: "grpc-go", directory: "grpc_go_server"},
}

// shape is a kind of load: connections, and streams open at once on each.
type shape struct {
	connections, streams int
	share                int // of the RPCs of the largest loads, as 1/share
}

func (s shape) String() string { return fmt.Sprintf("%d x %d", s.connections, s.streams) }

var shapes = []shape{{1, 1, 10}, {1, 100, 1}, {10, 10, 1}, {50, 1, 2}, {50, 20, 1}}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "quick:", err)
		os.Exit(1)
	}
}

func run() error {
	work, err := os.MkdirTemp("", "gogreeter-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for i := range contenders {
		contenders[i].program = filepath.Join(work, contenders[i].name)
		if err := process.Build(contenders[i].directory, contenders[i].program); err != nil {
			return err
		}
	}
	load, err := sayHello(work)
	if err != nil {
		return err
	}
	var results results
	for round := range *rounds {
		for _, shape := range shapes {
			for _, contender := range contenders {
				fmt.Fprintf(os.Stderr, "round %d of %d, %s, %s\n", round+1, *rounds, shape, contender.name)
				sample, err := measure(contender, shape, load)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", contender.name, shape, err)
				}
				results.add(shape, contender.name, sample)
			}
		}
	}
	results.print(os.Stdout)
	return nil
}

// sayHello returns the load without its numbers: SayHello("Ada").
func sayHello(work string) (h2load.Load, error) {
	request, err := lengthPrefixed(&helloworld.HelloRequest{Name: "Ada"})
	if err != nil {
		return h2load.Load{}, err
	}
	reply, err := lengthPrefixed(&helloworld.HelloReply{Message: "Hello, Ada!"})
	if err != nil {
		return h2load.Load{}, err
	}
	body := filepath.Join(work, "request")
	load := h2load.Load{Path: "/helloworld.Greeter/SayHello", Body: body, Reply: len(reply)}
	return load, os.WriteFile(body, request, 0o600)
}

func lengthPrefixed(message proto.Message) ([]byte, error) {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded)))
	return append(prefix, encoded...), nil
}

// measure starts the server, warms it up with a tenth of the load, and measures it under the whole.
func measure(c contender, s shape, load h2load.Load) (sample, error) {
	server, err := process.Start(c.program)
	if err != nil {
		return sample{}, err
	}
	defer server.Stop()
	load.Connections, load.Streams = s.connections, s.streams
	load.Requests = *requests / s.share / 10
	if _, err := load.Run(server.Address); err != nil {
		return sample{}, err
	}
	load.Requests *= 10
	before, err := server.CPU()
	if err != nil {
		return sample{}, err
	}
	rate, err := load.Run(server.Address)
	if err != nil {
		return sample{}, err
	}
	after, err := server.CPU()
	if err != nil {
		return sample{}, err
	}
	return sample{cpu: float64((after - before).Microseconds()) / float64(load.Requests), rate: rate}, nil
}
