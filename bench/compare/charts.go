package main

import (
	"fmt"
	"time"
)

// chart answers one question at a glance: few rows, and a bar in each for every server.
type chart struct {
	file     string
	group    group // in whose table it stands
	question string
	unit     string // what the bars are, and which are better
	rows     []row
	limit    float64 // a bar is cut beyond it, and says so
}

// row is a group of bars.
type row struct {
	label    string
	scenario string
	measure  measure
}

// measure returns how long a server's bar is, and what stands beside it; ok is false if there is none.
type measure func(r *results, scenario, contender string) (length float64, label string, ok bool)

// relative is for figures next to gogreeter's: its bar has the figure, those of the others how many times that it is.
func relative(figure func(sample) float64, format func(float64) string) measure {
	return func(r *results, scenario, contender string) (float64, string, bool) {
		ratio, ok := r.ratio(scenario, contender, gogreeter, figure)
		if !ok || ratio <= 0 {
			return 0, "", false
		}
		if contender == gogreeter {
			value, _ := median(r, scenario, contender, figure)
			return 1, format(value), true
		}
		return ratio, fmt.Sprintf("%.1f ×", ratio), true
	}
}

// absolute is for figures as they are.
func absolute(figure func(sample) float64, format func(float64) string) measure {
	return func(r *results, scenario, contender string) (float64, string, bool) {
		value, ok := median(r, scenario, contender, figure)
		return value, format(value), ok && value > 0
	}
}

// relativeWait is relative for a latency. That of a server which does not keep up only says how long the load was.
func relativeWait(wait func(sample) time.Duration) measure {
	next := relative(number(wait), func(value float64) string { return rounded(time.Duration(value)) })
	return func(r *results, scenario, contender string) (float64, string, bool) {
		length, label, ok := next(r, scenario, contender)
		if ok && !r.keepsUp(scenario, contender) {
			rate, _ := median(r, scenario, contender, rate)
			label = fmt.Sprintf("can't keep up (%.0f/s)", rate)
		}
		return length, label, ok
	}
}

func microseconds(value float64) string { return fmt.Sprintf("%.1f µs", value) }
func mib(value float64) string          { return fmt.Sprintf("%.1f MiB", value) }

// rows returns rows that are measured alike: labels and scenarios take turns.
func rows(m measure, labels ...string) (rows []row) {
	for i := 0; i < len(labels); i += 2 {
		rows = append(rows, row{labels[i], labels[i+1], m})
	}
	return rows
}

var (
	relativeCPU = relative(cpu, microseconds)
	absoluteCPU = absolute(cpu, microseconds)
	relativeP99 = relativeWait(p99)
)

const (
	timesCPU = "CPU time of the server, as a multiple of gogreeter's; shorter is better"
	timesP99 = "99th percentile of latencies, as a multiple of gogreeter's; shorter is better"
	plainCPU = "CPU time of the server for each RPC; shorter is better"
)

// charts are all there are, in the order of the tables.
var charts = []chart{
	{"cpu-unary.svg", perMessage, "How much CPU does a small RPC take?", timesCPU, rows(
		relativeCPU,
		"one at a time", unary1x1,
		"100 at once, on 1 connection", unary1x100,
		"100 at once, on 10 connections", unary10x10,
		"the same, over TLS", unary10x10TLS,
		"one at a time, on 50 connections", unary50x1,
	), 25},
	{"cpu-streams.svg", perMessage, "How much CPU does a message on a stream take?", timesCPU, rows(
		relativeCPU,
		"ping-pong on 1 stream", pingPong1x1,
		"ping-pong on 100 streams", pingPong100,
		"100-octet responses, 10 streams", downloads100,
		"100-octet requests, 10 streams", uploads100,
	), 20},
	{"cpu-large.svg", perMessage, "How much CPU does a large message take?", timesCPU, rows(
		relativeCPU,
		"unary, 64 KiB requests", upload64KiB,
		"unary, 1 MiB requests", upload1MiB,
		"streams of 1 MB responses", downloads1MB,
		"streams of 1 MB requests", uploads1MB,
		"64 KB of text, gzip both ways", gzip64KB,
	), 5},
	{"cores.svg", growth, "What does a small RPC cost on one core, and on two?", plainCPU, rows(
		absoluteCPU, "1 core", cores1, "2 cores", cores2, "1 core, TLS", cores1TLS, "2 cores, TLS", cores2TLS,
	), 40},
	{"methods.svg", growth, "Does a small RPC cost more if there are many methods?", plainCPU, rows(
		absoluteCPU, "1 more method", methods1, "100 more, called in turn", methods100, "10,000 more, called in turn", methods10k,
	), 40},
	{"connections.svg", growth, "What do 1,000 RPCs at once cost on more connections?", plainCPU, rows(
		absoluteCPU, "1 connection", lanes1, "10 connections", lanes10, "100 connections", lanes100, "1,000 connections", lanes1000,
	), 60},
	{"tail.svg", tail, "How slow are the slowest RPCs at a fixed rate?", timesP99, rows(
		relativeP99, "2,000 a second", tail2k, "10,000 a second", tail10k, "30,000 a second", tail30k,
	), 10},
	{"tail-own.svg", tail, "How slow are the slowest RPCs near a server's limit?", timesP99, rows(
		relativeP99, "25 % of its own maximum", tail25, "50 % of its own maximum", tail50, "80 % of its own maximum", tail80,
	), 10},
	{"beside.svg", beside, "How slow are small RPCs beside another client?", timesP99, rows(
		relativeP99, "it uploads 1 MB messages", besideUpload, "it has 1,000 RPCs at a time", besideMany,
	), 20},
	{"memory.svg", memory, "How much memory does a client take that does nothing?", "Resident memory; shorter is better", rows(
		absolute(kibEach, kib), "connection, not used yet", idleConnections, "connection, used", usedConnections, "open stream", idleStreams,
	), 60},
	{"size.svg", size, "How large is a small server?", "Size of the program, stripped; shorter is better", rows(
		absolute(mibEach, mib), "without TLS", binarySize, "with TLS", binarySize+" with TLS",
	), 60},
	{"readme.svg", none, "What does it cost to serve gRPC?", "As a multiple of gogreeter's figure; shorter is better", []row{
		{"CPU of a small RPC, 100 at once", unary10x10, relativeCPU},
		{"CPU of a small RPC, one at a time", unary1x1, relativeCPU},
		{"p99 at 10,000 RPCs a second", tail10k, relativeP99},
		{"memory of an idle connection", usedConnections, relative(kibEach, kib)},
		{"size of the program", binarySize + " with TLS", relative(mibEach, mib)},
	}, 25},
}
