package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/gogreeter/gogreeter/bench/internal/work"
)

// The names of scenarios that bars and plots refer to.
const (
	unary1x1      = "unary small, 1 x 1"
	unary1x100    = "unary small, 1 x 100"
	unary10x10    = "unary small, 10 x 10"
	unary50x20    = "unary small, 50 x 20"
	unary50x1     = "unary small, 50 x 1"
	usualRPC      = "unary small, 10 x 10, interceptor, deadline, usual metadata"
	unary10x10TLS = "unary small, 10 x 10, TLS"
	upload64KiB   = "unary 64 KiB requests, 1 x 10"
	upload1MiB    = "unary 1 MiB requests, 1 x 4"
	sleeping      = "unary of 10 ms, 1 x 100"
	gzip64KB      = "unary 64 KB of text each way, gzip, 1 x 10"
	pingPong100   = "ping-pong, 1 x 100 streams"
	pingPong1x1   = "ping-pong, 1 x 1 stream"
	pingPong1x10  = "ping-pong, 1 x 10 streams"
	pingPong10x10 = "ping-pong, 10 x 10 streams"
	download100   = "100-octet responses, 1 x 1 stream"
	downloads100  = "100-octet responses, 1 x 10 streams"
	downloads1MB  = "1 MB responses, 1 x 2 streams"
	uploads100    = "100-octet requests, 1 x 10 streams"
	uploads1MB    = "1 MB requests, 1 x 2 streams"
	slowAlone     = "fast RPCs, 1 x 10"
	slowBeside    = "fast RPCs, 1 x 10, beside 10 of 10 ms"

	line32KiB  = "16 MiB in messages of 32 KiB on one stream"
	line512KiB = "16 MiB in messages of 512 KiB on one stream"
	line50     = "50 unary requests of 200 KiB at once"

	tail2k       = "unary small, 2,000 a second"
	tail10k      = "unary small, 10,000 a second"
	tail30k      = "unary small, 30,000 a second"
	tail25       = "unary small, 25 % of the server's own maximum"
	tail50       = "unary small, 50 % of the server's own maximum"
	tail80       = "unary small, 80 % of the server's own maximum"
	besideUpload = "unary small, 1,000 a second, beside uploads of 1 MB messages"
	besideMany   = "unary small, 1,000 a second, beside 1,000 RPCs at a time"

	cores1     = "10 x 10, GOMAXPROCS=1"
	cores2     = "10 x 10, GOMAXPROCS=2"
	cores1TLS  = "10 x 10, TLS, GOMAXPROCS=1"
	cores2TLS  = "10 x 10, TLS, GOMAXPROCS=2"
	methods1   = "10 x 10, 1 more method, called"
	methods100 = "10 x 10, 100 more methods, called in turn"
	methods10k = "10 x 10, 10,000 more methods, called in turn"
	lanes1     = "1,000 lanes on 1 connection"
	lanes10    = "1,000 lanes on 10 connections"
	lanes100   = "1,000 lanes on 100 connections"
	lanes1000  = "1,000 lanes on 1,000 connections"

	idleConnections = "idle connection, settings exchanged"
	usedConnections = "idle connection, after an RPC"
	idleStreams     = "idle stream, after a message each way"
	binarySize      = "stripped helloworld server"
	generator       = "generating for the corpus"
)

