package attack

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// calmed is the reaction to what no client does that means well.
const calmed = "GOAWAY ENHANCE_YOUR_CALM: .*"

// count is how many frames a flood has: fewer with the race detector, and against victims of further kinds.
func count(n int) int {
	if raceEnabled || facing.name != "plain" {
		return n / 10
	}
	return n
}

var call = lpm(0, nil)

func waits() []byte { return block("Wait") }

// opened opens a stream for a call of a method.
func (c *client) opened(method string) (id uint32) {
	id = c.id()
	c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, block(method)))
	return id
}

// resets opens n streams and sends a frame on each that ends it.
func resets(n int, method string, last func(id uint32) []byte) func(c *client) {
	return func(c *client) {
		b := block(method)
		for i := 0; i < n && !c.broken; i += 50 {
			var all [][]byte
			for range 50 {
				id := c.id()
				all = append(all, h2test.Raw(h2test.Headers, h2test.EndHeaders, id, b), h2test.Raw(h2test.Data, h2test.EndStream, id, call), last(id))
			}
			c.send(all...)
		}
	}
}

// onStream repeats a frame on a stream that is open.
func onStream(n int, kind, flags byte, payload ...any) func(c *client) {
	return func(c *client) { c.repeat(count(n), h2test.Raw(kind, flags, c.opened("Deaf"), payload...)) }
}

// flood repeats a frame of the connection's.
func flood(n int, kind, flags byte, payload ...any) func(c *client) {
	return func(c *client) { c.repeat(count(n), h2test.Raw(kind, flags, 0, payload...)) }
}

// inBlock repeats a frame behind a HEADERS frame without END_HEADERS.
func inBlock(n int, kind, flags byte, payload ...any) func(c *client) {
	return func(c *client) {
		id := c.id()
		c.send(h2test.Raw(h2test.Headers, 0, id, waits()))
		c.repeat(count(n), h2test.Raw(kind, flags, id, payload...))
	}
}

// calls makes n calls with the same message, 500 at a time, and waits() for their end.
func (c *client) calls(n int, block func(i int) []byte, message []byte) {
	for i := range n {
		id := c.id()
		c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, block(i)), h2test.Raw(h2test.Data, h2test.EndStream, id, message))
		if i%500 == 499 || i == n-1 {
			c.waitEnds(i + 1)
		}
	}
}

func cancel(id uint32) []byte { return h2test.Raw(h2test.RSTStream, 0, id, 8) }

// TestFloods has clients that send as many frames as they can.
func TestFloods(t *testing.T) { eachKind(t, playFloods) }

