package interop

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

const (
	sayHello            = "/helloworld.Greeter/SayHello"
	sayHelloStreamReply = "/helloworld.Greeter/SayHelloStreamReply"
	collectHellos       = "/helloworld.Greeter/CollectHellos"
	sayHelloBidiStream  = "/helloworld.Greeter/SayHelloBidiStream"
)

// messageLimit is the largest message that a server accepts by default.
const messageLimit = 4 << 20

// call makes an RPC of any cardinality: it sends the requests, half-closes, and returns the responses that came before
// the status.
func call[Req, Res any](ctx context.Context, channel *grpc.ClientConn, path string, requests []*Req, options ...grpc.CallOption) ([]*Res, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := open[Req, Res](ctx, channel, path, options...)
	if err != nil {
		return nil, err
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) { // EOF: Recv has the status
			return nil, err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var responses []*Res
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return responses, nil
		}
		if err != nil {
			return responses, err
		}
		responses = append(responses, response)
	}
}

// open begins an RPC of any cardinality.
func open[Req, Res any](ctx context.Context, channel *grpc.ClientConn, path string, options ...grpc.CallOption) (*grpc.GenericClientStream[Req, Res], error) {
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path, options...)
	if err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[Req, Res]{ClientStream: stream}, nil
}

// greet makes a unary RPC as grpc-go's generated code does, and returns the message.
func greet(ctx context.Context, channel *grpc.ClientConn, path, name string, options ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply := new(helloworld.HelloReply)
	err := channel.Invoke(ctx, path, &helloworld.HelloRequest{Name: name}, reply, options...)
	return reply.GetMessage(), err
}

// wantHello checks that the server still serves: a greeter answers Ada.
func wantHello(t *testing.T, channel *grpc.ClientConn) {
	t.Helper()
	message, err := greet(t.Context(), channel, sayHello, "Ada")
	if err != nil || message != "Hello, Ada!" {
		t.Errorf("SayHello(Ada) = %q, %v; want Hello, Ada!", message, err)
	}
}

// wantStatus checks code and details of an error; details that end in "…" are a prefix.
func wantStatus(t *testing.T, err error, code codes.Code, details string) {
	t.Helper()
	have := status.Convert(err)
	prefix, isPrefix := strings.CutSuffix(details, "…")
	if have.Code() != code || have.Message() != details && !(isPrefix && strings.HasPrefix(have.Message(), prefix)) {
		t.Errorf("status is %v %q, want %v %q", have.Code(), have.Message(), code, details)
	}
}

// wantMessages compares what came with what was to come.
func wantMessages[M any, P interface {
	*M
	proto.Message
}](t *testing.T, have, want []*M) {
	t.Helper()
	if len(have) != len(want) {
		t.Errorf("%d messages came, want %d: %v", len(have), len(want), have)
		return
	}
	for i := range want {
		if !proto.Equal(P(have[i]), P(want[i])) {
			t.Errorf("message %d is %v, want %v", i, have[i], want[i])
		}
	}
}

func requests(names ...string) []*helloworld.HelloRequest {
	var list []*helloworld.HelloRequest
	for _, name := range names {
		list = append(list, &helloworld.HelloRequest{Name: name})
	}
	return list
}

func replies(messages ...string) []*helloworld.HelloReply {
	var list []*helloworld.HelloReply
	for _, message := range messages {
		list = append(list, &helloworld.HelloReply{Message: message})
	}
	return list
}

// nameOf returns a name with which a HelloRequest is size bytes long.
func nameOf(t *testing.T, size int) string {
	t.Helper()
	empty := proto.Size(&helloworld.HelloRequest{Name: strings.Repeat("x", size)}) - size
	name := strings.Repeat("x", size-empty)
	if have := proto.Size(&helloworld.HelloRequest{Name: name}); have != size {
		t.Fatalf("no HelloRequest is %d bytes long: this one is %d", size, have)
	}
	return name
}