// scenarios are all there are. Loads are sized so that each takes a second or two.
var scenarios = []scenario{
	unary(unary1x1, 1, 1, 10_000, 0).byFrames().cpp(), // for its latency
	unary(unary1x100, 1, 100, 100_000, 0).cpp(),
	unary(unary10x10, 10, 10, 100_000, 0).python().cpp(),
	unary(unary50x20, 50, 20, 100_000, 0).cpp(),
	unary(unary50x1, 50, 1, 50_000, 0).cpp(),
	unary(usualRPC, 10, 10, 100_000, 0).whole().deadline().python(),
	unary("unary small, 10 x 10, the same, and fields that vary", 10, 10, 100_000, 0).whole().varied().python(),
	unary(unary10x10TLS, 10, 10, 100_000, 0).overTLS().python().cpp(),
	unary("unary small, 50 x 1, TLS", 50, 1, 50_000, 0).overTLS(),
	unary("unary 1 KiB requests, 1 x 100", 1, 100, 100_000, 1<<10),
	unary(upload64KiB, 1, 10, 10_000, 64<<10).cpp(),
	unary(upload1MiB, 1, 4, 1_000, 1<<20).cpp(),
	echo("unary 1 KB of text each way, gzip, 10 x 10", 10, 10, 20_000, 1_000).compressed().python(),
	echo(gzip64KB, 1, 10, 400, 64_000).compressed().callback(),
	streams(pingPong100, bidiStream, request("Ada"), 100, 2_000).python().callback(),
	streams(pingPong1x1, bidiStream, request("Ada"), 1, 10_000).callback(),
	streams(pingPong1x10, bidiStream, request("Ada"), 10, 10_000),
	streams(pingPong10x10, bidiStream, request("Ada"), 10, 2_000).on(10).callback(),
	download(download100, 1, 300_000, 100).callback(),
	download(downloads100, 10, 30_000, 100).callback(),
	download(downloads1MB, 2, 500, 1_000_000).callback(),
	download("1 MB responses, 1 x 2 streams, TLS", 2, 300, 1_000_000).overTLS(),
	upload(uploads100, 10, 30_000, 100).callback(),
	upload(uploads1MB, 2, 500, 1_000_000).callback(),
	upload("1 MB requests, 1 x 2 streams, TLS", 2, 300, 1_000_000).overTLS(),
	unary(slowAlone, 1, 10, 30_000, 0).byFrames().among(gogreeter, inline, grpcGo),
	unary(slowBeside, 1, 10, 30_000, 0).byFrames().slow(10).among(gogreeter, grpcGo),
	unary(sleeping, 1, 100, 20_000, 0).calling(work.SlowName).byFrames().among(gogreeter, grpcGo, connectGo),

	atRate(tail2k, 2_000).python().cpp(),
	atRate(tail10k, 10_000).cpp(),
	atRate(tail30k, 30_000).cpp(),
	atRate("unary small, 10,000 a second, GOMAXPROCS=1", 10_000).with1Core(),
	atPart(tail25, 0.25).python().cpp(),
	atPart(tail50, 0.5).python().cpp(),
	atPart(tail80, 0.8).python().cpp(),
	besideUploads(besideUpload, 2, 1_000_000).callback(),
	besideCalls(besideMany, 1_000).callback(),

	unary(cores1, 10, 10, 60_000, 0).grows("GOMAXPROCS=1"),
	unary(cores2, 10, 10, 60_000, 0).grows("GOMAXPROCS=2"),
	unary(cores1TLS, 10, 10, 60_000, 0).overTLS().grows("GOMAXPROCS=1"),
	unary(cores2TLS, 10, 10, 60_000, 0).overTLS().grows("GOMAXPROCS=2"),
	unary(methods1, 10, 10, 60_000, 0).methods(1, 1),
	unary("10 x 10, 100 more methods, one called", 10, 10, 60_000, 0).methods(100, 1),
	unary(methods100, 10, 10, 60_000, 0).methods(100, 100),
	unary("10 x 10, 10,000 more methods, one called", 10, 10, 60_000, 0).methods(10_000, 1),
	unary(methods10k, 10, 10, 60_000, 0).methods(10_000, 10_000),
	unary(lanes1, 1, 1_000, 60_000, 0).grows(),
	unary(lanes10, 10, 100, 60_000, 0).grows(),
	unary(lanes100, 100, 10, 60_000, 0).grows(),
	unary(lanes1000, 1_000, 1, 60_000, 0).grows(),

	overLine(line32KiB, stream(512, 32<<10)),
	overLine(line512KiB, stream(32, 512<<10)),
	overLine(line50, callsAtOnce(50, 200<<10)),

	idle(idleConnections, 5_000),
	idle(usedConnections, 5_000).afterUse(),
	idle(idleStreams, 10_000).ofStreams(),

	{name: binarySize, group: size, measure: measureSize, once: true, with: []string{gogreeter, grpcGo}},
	{name: binarySize + " with TLS", group: size, measure: measureSize, once: true, with: []string{gogreeter, grpcGo}, flags: []string{"-tags=secure"}},
	{name: generator, group: generation, measure: measureGenerator, once: true, with: []string{gogreeter}},
}

func (s scenario) afterUse() scenario  { s.used = true; return s }
func (s scenario) ofStreams() scenario { s.streams = true; return s }

// echo is a scenario of unary RPCs whose requests and responses are as large as each other, and text.
func echo(name string, connections, streams, requests, octets int) scenario {
	s := unary(name, connections, streams, requests, 0)
	s.load.Message = request(work.Echo + text(octets))
	return s
}

// text returns words, always the same, which gzip makes about a third of.
func text(octets int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var words strings.Builder
	for words.Len() < octets {
		fmt.Fprintf(&words, "%s %d, ", []string{"servicer", "stub", "channel", "message", "metadata"}[random.IntN(5)], random.IntN(1000))
	}
	return words.String()[:octets]
}

// gzipped returns a Length-Prefixed-Message that is compressed.
func gzipped(message []byte) []byte {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(message[5:]); err != nil {
		panic(err) // a buffer takes all
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return prefixed(1, compressed.Bytes())
}
