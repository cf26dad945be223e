package runtime

import (
	"context"
	"testing"
)

// TestCardinality compares the constants with the handlers of their names.
func TestCardinality(t *testing.T) {
	for _, tt := range []struct {
		is                                  Cardinality
		handler                             *MethodHandler
		name                                string
		requestStreaming, responseStreaming bool
	}{
		{
			CardinalityUnaryUnary, UnaryUnary(func(context.Context, *raw) (*raw, error) { return nil, nil }),
			"UnaryUnary", false, false,
		},
		{
			CardinalityUnaryStream, UnaryStream(func(context.Context, *raw, ResponseStream[raw]) error { return nil }),
			"UnaryStream", false, true,
		},
		{
			CardinalityStreamUnary, StreamUnary(func(context.Context, RequestIterator[raw]) (*raw, error) { return nil, nil }),
			"StreamUnary", true, false,
		},
		{
			CardinalityStreamStream, StreamStream(func(context.Context, RequestIterator[raw], ResponseStream[raw]) error { return nil }),
			"StreamStream", true, true,
		},
	} {
		if c := tt.is; c.String() != tt.name || c.RequestStreaming() != tt.requestStreaming || c.ResponseStreaming() != tt.responseStreaming {
			t.Errorf("%s: %v, %v, %v", tt.name, c, c.RequestStreaming(), c.ResponseStreaming())
		}
		if got := tt.handler.Cardinality(); got != tt.is {
			t.Errorf("the handler of a method %s is %v", tt.name, got)
		}
	}
	if got := Cardinality(4).String(); got != "Cardinality(4)" {
		t.Errorf("what there is not is %q", got)
	}
}
