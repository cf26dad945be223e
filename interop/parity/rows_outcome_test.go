package parity

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

const (
	oneText     = "decision: a panic has one text, wherever it happens"
	noSetCode   = "decision: a status is returned, not set; a handler that panics has returned none"
	hangsThere  = "defect: the RPC is never answered"
	neverOK     = "defect: a failure must not be told as a success"
	okNoDetails = "decision: a success has no details"
)

func raised(text string) answer {
	return failed(codes.Unknown, "Exception calling application: "+text)
}

// outcomeRows are about how handlers end.
var outcomeRows = []row{
	{name: "raises", do: script{raise("boom")}, want: raised("boom"), iterating: true},
	{name: "raises before it returns an iterator", arities: streamResponses, do: script{do("raise_early")}, want: raised("")},
	{
		name: "raises after responses", arities: streamResponses, do: script{send("1"), send("2"), raise("boom2")}, iterating: true,
		want: failed(codes.Unknown, "Exception calling application: boom2", "1", "2"),
	},
	{name: "raises without a text", do: script{raise("")}, want: raised(""), iterating: true},
	{name: "raises with a text of all kinds", do: script{raise("é 100 %\n\t\r~ ‱ 𝄞")}, want: raised("é 100 %\n\t\r~ ‱ 𝄞"), iterating: true},
	{
		name: "raises an RpcError of its own", do: script{doText("raise_rpc_error", "x")}, iterating: true,
		want: raised("rpc error: code = Unknown desc = x"), why: "decision: a panic with a status is a panic",
		theirs: differs(raised("x")),
	},
	{
		name: "raises what cannot be printed", do: script{do("raise_unprintable")}, why: hangsThere,
		want: raised("%!v(PANIC=String method: not printable)"),
	},
	{
		name: "returns an error without a status", do: script{{Do: "fail", Code: uint32(codes.Unknown), Text: "own text"}},
		want: failed(codes.Unknown, "own text"),
	},
	{name: "no response", arities: unaryResponses, do: script{do("send_none")}, want: failed(codes.Internal, "Failed to serialize response!")},
	{
		name: "no response in mid-stream", arities: streamResponses, do: script{send("1"), do("send_none"), send("2")},
		want: failed(codes.Internal, "Failed to serialize response!", "1"),
		why:  "decision: to send nothing is a mistake, and not the end", theirs: differs(ok("1")),
	},
	{name: "empty stream", arities: streamResponses, do: script{do("end")}, want: ok()},
	{name: "empty message", do: script{reply("")}, want: ok("")},
	{name: "empty messages echoed", do: script{do("echo")}, call: call{Requests: texts("")}, want: ok("")},
	{name: "many empty messages", arities: []arity{ss}, do: script{do("echo")}, call: call{Requests: texts("", "", "", "")}, want: ok("", "", "", "")},
	{name: "requests are iterated over", arities: streamRequests, do: script{do("join")}, call: call{Requests: texts("a", "b", "c")}, want: ok("abc")},
	{name: "no requests at all", arities: streamRequests, do: script{do("join")}, call: call{Requests: []message{}}, want: ok("")},
	{name: "the iterator past its end", arities: streamRequests, do: script{do("drain"), do("recv_error")}, want: ok("end")},
	{
		name: "a hundred responses", arities: streamResponses, do: script{{Do: "repeat", N: 100, Text: "x"}},
		want: ok(strings.Split(strings.Repeat("x ", 99)+"x", " ")...),
	},
	{
		name: "ends before it has read the requests", arities: streamRequests, do: script{reply("early")},
		call: call{Requests: texts("1", "2", "3"), Open: true}, want: ok("early"),
	},
	{
		name: "fails before it has read the requests", arities: streamRequests, do: script{abort(codes.FailedPrecondition, "enough")},
		call: call{Requests: texts("1", "2", "3"), Open: true}, want: failed(codes.FailedPrecondition, "enough"),
	},
}

func TestParity_Outcomes(t *testing.T) { runRows(t, outcomeRows) }

// setCode and setDetails are how grpc-python's handlers leave a status behind and return.
func setCode(code codes.Code) step { return step{Do: "set_code", Code: uint32(code)} }

func setDetails(text string) step { return doText("set_details", text) }