func playFloods(t *testing.T, v *victim) {
	unknown := fmt.Sprintf("served; %d × grpc-status 12", count(50_000))
	if facing.companions { // interceptors are asked about methods that are not known, too: these are RPCs, and may be too many
		unknown = `served; (\d+ × RST_STREAM REFUSED_STREAM; )?\d+ × grpc-status 12|` + calmed + "too many stream errors.*"
	}
	run(t, v, "flood", []attack{
		{name: "rapid reset (CVE-2023-44487)", send: resets(count(50_000), "Wait", cancel), want: calmed + "too many streams reset.*"},
		{name: "rapid reset, handlers that do not heed it", send: resets(count(50_000), "Heedless", cancel), want: calmed + ".*"},
		{name: "rapid reset, answers not read", unread: true, send: resets(count(50_000), "Wait", cancel), want: calmed + ".*"},
		{name: "rapid reset, within what is allowed", send: resets(900, "Wait", cancel), want: "served"},
		{name: "MadeYouReset (CVE-2025-8671): WINDOW_UPDATE of 0", send: resets(count(50_000), "Wait", func(id uint32) []byte {
			return h2test.Raw(h2test.WindowUpdate, 0, id, 0)
		}), want: calmed + "too many stream errors.*"},
		{name: "MadeYouReset: window overflow", send: resets(count(50_000), "Wait", func(id uint32) []byte {
			return h2test.Raw(h2test.WindowUpdate, 0, id, 1<<31-1)
		}), want: calmed + "too many stream errors.*"},
		{name: "MadeYouReset: DATA after END_STREAM", send: resets(count(50_000), "Wait", func(id uint32) []byte {
			return h2test.Raw(h2test.Data, 0, id, "x")
		}), want: calmed + "too many stream errors.*"},
		{name: "MadeYouReset: PRIORITY of 4 octets", send: resets(count(50_000), "Wait", func(id uint32) []byte {
			return h2test.Raw(h2test.Priority, 0, id, 0)
		}), want: calmed + "too many stream errors.*"},
		{name: "malformed requests (CVE-2019-9514)", send: func(c *client) {
			for i := 0; i < count(50_000) && !c.broken; i++ {
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, c.id(), "\x83"))
			}
		}, want: calmed + "too many stream errors.*"},
		{name: "malformed requests, answers not read", unread: true, send: func(c *client) {
			for i := 0; i < count(50_000) && !c.broken; i++ {
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, c.id(), "\x83"))
			}
		}, want: calmed + "too many stream errors.*"},
		{name: "more streams than announced", send: func(c *client) {
			for i := 0; i < count(50_000) && !c.broken; i += 10 {
				var all [][]byte
				for range 10 {
					all = append(all, h2test.Raw(h2test.Headers, h2test.EndHeaders, c.id(), waits()))
				}
				c.send(all...)
			}
		}, want: calmed + "too many stream errors.*"},

		{name: "CONTINUATION of one octet (CVE-2024-28182)", send: inBlock(500_000, h2test.Continuation, 0, "\x00"), want: calmed + "field block too large"},
		{name: "CONTINUATION, empty", send: inBlock(500_000, h2test.Continuation, 0), want: calmed + "field block too large"},
		{name: "CONTINUATION, large (CVE-2023-45288)", send: inBlock(5000, h2test.Continuation, 0, make([]byte, 16384)), want: calmed + "field block too large"},
		{name: "PING (CVE-2019-9512)", send: flood(500_000, h2test.Ping, 0, "12345678"), want: calmed + "too_many_pings"},
		{name: "PING, answers not read", unread: true, send: flood(500_000, h2test.Ping, 0, "12345678"), want: calmed + "too_many_pings"},
		{name: "acknowledgements of no PING", send: flood(500_000, h2test.Ping, 0x1, "12345678"), want: "served"},
		{name: "SETTINGS (CVE-2019-9515)", send: flood(500_000, h2test.Settings, 0), want: calmed + "too many SETTINGS"},
		{name: "SETTINGS, answers not read", unread: true, send: flood(500_000, h2test.Settings, 0), want: calmed + "too many SETTINGS"},
		{name: "SETTINGS of 2,000 values (CVE-2020-11080)", send: flood(5000, h2test.Settings, 0, bytes.Repeat(h2test.Parameters(h2test.InitialWindowSize, 9), 2000)), want: calmed + "too many SETTINGS"},
		{name: "INITIAL_WINDOW_SIZE up and down, 900 streams open", send: func(c *client) {
			for range 900 {
				c.opened("Wait")
			}
			both := append(h2test.Parameters(h2test.InitialWindowSize, 0), h2test.Parameters(h2test.InitialWindowSize, 1<<31-1)...)
			c.repeat(count(900), h2test.Raw(h2test.Settings, 0, 0, bytes.Repeat(both, 32)))
		}, want: "served"},
		{name: "PRIORITY (CVE-2019-9513)", send: onStream(500_000, h2test.Priority, 0, 0, "\x10"), want: calmed + "too many PRIORITY frames"},
		{name: "WINDOW_UPDATE", send: onStream(500_000, h2test.WindowUpdate, 0, 1), want: "served"},
		{name: "DATA without content (CVE-2019-9518)", send: onStream(500_000, h2test.Data, 0), want: calmed + "too many empty frames"},
		{name: "DATA of padding", send: onStream(500_000, h2test.Data, h2test.Padded, "\x03abc"), want: calmed + "too many empty frames"},
		{name: "DATA of one octet (CVE-2019-9511)", send: func(c *client) {
			id := c.opened("Wait")
			c.send(h2test.Raw(h2test.Data, 0, id, lpm(0, make([]byte, 65_000))[:5]))
			c.repeat(count(60_000), h2test.Raw(h2test.Data, 0, id, "x"))
		}, want: "served"},
		{name: "messages without content", send: func(c *client) {
			c.sendData(c.opened("Read"), bytes.Repeat(call, count(100_000)), true)
		}, want: "served"},
		{name: "unknown types of frames", send: func(c *client) {
			for kind := range 246 {
				c.repeat(count(1000), h2test.Raw(byte(10+kind), 0xff, 0, "x"))
			}
		}, want: "served"},
		{name: "GOAWAY", send: flood(500_000, h2test.GoAway, 0, 0, 0), want: "served"},
		{name: "calls of unknown methods", send: func(c *client) {
			b := block("Nope")
			for range count(50_000) {
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, c.id(), b))
			}
			c.waitEnds(count(50_000))
		}, want: unknown},
		{name: "calls of 50,000 unknown methods", send: func(c *client) {
			c.calls(50_000, func(i int) []byte { return block(fmt.Sprintf("%0300d", i)) }, call)
		}, want: "served; 50000 × grpc-status 12"},
	})
}

