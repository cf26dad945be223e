package main

// trick is something that makes the runtime faster or smaller, with what to change in its source to be without it. The
// server that is built so is not meant for anything but the comparison.
type trick struct {
	name     string // as docs/performance.md has it
	scenario string // where it counts
	edits    []edit
}

// edit replaces a text, which occurs once in a file.
type edit struct{ file, old, new string }

// Directories of the runtime, seen from the directory bench.
const (
	rt     = "../runtime/"
	h2     = rt + "internal/http2/"
	sock   = rt + "internal/socket/"
	buffer = rt + "internal/buffer/"
	queue  = rt + "internal/work/"
)

// tricks are all that have a price in lines, in the order in which an RPC meets them.
var tricks = []trick{
	{
		"the system's read and write are called without package net", unary50x1,
		[]edit{{sock + "socket_linux.go", "raw: rawConn(nc)", "raw: nil"}},
	},
	{
		"a connection that waits has no read buffer", usedConnections,
		[]edit{{h2 + "inbound.go", "case b.start == b.end:", "case false:"}},
	},
	{
		"a field block that repeats is not decoded again", unary10x10,
		[]edit{{rt + "internal/fields/decoder.go", "m.section != nil && string(block) == string(m.block) {", "m != nil && false {"}},
	},
	{
		"content is processed before its frame has come as a whole", upload64KiB,
		[]edit{{h2 + "inbound.go", "if f.kind != frameData || f.has(flagPadded) || have < minPartialData {", "if true {"}},
	},
	{
		"reads are larger while a client sends much", uploads100,
		[]edit{{h2 + "inbound.go", "if b.end-b.lastEnd > manyRead {", "if false {"}},
	},
	{
		"one timer watches the deadlines of a connection", usualRPC,
		[]edit{
			{rt + "rpc.go", "r.session.deadlines.watch(r.deadline)", "r.timer = time.AfterFunc(r.def.timeout, r.session.deadlines.alarm)"},
			{rt + "rpc.go", "	stream http2.Stream\n", "	stream http2.Stream\n	timer  *time.Timer\n"},
			{rt + "ending.go", "	after, m, admission := ", "	if r.timer != nil {\n		r.timer.Stop()\n	}\n	after, m, admission := "},
		},
	},
	{
		"a batch of RPCs wakes one worker", unary1x100,
		[]edit{{queue + "queue.go", "if q.waking || q.tasks.n == 0 ||", "if q.tasks.n == 0 ||"}},
	},
	{
		"workers stay, and their stacks with them", unary50x1,
		[]edit{{queue + "queue.go", "	if p.closed {\n		return false", "	if true {\n		return false"}},
	},
	{
		"a worker has a buffer for responses", unary10x10,
		[]edit{{queue + "queue.go", "	b := w.buffer[:0]\n", "	b := []byte(nil)\n"}},
	},
	{
		"the usual field blocks of responses are ready-made", unary10x10,
		[]edit{
			{rt + "internal/wire/sections.go", "return okTrailers", "return end(false, s, trailing, limit)"},
			{rt + "internal/wire/sections.go", "return responseHeaders[encoding]", "return AppendResponseHeaders(nil, encoding)"},
		},
	},
	{
		"the responses of a batch leave in one write", unary1x100,
		[]edit{{queue + "queue.go", "if !promised {", "if promised || !promised {"}},
	},
	{
		"the responses of several streams leave in one write", pingPong100,
		[]edit{{rt + "answer.go", "urgent := !r.reply.sending.Swap(true) && r.session.h2.SingleStream()", "urgent := true"}},
	},
	{
		"an out-buffer is kept for the next connection that writes", unary50x1,
		[]edit{{h2 + "flush.go", "if cap(b) == outBufferSize {", "if false {"}},
	},
	{
		"a write is one segment on a loopback interface", downloads1MB,
		[]edit{{h2 + "config.go", "= 47 << 10", "= 64 << 10"}},
	},
	{
		"requests of a stream are credited several at a time", pingPong100,
		[]edit{{rt + "requestqueue.go", "creditAtOnce = 8 << 10", "creditAtOnce = 1"}},
	},
	{
		"the memory of large messages is used again", uploads1MB,
		[]edit{
			{buffer + "buffer.go", "pools[index].Get().(*byte); ok", "any(nil).(*byte); ok"},
			{buffer + "reserve.go", "if k.octets+size > mostAll {", "if true {"},
		},
	},
	{
		"the memory of large messages outlives garbage collections", uploads1MB,
		[]edit{{buffer + "reserve.go", "if k.octets+size > mostAll {", "if true {"}},
	},
	{
		"TLS records are gathered before they are written", unary10x10TLS,
		[]edit{{sock + "tls_linux.go", "if raw := rawConn(nc); raw != nil {", "if raw := rawConn(nc); false && raw != nil {"}},
	},
}