// statusRows are about what becomes of a status.
var statusRows = []row{
	{
		name: "code and details set, response returned", arities: unaryResponses, do: script{setCode(codes.NotFound), setDetails("nf"), reply("value")},
		want: failed(codes.NotFound, "nf"),
	},
	{
		name: "code and details set, responses sent", arities: streamResponses, do: script{setCode(codes.NotFound), setDetails("nf"), send("1")},
		want: failed(codes.NotFound, "nf", "1"),
	},
	{name: "code set, no details", do: script{setCode(codes.DataLoss)}, want: failed(codes.DataLoss, "")},
	{
		name: "code set, then raises", do: script{setCode(codes.NotFound), raise("boom")}, iterating: true, why: noSetCode,
		want: raised("boom"), theirs: differs(failed(codes.NotFound, "Exception calling application: boom")),
	},
	{
		name: "code and details set, then raises", do: script{setCode(codes.NotFound), setDetails("nf"), raise("boom")}, why: noSetCode,
		want: raised("boom"), theirs: differs(failed(codes.NotFound, "nf")),
	},
	{
		name: "details set, then raises", do: script{setDetails("dd"), raise("boom")}, why: noSetCode,
		want: raised("boom"), theirs: differs(failed(codes.Unknown, "dd")),
	},
	{
		name: "OK set, then raises", arities: streamResponses, do: script{setCode(codes.OK), raise("boom")}, iterating: true, why: neverOK,
		want: raised("boom"), theirs: differs(failed(codes.OK, "*")),
	},
	{
		name: "OK set with details", do: script{setCode(codes.OK), setDetails("dd"), reply("x")}, why: okNoDetails,
		want: ok("x"), theirs: differs(failed(codes.OK, "*", "x")),
	},
	{name: "code set and reset", do: script{setCode(codes.NotFound), setCode(codes.OK), reply("x")}, want: ok("x")},
	{name: "aborts", do: script{abort(codes.FailedPrecondition, "why é %")}, want: failed(codes.FailedPrecondition, "why é %")},
	{name: "aborts after responses", arities: streamResponses, do: script{send("1"), abort(codes.Aborted, "late")}, want: failed(codes.Aborted, "late", "1")},
	{name: "aborts with an empty text", do: script{abort(codes.Aborted, "")}, want: failed(codes.Aborted, "")},
	{
		name: "aborts with OK", do: script{abort(codes.OK, "why")}, arities: streamResponses,
		want: ok(), why: "decision: status.Error(codes.OK) is nil, in grpc-go's vocabulary",
		theirs: differs(failed(codes.Unknown, "")),
	},
	{
		name: "aborts with a number that is no code", do: script{{Do: "abort_number", Code: 99, Text: "why"}},
		want: failed(codes.Unknown, "why"),
	},
	{
		name: "aborts with a number that is a code", do: script{{Do: "abort_number", Code: 5, Text: "why"}},
		want: failed(codes.NotFound, "why"), why: "decision: there is one type of codes", theirs: differs(failed(codes.Unknown, "why")),
	},
	{
		name: "aborts with a status", do: script{setTrailing("lost", "1"), {Do: "abort_with_status", Code: uint32(codes.DataLoss), Text: "lost", MD: pairsOf("k", "v", "k", "w", "b-bin", "00ff")}},
		want: failed(codes.DataLoss, "lost").trailing("b-bin", "00ff", "k", "v", "k", "w"),
	},
	{
		name: "details with tabs, line ends and all planes", do: script{abort(codes.Unknown, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")},
		want: failed(codes.Unknown, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),
	},
	{name: "details in Cyrillic", do: script{abort(codes.Internal, "Раз два три, Ёлка — «гори»")}, want: failed(codes.Internal, "Раз два три, Ёлка — «гори»")},
	{name: "details that look encoded", do: script{abort(codes.Internal, "%41 %zz %")}, want: failed(codes.Internal, "%41 %zz %")},
	{
		name: "details of 4 KiB", do: script{abort(codes.Internal, strings.Repeat("0123456789abcdef", 256))},
		want: failed(codes.Internal, strings.Repeat("0123456789abcdef", 256)),
	},
	{name: "cancelled by the handler", do: script{do("cancel")}, want: failed(codes.Canceled, "CANCELLED")},
	{
		name: "cancelled by the handler after a response", arities: streamResponses, do: script{send("1"), do("cancel")},
		want: failed(codes.Canceled, "CANCELLED", "1"),
	},
	{name: "every code", play: func(p *play) {
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			p.check(p.result(p.begin(call{}, script{abort(code, code.String())})), failed(code, code.String()), nil)
		}
	}},
}

func TestParity_Status(t *testing.T) { runRows(t, statusRows) }
