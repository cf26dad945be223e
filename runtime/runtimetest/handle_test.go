package runtimetest_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestRecorder_Handle has handlers handle what the scripts of TestDifferential cannot ask for.
func TestRecorder_Handle(t *testing.T) {
	type raw = runtime.RawMessage
	octets := func(s string) *raw { return &raw{Data: []byte(s)} }
	typed := runtime.UnaryUnary(func(_ context.Context, request *text) (*text, error) { return request, nil })
	drain := runtime.NewMethodHandler(runtime.CardinalityStreamUnary, func(_ context.Context, stream *runtime.ServerStream) error {
		all := ""
		for {
			request := new(text)
			if err := stream.Receive(request); err == io.EOF {
				return stream.Send(wrapperspb.String(all))
			} else if err != nil {
				return err
			}
			all += request.GetValue()
		}
	})
	sends := func(of runtime.Cardinality, message any) *runtime.MethodHandler {
		return runtime.NewMethodHandler(of, func(_ context.Context, stream *runtime.ServerStream) error { return stream.Send(message) })
	}
	const exactlyOne = `"/t.S/M" requires exactly one request message.`
	for _, tt := range []struct {
		name     string
		handler  *runtime.MethodHandler
		requests []any
		want     []string // of the responses
		code     codes.Code
		details  string
	}{
		{"Typed", typed, []any{wrapperspb.String("x")}, []string{"x"}, codes.OK, ""},
		{"TypedOfOctets", typed, []any{octets("\n\x01x")}, []string{"x"}, codes.OK, ""},
		{"None", typed, nil, nil, codes.Unimplemented, exactlyOne},
		{"Two", typed, []any{octets(""), octets("")}, nil, codes.Unimplemented, exactlyOne},
		{"Undecodable", typed, []any{octets("\xff")}, nil, codes.Internal, "Exception deserializing request!"},
		{"Stream", drain, []any{wrapperspb.String("x"), octets("\n\x01y")}, []string{"xy"}, codes.OK, ""},
		{"StreamOfNone", drain, nil, []string{""}, codes.OK, ""},
		{"StreamUndecodable", drain, []any{octets(""), octets("\xff")}, nil, codes.Internal, "Exception deserializing request!"},
		{
			"NoMessage", sends(runtime.CardinalityUnaryUnary, 1),
			[]any{octets("")},
			nil, codes.Internal, "Failed to serialize response!",
		},
		{
			"NoMessageToStream", sends(runtime.CardinalityStreamStream, 1), nil,
			nil, codes.Internal, "Failed to serialize response!",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Method: "/t.S/M"})
			responses, err := recorder.Handle(ctx, tt.handler, tt.requests...)
			if st := status.Convert(err); st.Code() != tt.code || st.Message() != tt.details {
				t.Errorf("the RPC ended with %v", err)
			}
			var got []string
			for _, response := range responses {
				got = append(got, response.(*text).GetValue())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the responses are %q, want %q", got, tt.want)
			}
			if ctx.Err() == nil {
				t.Error("the RPC is not over")
			}
		})
	}
}

// TestRecorder_HandleOver has a client give up before its requests are taken.
func TestRecorder_HandleOver(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Method: "/t.S/M"})
	_, err := recorder.Handle(ctx, runtime.NewMethodHandler(runtime.CardinalityStreamStream,
		func(_ context.Context, stream *runtime.ServerStream) error {
			recorder.End()
			for what, err := range map[string]error{"Receive": stream.Receive(new(text)), "Send": stream.Send(new(text))} {
				if status.Code(err) != codes.Canceled {
					t.Errorf("%s: %v", what, err)
				}
			}
			if got := fmt.Sprint(stream); got != `stream of RPC "/t.S/M"` {
				t.Errorf("the stream prints as %s", got)
			}
			return nil
		}), wrapperspb.String("x"))
	if status.Code(err) != codes.Canceled {
		t.Errorf("the RPC ended with %v", err)
	}
}

// receiving is a message whose code receives the next one while it is encoded.
type receiving struct{ receive func() }

func (*receiving) SizeVT() int                                  { return 0 }
func (m *receiving) MarshalToSizedBufferVT([]byte) (int, error) { m.receive(); return 0, nil }
func (*receiving) UnmarshalVT([]byte) error                     { return nil }

// TestRecorder_HandleEncodes has a request's code run while it is encoded. No mutex may be held that it may need.
func TestRecorder_HandleEncodes(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Method: "/t.S/M"})
	request, next := &receiving{}, new(text)
	_, err := recorder.Handle(ctx, runtime.NewMethodHandler(runtime.CardinalityStreamStream,
		func(_ context.Context, stream *runtime.ServerStream) error {
			request.receive = func() {
				if err := stream.Receive(next); err != nil {
					t.Error(err)
				}
			}
			return stream.Receive(new(text))
		}), request, wrapperspb.String("x"))
	if err != nil || next.GetValue() != "x" {
		t.Errorf("the next request is %q, and the RPC ended with %v", next.GetValue(), err)
	}
}
