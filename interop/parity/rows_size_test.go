package parity

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
)

func tooLarge(verb string, size, limit int, messages ...string) answer {
	return failed(codes.ResourceExhausted, fmt.Sprintf("%s message larger than max (%d vs. %d)", verb, size, limit), messages...)
}

const mib = 1 << 20

func sendSize(size int) step { return step{Do: "send", Size: size} }

// sizeRows are about how large messages may be.
var sizeRows = []row{
	{name: "the largest request by default", do: script{do("drain"), reply("x")}, call: call{Requests: sizes(4 * mib)}, want: ok("x")},
	{
		name: "a request larger than by default", do: script{do("drain"), reply("x")}, call: call{Requests: sizes(4*mib + 1)},
		want: tooLarge("Received", 4*mib+1, 4*mib),
	},
	{name: "the largest request", on: "receive100", do: script{do("drain"), reply("x")}, call: call{Path: "/parity.P/%", Requests: sizes(100)}, want: ok("x")},
	{
		name: "a request too large", on: "receive100", do: script{do("drain"), reply("x")}, call: call{Requests: sizes(101)},
		want: tooLarge("Received", 101, 100),
	},
	{
		name: "a second request too large", on: "receive100", arities: []arity{ss}, do: script{do("echo")}, call: call{Requests: texts("1"), Open: true},
		play: func(p *play) {
			c := p.row.call
			c.Requests = append(c.Requests, message{Size: 101})
			have := p.result(p.begin(c, p.row.do))
			have.Messages = nil // the first may have been answered before the second came
			p.check(have, tooLarge("Received", 101, 100), nil)
		},
	},
	{
		name: "requests without a limit", on: "receive-any", arities: []arity{uu, ss}, do: script{do("drain"), reply("x")},
		call: call{Requests: sizes(8 * mib)}, want: ok("x"),
	},
	{name: "the largest response", on: "send1000", do: script{sendSize(1000)}, want: ok(described(1000)...)},
	{name: "a response too large", on: "send1000", do: script{sendSize(1001)}, want: tooLarge("Sent", 1001, 1000)},
	{
		name: "a second response too large", on: "send1000", arities: streamResponses, do: script{send("1"), sendSize(1001)},
		want: tooLarge("Sent", 1001, 1000, "1"),
	},
	{name: "responses have no limit by default", arities: []arity{uu, us}, do: script{sendSize(8 * mib)}, want: ok(described(8 * mib)...)},
}

func TestParity_Sizes(t *testing.T) { runRows(t, sizeRows) }

func compress(how string) step { return doText("compress", how) }

// compressionRows are about compression in both directions.
var compressionRows = []row{
	{name: "no compression by default", do: script{sendSize(9000)}, want: ok(described(9000)...).wire("identity")},
	{name: "set to gzip", do: script{compress("gzip"), sendSize(9000)}, want: ok(described(9000)...).wire("gzip")},
	{name: "set to deflate", do: script{compress("deflate"), sendSize(9000)}, want: ok(described(9000)...).wire("deflate")},
	{
		name: "set to identity", on: "gzip", do: script{compress("identity"), sendSize(9000)}, want: ok(described(9000)...).wire("identity"),
		why: "defect: set_compression(NoCompression) does not override the server's default", theirs: differs(ok(described(9000)...).wire("gzip")),
	},
	{name: "the server's default is gzip", on: "gzip", do: script{sendSize(9000)}, want: ok(described(9000)...).wire("gzip")},
	{name: "the server's default is deflate", on: "deflate", do: script{sendSize(9000)}, want: ok(described(9000)...).wire("deflate")},
	{name: "the server's default is overridden", on: "deflate", do: script{compress("gzip"), sendSize(9000)}, want: ok(described(9000)...).wire("gzip")},
	{name: "what does not shrink", do: script{compress("gzip"), send("x")}, want: ok("x").wire("identity")},
	{name: "the next message is not compressed", on: "gzip", do: script{do("plain_next"), sendSize(9000)}, want: ok(described(9000)...).wire("identity")},
	{
		name: "only the next message is not compressed", on: "gzip", arities: streamResponses,
		do:   script{sendSize(9000), do("plain_next"), sendSize(9000), sendSize(9000)},
		want: ok(described(9000, 9000, 9000)...).wire("gzip", "identity", "gzip"),
	},
	{
		name: "set too late", arities: streamResponses, do: script{send("1"), compress("gzip"), sendSize(9000)},
		want: ok(append([]string{"1"}, described(9000)...)...).wire("identity", "identity"),
	},
	{
		name: "set after initial metadata", do: script{sendInitial("i", "1"), compress("gzip"), sendSize(9000)},
		want: ok(described(9000)...).initial("i", "1").wire("identity"),
	},
	{name: "gzip requests", do: script{do("join")}, call: call{Compression: "gzip", Requests: sizes(9000)}, want: ok(described(9000)...)},
	{name: "deflate requests", do: script{do("join")}, call: call{Compression: "deflate", Requests: sizes(9000)}, want: ok(described(9000)...)},
	{
		name: "gzip in both directions, stream", arities: []arity{ss}, do: script{compress("gzip"), do("echo")},
		call: call{Compression: "gzip", Requests: sizes(9000, 20000, 3000)}, want: ok(described(9000, 20000, 3000)...).wire("gzip", "gzip", "gzip"),
	},
}

func TestParity_Compression(t *testing.T) { runRows(t, compressionRows) }

// reassembled are the sizes about which frames and windows end.
var reassembled = []int{1, 1<<14 + 1, mib - 1, mib, 3 * mib}

// reassemblyRows send and return each size, for itself and all in one stream.
func reassemblyRows() []row {
	var rows []row
	for _, how := range []string{"identity", "gzip"} {
		c := call{Compression: map[string]string{"gzip": "gzip"}[how]}
		for _, size := range append(reassembled, 0) {
			one := c
			one.Requests = []message{{Size: size}}
			rows = append(rows, row{
				name: fmt.Sprint(size, " octets, ", how), do: script{compress(how), do("join")}, call: one,
				want: ok(describe(message{Size: size}.payload())),
			})
		}
		all := c
		all.Requests = sizes(reassembled...)
		rows = append(rows, row{
			name: "all sizes, " + how, arities: []arity{ss}, do: script{compress(how), do("echo")}, call: all,
			want: ok(described(reassembled...)...),
		})
	}
	return rows
}

func TestParity_MessageReassembly(t *testing.T) { runRows(t, reassemblyRows()) }
