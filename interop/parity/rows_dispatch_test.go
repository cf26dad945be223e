package parity

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
)

// badRequests are methods whose requests cannot be decoded.
func badRequests() map[string]*runtime.MethodHandler {
	type bad = wrapperspb.StringValue
	return map[string]*runtime.MethodHandler{
		"uu": runtime.UnaryUnary(func(context.Context, *bad) (*raw, error) { return &raw{}, nil }),
		"us": runtime.UnaryStream(func(context.Context, *bad, runtime.ResponseStream[raw]) error { return nil }),
		"su": runtime.StreamUnary(func(_ context.Context, requests runtime.RequestIterator[bad]) (*raw, error) {
			_, err := requests.Next()
			return &raw{}, err
		}),
		"ss": runtime.StreamStream(func(_ context.Context, requests runtime.RequestIterator[bad], _ runtime.ResponseStream[raw]) error {
			_, err := requests.Next()
			return err
		}),
	}
}

// badResponses are methods whose responses cannot be encoded.
func badResponses() map[string]*runtime.MethodHandler {
	type bad = wrapperspb.StringValue
	notUTF8 := &bad{Value: "\xff"}
	return map[string]*runtime.MethodHandler{
		"uu": runtime.UnaryUnary(func(context.Context, *raw) (*bad, error) { return notUTF8, nil }),
		"us": runtime.UnaryStream(func(_ context.Context, _ *raw, responses runtime.ResponseStream[bad]) error {
			return responses.Send(notUTF8)
		}),
		"su": runtime.StreamUnary(func(context.Context, runtime.RequestIterator[raw]) (*bad, error) { return notUTF8, nil }),
		"ss": runtime.StreamStream(func(_ context.Context, _ runtime.RequestIterator[raw], responses runtime.ResponseStream[bad]) error {
			return responses.Send(notUTF8)
		}),
	}
}

// dispatchRows are about how a handler is found.
var dispatchRows = []row{
	{name: "a method answers", do: script{reply("hello")}, want: ok("hello")},
	{name: "unknown method", call: call{Path: "/parity.P/unknown"}, want: notFound},
	{name: "unknown service", call: call{Path: "/parity.Unknown/%"}, want: notFound},
	{name: "no handlers at all", on: "empty", want: notFound},
	{name: "dictionary value is none", call: call{Path: "/parity.P/none"}, want: notFound},
	{name: "path /", call: call{Path: "/"}, want: notFound},
	{name: "path //", call: call{Path: "//"}, want: notFound},
	{name: "path of a service alone", call: call{Path: "/parity.P"}, want: notFound},
	{name: "path without a method", call: call{Path: "/parity.P/"}, want: notFound},
	{name: "path with a slash at the end", call: call{Path: "/parity.P/%/"}, want: notFound},
	{name: "path in another case", call: call{Path: "/Parity.P/%"}, want: notFound},
	{name: "path with a query", call: call{Path: "/parity.P/%?x=1"}, want: notFound},
	{name: "a generic handler knows the method", call: call{Path: "/parity.Generic/%"}, do: script{reply("generic")}, want: ok("generic")},
	{name: "no generic handler knows the method", call: call{Path: "/parity.Generic/unknown"}, want: notFound},
	{name: "a generic handler raises", call: call{Path: "/parity.Raising/uu"}, want: failed(codes.Unknown, "Error in service handler!")},
	{
		name: "a service is added while the server serves", do: script{reply("late")}, arities: []arity{uu, ss},
		play: func(p *play) {
			i := p.fresh("")
			late := call{Path: "/parity.Late/%"}
			p.check(p.result(p.beginAt(i, late, p.row.do)), notFound, nil)
			i.addService(p, "parity.Late")
			p.check(p.result(p.beginAt(i, late, p.row.do)), ok("late"), nil)
		},
	},
	{
		name: "no request for a unary-request method", arities: unaryRequests, do: script{reply("x")},
		call: call{Arity: ss, Requests: []message{}},
		want: failed(codes.Unimplemented, `"/parity.P/uu" requires exactly one request message.`),
		play: func(p *play) {
			text := `/parity.P/` + string(p.arity)
			p.row.why = "defect: the path shows as a Python literal"
			p.check(p.call(p.row.call), failed(codes.Unimplemented, `"`+text+`" requires exactly one request message.`),
				differs(failed(codes.Unimplemented, `"b'`+text+`'" requires exactly one request message.`)))
		},
	},
	{
		name: "two requests for a unary-request method", arities: []arity{uu}, do: script{reply("x")},
		call: call{Arity: ss, Requests: texts("1", "2")},
		want: failed(codes.Unimplemented, `"/parity.P/uu" requires exactly one request message.`),
		why:  "decision: the second message is an error of the client's, and not ignored", theirs: differs(ok("x")),
	},
	{
		name: "a unary-response method called as one that streams", arities: unaryResponses, do: script{reply("x")},
		play: func(p *play) {
			as := p.arity[:1] + "s"
			p.check(p.result(p.begin(call{Arity: as}, p.row.do)), ok("x"), nil)
		},
	},
	{
		name: "request cannot be decoded", call: call{Path: "/parity.BadRequest/%"}, arities: unaryRequests,
		want: failed(codes.Internal, "Exception deserializing request!"),
	},
	{
		name: "request of a stream cannot be decoded", call: call{Path: "/parity.BadRequest/%"}, arities: streamRequests,
		want: failed(codes.Internal, "Exception deserializing request!"),
		why:  "defect: the RPC is given two statuses, and then the server cannot stop",
	},
	{
		name: "response cannot be encoded", call: call{Path: "/parity.BadResponse/%"}, do: script{reply("x")},
		want: failed(codes.Internal, "Failed to serialize response!"),
	},
}

