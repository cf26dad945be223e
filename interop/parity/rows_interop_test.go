package parity

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
)

// pingPong has a handler answer each request with a message of a size of its own, after it has read that request.
func pingPong(sizes ...int) script {
	var s script
	for _, size := range sizes {
		s = append(s, do("recv"), sendSize(size))
	}
	return s
}

const special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"

// interopRows are the cases of gRPC's interop suite, by its names, with its sizes.
var interopRows = []row{
	{name: "empty_unary", arities: []arity{uu}, do: script{reply("")}, call: call{Requests: texts("")}, want: ok("")},
	{name: "large_unary", arities: []arity{uu}, do: script{sendSize(314159)}, call: call{Requests: sizes(271828)}, want: ok(described(314159)...)},
	{name: "client_streaming", arities: []arity{su}, do: script{do("tell_total")}, call: call{Requests: sizes(27182, 8, 1828, 45904)}, want: ok("74922")},
	{
		name: "server_streaming", arities: []arity{us}, do: script{sendSize(31415), sendSize(9), sendSize(2653), sendSize(58979)},
		want: ok(described(31415, 9, 2653, 58979)...),
	},
	{
		name: "ping_pong", arities: []arity{ss}, do: append(pingPong(31415, 9, 2653, 58979), do("drain")),
		call: call{Requests: sizes(27182, 8, 1828, 45904), Lockstep: true}, want: ok(described(31415, 9, 2653, 58979)...),
	},
	{name: "empty_stream", arities: []arity{ss}, do: script{do("drain")}, call: call{Requests: []message{}}, want: ok()},
	{name: "cancel_after_begin", arities: []arity{su}, do: script{do("tell_total")}, play: func(p *play) {
		u := p.begin(call{Requests: []message{}, Open: true}, p.row.do)
		u.cancel(p)
		p.check(p.result(u), cancelled, nil)
	}},
	{name: "cancel_after_first_response", arities: []arity{ss}, do: append(pingPong(31415), do("drain")), play: func(p *play) {
		u := p.begin(call{Requests: sizes(27182), Open: true}, p.row.do)
		u.message(p)
		u.cancel(p)
		p.check(p.result(u), failed(codes.Canceled, "*", described(31415)...), nil)
	}},
	{name: "timeout_on_sleeping_server", arities: []arity{ss}, do: script{do("until_over")}, call: call{Requests: sizes(27182), Timeout: 0.001}, want: expired},
	{
		name: "status_code_and_message", arities: []arity{uu, ss}, do: script{abort(codes.Unknown, "test status message")},
		want: failed(codes.Unknown, "test status message"),
	},
	{name: "special_status_message", arities: []arity{uu}, do: script{abort(codes.Unknown, special)}, want: failed(codes.Unknown, special)},
	{name: "unimplemented_method", arities: []arity{uu}, call: call{Path: "/parity.P/UnimplementedCall"}, want: notFound},
	{name: "unimplemented_service", arities: []arity{uu}, call: call{Path: "/parity.UnimplementedService/UnimplementedCall"}, want: notFound},
	{
		name: "custom_metadata", arities: []arity{uu, ss},
		do: script{sendInitial("x-grpc-test-echo-initial", "test_initial_metadata_value"), setTrailing("x-grpc-test-echo-trailing-bin", "0a0b0a0b0a0b"), do("join")},
		want: ok(described(271828)...).initial("x-grpc-test-echo-initial", "test_initial_metadata_value").
			trailing("x-grpc-test-echo-trailing-bin", "0a0b0a0b0a0b"),
		call: call{Requests: sizes(271828)},
	},
}

func TestParity_InteropSuite(t *testing.T) { runRows(t, interopRows) }

// earlyRows have a handler end well before it has read what the client sends.
func earlyRows() []row {
	var rows []row
	for _, count := range []int{1, 4, 16} {
		for _, size := range []int{0, 1, 1 << 14, 1 << 20, 3 << 20} {
			requests := make([]message, count)
			for n := range requests {
				requests[n].Size = size
			}
			rows = append(rows, row{
				name: fmt.Sprint(count, " requests of ", size, " octets"), arities: streamRequests,
				do: script{reply("early")}, call: call{Requests: requests}, want: ok("early"),
			})
		}
	}
	return rows
}

func TestParity_EarlyOK(t *testing.T) { runRows(t, earlyRows()) }
