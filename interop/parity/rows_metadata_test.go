package parity

import (
	"testing"

	"google.golang.org/grpc/codes"
)

const (
	tooLate = "Initial metadata no longer allowed!"
	invalid = "defect: the RPC is never answered, and then the server cannot stop"
	refused = "decision: the setter refuses what belongs to the protocol, and does not drop it silently"
)

// badMetadata is a row about metadata that cannot be sent.
func badMetadata(name string, set step, why, text string) row {
	return row{name: name, do: script{set, reply("x")}, want: raised(text), why: why}
}

const keyText = `; keys are lower-case letters, digits, '_', '-' and '.'`

// metadataRows are about metadata in both directions.
var metadataRows = []row{
	{
		name: "invocation metadata", do: script{do("tell_metadata")},
		call: call{Metadata: pairsOf("a", "1", "b-bin", "00ff80", "a", "2", "a", "3,4", "c", "")},
		want: ok(`[["a","1"],["a","2"],["a","3,4"],["b-bin","00ff80"],["c",""]]`),
	},
	{
		name: "invocation metadata of the protocol's own is not told", do: script{do("tell_metadata")},
		call: call{Timeout: 20, Compression: "gzip"}, want: ok(`[]`),
	},
	{
		name: "invocation metadata that looks like the protocol's", do: script{do("tell_metadata")},
		call: call{Metadata: pairsOf("cookie", "c=1", "x-grpc", "y")}, want: ok(`[["cookie","c=1"],["x-grpc","y"]]`),
	},
	{name: "spaces inside values", do: script{do("tell_metadata")}, call: call{Metadata: pairsOf("k", "a  b c")}, want: ok(`[["k","a  b c"]]`)},
	{name: "an empty binary value", do: script{do("tell_metadata")}, call: call{Metadata: pairsOf("k-bin", "")}, want: ok(`[["k-bin",""]]`)},
	{
		name: "initial metadata", do: script{sendInitial("i", "1", "i-bin", "00ff", "i", "2"), reply("x")},
		want: ok("x").initial("i", "1", "i", "2", "i-bin", "00ff"),
	},
	{
		name: "initial metadata well before the response", do: script{sendInitial("i", "1"), signal("sent"), await("go"), reply("x")},
		play: func(p *play) {
			u := p.begin(call{}, p.row.do)
			p.await("sent")
			p.signal("go")
			p.check(p.result(u), ok("x").initial("i", "1"), nil)
		},
	},
	{
		name: "initial metadata twice", iterating: true, do: script{sendInitial("i", "1"), sendInitial("i", "2"), reply("x")},
		want: raised(tooLate).initial("i", "1"),
	},
	{
		name: "initial metadata after a response", iterating: true, arities: streamResponses, do: script{send("1"), sendInitial("i", "2")},
		want: failed(codes.Unknown, "Exception calling application: "+tooLate, "1"),
	},
	{
		name: "initial metadata and an error", do: script{sendInitial("i", "1"), abort(codes.Aborted, "a")},
		want: failed(codes.Aborted, "a").initial("i", "1"),
	},
	{
		name: "trailing metadata", do: script{setTrailing("t", "1", "t-bin", "01", "t", "2"), reply("x")},
		want: ok("x").trailing("t", "1", "t", "2", "t-bin", "01"),
	},
	{name: "trailing metadata twice", do: script{setTrailing("t", "1", "u", "1"), setTrailing("t", "2"), reply("x")}, want: ok("x").trailing("t", "2")},
	{
		name: "trailing metadata and an exception", iterating: true, do: script{setTrailing("t", "1"), raise("boom")},
		want: raised("boom").trailing("t", "1"),
	},
	{name: "trailing metadata set after responses", arities: streamResponses, do: script{send("1"), setTrailing("t", "1")}, want: ok("1").trailing("t", "1")},
	{name: "trailing metadata can be read", do: script{setTrailing("t", "1"), do("tell_trailing")}, want: ok(`[["t","1"]]`).trailing("t", "1")},
	{
		name: "both, and a status", do: script{sendInitial("i", "1"), setTrailing("t", "1"), abort(codes.OutOfRange, "far")},
		want: failed(codes.OutOfRange, "far").initial("i", "1").trailing("t", "1"),
	},
	{
		name: "both, and responses", arities: streamResponses, do: script{sendInitial("i", "1"), send("1"), send("2"), setTrailing("t", "1")},
		want: ok("1", "2").initial("i", "1").trailing("t", "1"),
	},
	{
		name: "custom metadata echoed", do: script{sendInitial("x-grpc-test-echo-initial", "v"), setTrailing("x-grpc-test-echo-trailing-bin", "ababab"), do("echo")},
		want: ok("q").initial("x-grpc-test-echo-initial", "v").trailing("x-grpc-test-echo-trailing-bin", "ababab"),
	},
	badMetadata("key in upper case", setTrailing("Key", "v"), invalid, `gogreeter: metadata: key "Key": 'K' is not allowed`+keyText),
	badMetadata("initial key in upper case", sendInitial("Key", "v"), invalid, `gogreeter: metadata: key "Key": 'K' is not allowed`+keyText),
	badMetadata("key of a pseudo-header", setTrailing(":x", "v"), invalid, `gogreeter: metadata: key ":x": ':' is not allowed`+keyText),
	badMetadata("value that is not ASCII", setTrailing("k", "é"), invalid,
		`gogreeter: metadata: value of "k": octet 0xc3 is not printable ASCII; use a key that ends in "-bin"`),
	badMetadata("empty key", setTrailing("", "v"), invalid, `gogreeter: metadata: empty key (its value is "v")`),
	badMetadata("key grpc-status", setTrailing("grpc-status", "3"), refused, `gogreeter: metadata: key "grpc-status" is reserved for the protocol`),
	badMetadata("key content-type", setTrailing("content-type", "a/b"), refused, `gogreeter: metadata: key "content-type" is reserved for the protocol`),
}

func TestParity_Metadata(t *testing.T) { runRows(t, metadataRows) }