func TestParity_Dispatch(t *testing.T) { runRows(t, dispatchRows) }

// interceptorRows are about what interceptors can do. There are three; "@0" is the outermost.
var interceptorRows = []row{
	{name: "interceptors let RPCs pass", on: "interceptors", do: script{reply("x")}, want: ok("x")},
	{
		name: "the outermost raises", on: "interceptors", call: call{Metadata: pairsOf("intercept", "raise@0")}, do: script{reply("x")},
		want: failed(codes.Unknown, "Exception calling application: interceptor"),
		why:  "decision: a panic has one text, wherever it happens", theirs: differs(failed(codes.Unknown, "Error in service handler!")),
	},
	{
		name: "the innermost raises", on: "interceptors", call: call{Metadata: pairsOf("intercept", "raise@2")}, do: script{reply("x")},
		want: failed(codes.Unknown, "Exception calling application: interceptor"),
		why:  "decision: a panic has one text, wherever it happens", theirs: differs(failed(codes.Unknown, "Error in service handler!")),
	},
	{name: "the outermost says not found", on: "interceptors", call: call{Metadata: pairsOf("intercept", "none@0")}, want: notFound},
	{name: "the innermost says not found", on: "interceptors", call: call{Metadata: pairsOf("intercept", "none@2")}, want: notFound},
	{name: "denied", on: "interceptors", call: call{Metadata: pairsOf("intercept", "deny@1")}, want: failed(codes.Unauthenticated, "denied")},
	{
		name: "denied on an unknown path", on: "interceptors", call: call{Path: "/no/where", Metadata: pairsOf("intercept", "deny@1")},
		want: failed(codes.Unauthenticated, "denied"),
	},
	{name: "unknown methods pass through", on: "interceptors", call: call{Path: "/no/where"}, want: notFound},
	{
		name: "the method is rewritten", on: "interceptors", do: script{reply("rewritten")},
		call: call{Path: "/else.where/%", Metadata: pairsOf("intercept", "rewrite@0")}, want: ok("rewritten"),
	},
}

func TestParity_Interceptors(t *testing.T) { runRows(t, interceptorRows) }
