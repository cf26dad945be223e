package attack

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// TestMalformed sends requests that are wrong in one way each, all on one connection, which has to serve a request after
// each of them. What concerns frames is in TestConn_ReactsToFrames and its siblings of package http2.
func TestMalformed(t *testing.T) { eachKind(t, playMalformed) }

func playMalformed(t *testing.T, v *victim) {
	const streamError = "RST_STREAM PROTOCOL_ERROR"
	hi := lpm(0, []byte("hi"))
	plain := func(fields ...string) []byte {
		var b []byte
		for i := 0; i < len(fields); i += 2 {
			b = append(b, field(fields[i], fields[i+1])...)
		}
		return b
	}
	request := func(more ...string) []byte {
		return plain(append([]string{
			":method", "POST", ":scheme", "http", ":path", "/attack.S/Echo", "content-type", "application/grpc",
		}, more...)...)
	}
	rows := []struct {
		name  string
		block []byte
		data  []byte
		want  string
	}{
		{"name in upper case", request("Upper", "x"), hi, streamError},
		{"name with a space", request("a b", "x"), hi, streamError},
		{"name with a colon", request("a:b", "x"), hi, streamError},
		{"name with a control character", request("a\x01", "x"), hi, streamError},
		{"name that is empty (CVE-2019-9516)", request("", "x"), hi, streamError},
		{"value with CR (CVE-2021-21295)", request("a", "x\ry"), hi, streamError},
		{"value with LF", request("a", "x\ny"), hi, streamError},
		{"value with NUL", request("a", "x\x00y"), hi, streamError},
		{"connection", request("connection", "close"), hi, streamError},
		{"transfer-encoding", request("transfer-encoding", "chunked"), hi, streamError},
		{"upgrade", request("upgrade", "h2c"), hi, streamError},
		{"te other than trailers", request("te", "gzip"), hi, streamError},
		{"pseudo-header unknown", request(":x", "y"), hi, streamError},
		{"pseudo-header behind fields", plain(":method", "POST", ":scheme", "http", "a", "b", ":path", "/attack.S/Echo"), hi, streamError},
		{"two paths", plain(":method", "POST", ":scheme", "http", ":path", "/attack.S/Echo", ":path", "/other"), hi, streamError},
		{"no path", plain(":method", "POST", ":scheme", "http"), hi, streamError},
		{"empty path", plain(":method", "POST", ":scheme", "http", ":path", ""), hi, streamError},
		{"no scheme", plain(":method", "POST", ":path", "/attack.S/Echo"), hi, streamError},
		{":status in a request", request(":status", "200"), hi, streamError},
		{"content-length that is too small (CVE-2021-36740)", request("content-length", "3"), hi, streamError},
		{"content-length that is too large", request("content-length", "300"), hi, streamError},
		{"two content-lengths", request("content-length", "7", "content-length", "8"), hi, streamError},

		{"path without a slash (CVE-2026-33186)", plain(":method", "POST", ":scheme", "http", ":path", "attack.S/Echo", "content-type", "application/grpc"), hi, "grpc-status 12"},
		{"path with dots", plain(":method", "POST", ":scheme", "http", ":path", "/x/../attack.S/Echo", "content-type", "application/grpc"), hi, "grpc-status 12"},
		{"method that is not POST", plain(":method", "GET", ":scheme", "http", ":path", "/attack.S/Echo", "content-type", "application/grpc"), hi, "HTTP 405"},
		{"content-type that is not gRPC's", plain(":method", "POST", ":scheme", "http", ":path", "/attack.S/Echo", "content-type", "text/html"), hi, "HTTP 415"},
		{"no te", request(), hi, "grpc-status 0"},
		{"grpc-timeout of no number", request("grpc-timeout", "soon"), hi, "grpc-status 13"},
		{"grpc-timeout below zero", request("grpc-timeout", "-1S"), hi, "grpc-status 13"},
		{"grpc-timeout of nine digits", request("grpc-timeout", "100000000n"), hi, "grpc-status 13"},
		{"grpc-timeout of 11,415 years", request("grpc-timeout", "99999999H"), hi, "grpc-status 0"},
		{"grpc-timeout, and half a message", request("grpc-timeout", "50m"), nil, "grpc-status 4"},
		{"grpc-encoding unknown", request("grpc-encoding", "snappy"), hi, "grpc-status 12"},
		{"-bin that is no base64 (CVE-2023-32732)", request("x-bin", "!"), hi, "grpc-status 13"},
		{"-bin with padding, joined by a comma", request("x-bin", "AAE=,AAI"), hi, "grpc-status 0"},
		{"Compressed-Flag without grpc-encoding", request(), lpm(1, []byte("hi")), "grpc-status 13"},
		{"Compressed-Flag of 2", request(), lpm(2, []byte("hi")), "grpc-status 13"},
		{"gzip that is none", request("grpc-encoding", "gzip"), lpm(1, []byte("hi")), "grpc-status 13"},
		{"message that is cut", request(), hi[:6], "grpc-status 13"},
		{"message with octets behind it", request(), append(bytes.Clone(hi), 0), "grpc-status 13"},
		{"no message", request(), []byte{}, "grpc-status 12"},
		{"two messages", request(), append(bytes.Clone(hi), hi...), "grpc-status 12"},
		{"message over the limit", request(), []byte("\x00\x00\x40\x00\x01"), "grpc-status 8"},
		{"protobuf that is none", block("Value"), lpm(0, []byte("\xff\xff")), "grpc-status 13"},
		{"string that is not UTF-8", block("Value"), lpm(0, []byte("\x1a\x02\xff\xfe")), "grpc-status 13"},
		{"groups in groups, 100,000", block("Value"), lpm(0, []byte(strings.Repeat("\x0b", 100_000))), "grpc-status 13"},
		{"lists in lists, 4,000", block("Value"), lpm(0, nested(4000)), "grpc-status 0"},
		{"lists in lists, 100,000", block("Value"), lpm(0, nested(100_000)), "grpc-status 13"},
	}
	b := v.watch("default")
	defer func() {
		close(b.stop)
		b.wg.Wait()
	}()
	c := v.friend("default")
	defer c.close()
	before := v.measure("default", true)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			id := c.id()
			c.send(h2test.Raw(h2test.Headers, h2test.EndHeaders, id, row.block))
			switch {
			case row.data == nil:
				c.send(h2test.Raw(h2test.Data, 0, id, hi[:6]))
			case len(row.data) > 16384:
				c.sendData(id, row.data, true)
				c.send(h2test.Raw(h2test.Data, h2test.EndStream, id))
			default:
				c.send(h2test.Raw(h2test.Data, h2test.EndStream, id, row.data))
			}
			c.wait("an answer", func() bool { return c.ends[id] != "" })
			c.Lock()
			got, goAways := c.ends[id], c.goAways
			delete(c.bodies, id)
			c.Unlock()
			if got != row.want || len(goAways) > 0 {
				t.Errorf("answered with %q, want %q; GOAWAY %q", got, row.want, goAways)
			}
			if end := c.call("Echo", []byte("after it")); end != "grpc-status 0" {
				t.Errorf("the next call ends with %q", end)
			}
		})
	}
	b.waitCalls(t, 4)
	if grown := v.measure("default", true).Heap - before.Heap; grown > heapLeft {
		t.Errorf("the heap has grown by %d octets", grown)
	}
}

// nested returns a google.protobuf.Value that is lists in lists.
func nested(depth int) []byte {
	var parts [][]byte // from the inside
	length := 0
	wrap := func(tag byte) {
		head := append([]byte{tag}, uvarint(length)...)
		parts = append(parts, head)
		length += len(head)
	}
	for range depth {
		wrap(0x0a) // ListValue.values
		wrap(0x32) // Value.list_value
	}
	b := make([]byte, 0, length)
	for i := len(parts) - 1; i >= 0; i-- {
		b = append(b, parts[i]...)
	}
	return b
}

func uvarint(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
