package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/bench/internal/frameload"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

// scenario is something to measure, on each server that takes part.
type scenario struct {
	name    string
	group   group
	measure func(b *bench, c contender, s scenario) (sample, error)
	once    bool // not in each round: it comes out the same
	with    []string

	// Of those that put a load on a server.
	load        frameload.Load
	framed      bool // not made by h2load
	replySize   int  // the request asks for so many responses of this size; 0: it does not ask
	paths       int  // methods of bench.Many that are called in turn; 0: the load's own path
	flags       []string
	environment []string

	// Of those whose load is an open loop.
	rate   float64         // RPCs per second
	part   float64         // of the server's own maximum, where rate is 0
	beside *frameload.Load // goes on meanwhile, on a connection of its own

	// Of those that measure memory.
	pieces  int
	streams bool // pieces are streams
	used    bool // each connection has had an RPC
}

// group is a table that scenarios are in.
type group int

const (
	perMessage group = iota // CPU time and all else, for each message
	growth                  // CPU time, as something grows
	overALine               // time of uploads, the first on a connection and later ones
	tail                    // latencies at fixed rates
	beside                  // latencies beside another client
	memory                  // KiB of each idle piece
	size                    // of a file, in MiB
	generation              // time of the generator, next to protoc-gen-go-grpc's
	none                    // no table: of a chart that is for the README
)

// format says what a group's figure is for one sample.
func (g group) format(one sample) string {
	switch g {
	case overALine:
		return fmt.Sprintf("%v, %v", one.First.Round(time.Millisecond), one.Later.Round(time.Millisecond))
	case tail, beside:
		return fmt.Sprintf("%.0f of %.0f per second, p50 %v, p99 %v, p99.9 %v; the client's lag %v", one.Rate, one.Due, one.P50, one.P99, one.P999, one.Lag)
	case memory:
		return fmt.Sprintf("%.1f KiB", one.KiB)
	case size:
		return fmt.Sprintf("%.2f MiB", one.MiB)
	case generation:
		return fmt.Sprintf("%.2f ×", one.Time)
	}
	return fmt.Sprintf("%.2f µs", one.CPU)
}

func (s scenario) hasPart(contender string) bool { return slices.Contains(s.with, contender) }

func (s scenario) participants() string { return strings.Join(s.with, ", ") }

const (
	sayHello    = "/helloworld.Greeter/SayHello"
	streamReply = "/helloworld.Greeter/SayHelloStreamReply"
	collect     = "/helloworld.Greeter/CollectHellos"
	bidiStream  = "/helloworld.Greeter/SayHelloBidiStream"
)

// unary is a scenario of unary RPCs with a name of some octets.
func unary(name string, connections, streams, requests, octets int) scenario {
	message := request("Ada")
	if octets > 0 {
		message = request(strings.Repeat("x", octets))
	}
	return scenario{
		name: name, measure: measureLoad, with: []string{gogreeter, inline, grpcGo, connectGo},
		load: frameload.Load{
			Connections: connections, Streams: streams, Rounds: requests / (connections * streams), Unary: true,
			Path: sayHello, Message: message, Replies: 1,
		},
	}
}

// streams is a scenario in which messages go to and fro on a number of streams.
func streams(name, path string, message []byte, lanes, rounds int) scenario {
	return scenario{
		name: name, measure: measureLoad, framed: true, with: []string{gogreeter, grpcGo, connectGo},
		load: frameload.Load{Connections: 1, Streams: lanes, Rounds: rounds, Path: path, Message: message, Replies: 1},
	}
}

// download is a scenario in which each stream has many responses.
func download(name string, lanes, replies, octets int) scenario {
	s := streams(name, streamReply, nil, lanes, 1)
	s.load.Replies, s.replySize = replies, octets
	return s
}

// upload is a scenario in which each stream has many requests.
func upload(name string, lanes, requests, octets int) scenario {
	s := streams(name, collect, request(strings.Repeat("x", octets)), lanes, requests)
	s.load.Upload = true
	return s
}

func (s scenario) python() scenario { s.with = append(slices.Clone(s.with), grpcPython); return s }

// cpp has gRPC C++ take part, by both of its APIs; callback by the one that has streams.
func (s scenario) cpp() scenario {
	s.with = append(slices.Clone(s.with), cppCallback, cppAsync)
	return s
}

func (s scenario) callback() scenario { s.with = append(slices.Clone(s.with), cppCallback); return s }

