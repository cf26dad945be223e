package main

import (
	"encoding/binary"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

// scenario is a load, and what is asked of it.
type scenario struct {
	name string
	load frameload.Load
	h2   bool // h2load makes it; it has no latencies then

	// bars hold the largest ratio of gogreeter's CPU time to a peer's.
	bars      map[string]float64
	inlineBar float64 // the same for methods marked inline, against grpc-go

	withPython bool // grpc-python takes part; it is too slow for most
	goOnly     bool // connect-go does not take part
}

func (s scenario) skips(contender string) bool {
	switch contender {
	case "grpc-python":
		return !s.withPython
	case "gogreeter inline":
		return !s.load.Unary || s.load.Slow > 0
	case "connect-go":
		return s.goOnly
	}
	return false
}

const (
	sayHello    = "/helloworld.Greeter/SayHello"
	streamReply = "/helloworld.Greeter/SayHelloStreamReply"
	bidiStream  = "/helloworld.Greeter/SayHelloBidiStream"
)

// unary is a scenario of unary RPCs with a name of some octets.
func unary(name string, connections, streams, requests, octets int) scenario {
	message := request("Ada")
	if octets > 0 {
		message = request(strings.Repeat("x", octets))
	}
	return scenario{name: name, h2: true, load: frameload.Load{
		Connections: connections, Streams: streams, Rounds: requests / (connections * streams), Unary: true,
		Path: sayHello, Message: message, Replies: 1,
	}}
}

func (s scenario) against(peer string, bar float64) scenario {
	bars := map[string]float64{peer: bar}
	for other, otherBar := range s.bars {
		bars[other] = otherBar
	}
	s.bars = bars
	return s
}

func (s scenario) inline(bar float64) scenario { s.inlineBar = bar; return s }
func (s scenario) python() scenario            { s.withPython = true; return s }

// framed makes the load with frames of our own, which measures latencies.
func (s scenario) framed() scenario { s.h2 = false; return s }

// streams is a scenario in which messages go to and fro, or one way.
func streams(name, path string, message []byte, lanes, rounds, replies int) scenario {
	return scenario{name: name, load: frameload.Load{
		Connections: 1, Streams: lanes, Rounds: rounds, Path: path, Message: message, Replies: replies,
	}}
}

// slow adds lanes of slow RPCs.
func (s scenario) slow(lanes int) scenario {
	s.load.Slow, s.load.SlowMessage = lanes, request(work.SlowName)
	return s
}

func (s scenario) onlyGo() scenario { s.goOnly = true; return s }

// slowBeside and slowAlone are compared with each other.
const (
	slowAlone  = "fast RPCs, 1 x 10"
	slowBeside = "fast RPCs, 1 x 10, beside 10 of 10 ms"
)

var scenarios = []scenario{
	unary("unary small, 1 x 1", 1, 1, 10_000, 0).against("grpc-go", 1/1.3),
	unary("unary small, 1 x 100", 1, 100, 100_000, 0).against("grpc-go", 1/5.0).inline(1 / 7.0),
	unary("unary small, 10 x 10", 10, 10, 100_000, 0).against("grpc-go", 1/5.0).against("grpc-python", 1/50.0).python(),
	unary("unary small, 50 x 20", 50, 20, 100_000, 0).against("grpc-go", 1/5.0),
	unary("unary small, 50 x 1", 50, 1, 50_000, 0).against("grpc-go", 1/2.2),
	unary("unary 1 KiB requests, 1 x 100", 1, 100, 100_000, 1<<10),
	unary("unary 64 KiB requests, 1 x 10", 1, 10, 10_000, 64<<10),
	unary("unary 1 MiB requests, 1 x 4", 1, 4, 1_000, 1<<20).against("grpc-go", 1/1.5),
	streams("ping-pong, 1 x 100 streams", bidiStream, request("Ada"), 100, 2_000, 1).against("grpc-go", 1/2.5),
	streams("ping-pong, 1 x 1 stream", bidiStream, request("Ada"), 1, 10_000, 1),
	streams("100-octet responses, 1 x 1 stream", streamReply, request(work.RepliesName(300_000, 100)), 1, 1, 300_000).against("grpc-go", 1/1.5),
	streams("100-octet responses, 1 x 10 streams", streamReply, request(work.RepliesName(30_000, 100)), 10, 1, 30_000).against("grpc-go", 1/1.5),
	streams("1 MB responses, 1 x 2 streams", streamReply, request(work.RepliesName(500, 1_000_000)), 2, 1, 500).against("grpc-go", 1/1.5),
	unary(slowAlone, 1, 10, 30_000, 0).framed().onlyGo(),
	unary(slowBeside, 1, 10, 30_000, 0).framed().slow(10).onlyGo(),
}

// request returns SayHello's request as a Length-Prefixed-Message.
func request(name string) []byte { return lengthPrefixed(&helloworld.HelloRequest{Name: name}) }

func lengthPrefixed(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err) // a string that is not UTF-8: not ours
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded)))
	return append(prefix, encoded...)
}