// TestHeaders has clients that send field blocks which cost more than they look.
func TestHeaders(t *testing.T) { eachKind(t, playHeaders) }

func playHeaders(t *testing.T, v *victim) {
	// One large entry of the dynamic table, which single octets refer to afterwards.
	entry := func(name byte, size int) []byte {
		b := append([]byte{0x40, 1, name}, appendInt(nil, 7, 0, size)...)
		return append(b, bytes.Repeat([]byte{'v'}, size)...)
	}
	run(t, v, "header block", []attack{
		{name: "HPACK bomb (CVE-2016-6581)", send: func(c *client) {
			id := c.id()
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, id, waits(), entry('a', 4000)))
			for range count(1000) {
				c.send(h2test.Raw(h2test.Headers, 0, c.id(), waits()), h2test.Raw(h2test.Continuation, h2test.EndHeaders, c.next-2, bytes.Repeat([]byte{0xbe}, 16000)))
			}
			c.waitEnds(count(1000))
		}, want: fmt.Sprintf("served; 1 × grpc-status 12; %d × grpc-status 8", count(1000))},
		{name: "tiny fields, held by a zero window (CVE-2026-49975)", send: func(c *client) {
			c.send(h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.InitialWindowSize, 0)))
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, c.id(), waits(), entry('a', 0)))
			for i := range 998 {
				b := append(block("Wait", "n", fmt.Sprint(i)), bytes.Repeat([]byte{0xbe}, 240)...)
				id := c.id()
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, b), h2test.Raw(h2test.Data, h2test.EndStream, id, call))
			}
		}, want: "served", heap: 48},
		{name: "entries that push each other out (CVE-2022-41723)", send: func(c *client) {
			b := block("Echo")
			for len(b) < 15_000 {
				b = append(b, entry('a', 60)...)
			}
			c.calls(count(2000), func(int) []byte { return b }, call)
		}, want: fmt.Sprintf("served; %d × grpc-status 8", count(2000))},
		{name: "names that are not used twice (CVE-2021-44716)", send: func(c *client) {
			c.calls(count(5000), func(i int) []byte {
				var more []string
				for j := range 20 {
					more = append(more, fmt.Sprintf("name-%d-%d", i, j), "x")
				}
				return block("Echo", more...)
			}, call)
		}, want: fmt.Sprintf("served; %d × grpc-status 0", count(5000))},
		{name: "a table of 4 GiB announced", send: func(c *client) {
			c.send(h2test.Raw(h2test.Settings, 0, 0, h2test.Parameters(h2test.HeaderTableSize, 1<<32-1)))
			c.calls(count(5000), func(int) []byte { return block("Echo") }, call)
		}, want: fmt.Sprintf("served; %d × grpc-status 0", count(5000))},
		{name: "a table larger than ours", send: func(c *client) {
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, c.id(), "\x3f\xe2\x1f", waits()))
		}, want: "GOAWAY COMPRESSION_ERROR: .*"},
		{name: "table size up and down", send: func(c *client) {
			b := append([]byte("\x20\x3f\xe1\x1f"), append(block("Echo"), entry('a', 100)...)...)
			c.calls(count(2000), func(int) []byte { return b }, call)
		}, want: fmt.Sprintf("served; %d × grpc-status 0", count(2000))},
		{name: "Huffman codes without end", send: func(c *client) {
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders|h2test.EndStream, c.id(), waits(), "\x00\x81\xff\x81\xff"))
		}, want: "GOAWAY COMPRESSION_ERROR: .*"},
		{name: "metadata beyond the limit", send: func(c *client) {
			for range count(1000) {
				c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, c.id(), block("Echo", "a", "", "b", string(bytes.Repeat([]byte{'v'}, 16_200)))))
			}
			c.waitEnds(count(1000))
		}, want: fmt.Sprintf("served; %d × grpc-status 8", count(1000))},
	})
}