func (s scenario) among(names ...string) scenario { s.with = names; return s }

// on has so many connections.
func (s scenario) on(connections int) scenario { s.load.Connections = connections; return s }

// calling has another name in the requests.
func (s scenario) calling(name string) scenario { s.load.Message = request(name); return s }

// with1Core has the Go servers run on one core at a time.
func (s scenario) with1Core() scenario { s.environment = []string{"GOMAXPROCS=1"}; return s }

// byFrames has our own frames make the load, which measures latencies.
func (s scenario) byFrames() scenario { s.framed = true; return s }

func (s scenario) overTLS() scenario { s.load.TLS = true; return s }

// compressed is for requests and responses that are compressed.
func (s scenario) compressed() scenario {
	s.load.Message = gzipped(s.load.Message)
	s.load.Fields = append(s.load.Fields,
		hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"}, hpack.HeaderField{Name: "grpc-accept-encoding", Value: "gzip"})
	s.load.Compressed, s.framed = true, true
	s.flags = append(s.flags, "-gzip")
	return s
}

// whole is what a server in production has to do: an interceptor, a deadline, and the metadata that clients send.
func (s scenario) whole() scenario {
	s.flags = append(s.flags, "-intercept")
	s.load.Fields = []hpack.HeaderField{
		{Name: "user-agent", Value: "grpc-go/1.85.0"},
		{Name: "grpc-accept-encoding", Value: "gzip"},
		{Name: "authorization", Value: "Bearer " + strings.Repeat("0123456789abcdef", 10)},
	}
	return s
}

// deadline adds a deadline that is the same for each RPC.
func (s scenario) deadline() scenario {
	s.load.Fields = append(s.load.Fields, hpack.HeaderField{Name: "grpc-timeout", Value: "20S"})
	return s
}

// varied adds fields that differ from RPC to RPC, a deadline among them.
func (s scenario) varied() scenario { s.load.Vary, s.framed = true, true; return s }

// slow adds lanes of slow RPCs.
func (s scenario) slow(lanes int) scenario {
	s.load.Slow, s.load.SlowMessage = lanes, request(work.SlowName)
	return s
}

// grows is a scenario of the table of growth.
func (s scenario) grows(environment ...string) scenario {
	s.group, s.environment = growth, environment
	return s.among(gogreeter, grpcGo)
}

// methods registers n more methods, and calls some of them in turn.
func (s scenario) methods(n, called int) scenario {
	s.flags, s.paths = []string{"-methods", fmt.Sprint(n)}, called
	return s.grows()
}

// idle is a scenario of memory.
func idle(name string, pieces int) scenario {
	return scenario{name: name, group: memory, measure: measureIdle, pieces: pieces, with: []string{gogreeter, grpcGo, connectGo}}
}

// scaled returns the load with a share of its messages.
func (s scenario) scaled(share float64) frameload.Load {
	l := s.load
	scale := func(n int) int { return max(1, int(float64(n)*share)) }
	if s.replySize > 0 {
		l.Replies = scale(l.Replies)
		l.Message = request(work.RepliesName(l.Replies, s.replySize))
	} else {
		l.Rounds = scale(l.Rounds)
	}
	if l.Upload {
		var collection work.Collection
		name := decode(l.Message)
		for range l.Rounds {
			collection.Add(name)
		}
		l.Reply = lengthPrefixed(collection.Reply())
	}
	return l
}

// errLeftOut is of a scenario that needs something which there is not.
var errLeftOut = errors.New("left out")

// request returns SayHello's request as a Length-Prefixed-Message.
func request(name string) []byte { return lengthPrefixed(&helloworld.HelloRequest{Name: name}) }

// decode is the reverse.
func decode(message []byte) *helloworld.HelloRequest {
	decoded := new(helloworld.HelloRequest)
	if err := proto.Unmarshal(message[5:], decoded); err != nil {
		panic(err) // it is of our making
	}
	return decoded
}

func lengthPrefixed(message proto.Message) []byte {
	encoded, err := proto.Marshal(message)
	if err != nil {
		panic(err) // a string that is not UTF-8: not ours
	}
	return prefixed(0, encoded)
}

// prefixed returns a Length-Prefixed-Message with a Compressed-Flag.
func prefixed(flag byte, content []byte) []byte {
	prefix := binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(content)))
	return append(prefix, content...)
}
