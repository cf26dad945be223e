package runtime

import (
	"context"
	goruntime "runtime"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestRPC_FailureIsToldAtOnce has handlers go on after their RPC has failed: the client need not wait for them.
func TestRPC_FailureIsToldAtOnce(t *testing.T) {
	type text = wrapperspb.StringValue
	for method, details := range map[string]string{
		"Next": "Exception deserializing request!", "Send": "Failed to serialize response!",
	} {
		t.Run(method, func(t *testing.T) {
			release := make(chan struct{})
			s := newTestServer(t, ServerOptions{}, handlers{
				"Next": StreamStream(func(_ context.Context, requests RequestIterator[text], _ ResponseStream[text]) error {
					_, err := requests.Next()
					<-release
					return err
				}),
				"Send": StreamStream(func(_ context.Context, _ RequestIterator[text], responses ResponseStream[text]) error {
					err := responses.Send(nil)
					<-release
					return err
				}),
			})
			defer close(release)
			client := s.dial()
			st := client.open("/t.S/" + method)
			st.send("\xff\xff\xff")
			st.result().want(codes.Internal, details)
		})
	}
}

// TestRPC_InlineExitIsToldAtOnce has the only thing that the reader does end its goroutine.
func TestRPC_InlineExitIsToldAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		exit := UnaryUnary(func(context.Context, *raw) (*raw, error) {
			goruntime.Goexit()
			return nil, nil
		})
		s := newTestServer(t, ServerOptions{}, handlers{"Exit": exit.WithExecutor(Inline)})
		client := s.dial()
		for range 2 {
			client.call("/t.S/Exit", "").result().want(codes.Unknown,
				"Exception calling application: the handler ended its goroutine (runtime.Goexit)")
		}
	})
}
