package promised

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/internal/promised/version1"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestGenerated_OldFilesWork calls all methods of servers whose generated code is old: without an implementation, and with one.
func TestGenerated_OldFilesWork(t *testing.T) {
	for _, tt := range []struct {
		name          string
		unimplemented func(runtime.Registrar) error
		implemented   func(runtime.Registrar) error
	}{
		{
			"Version1",
			func(r runtime.Registrar) error {
				return version1.AddGreeterToServer(version1.UnimplementedGreeterServicer{}, r)
			},
			func(r runtime.Registrar) error {
				return version1.AddGreeterToServer(&version1.FakeGreeterServicer{
					SayHelloFunc: sayHello, SayHelloStreamReplyFunc: sayHelloStreamReply,
					CollectHellosFunc: collectHellos, SayHelloBidiStreamFunc: sayHelloBidiStream,
				}, r)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			callAll(t, tt.unimplemented, codes.Unimplemented, "Method not implemented!")
			callAll(t, tt.implemented, codes.OK, "")
		})
	}
}

func sayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return &helloworld.HelloReply{Message: request.GetName()}, nil
}

func sayHelloStreamReply(_ context.Context, request *helloworld.HelloRequest, replies runtime.ResponseStream[helloworld.HelloReply]) error {
	return replies.Send(&helloworld.HelloReply{Message: request.GetName()})
}

func collectHellos(_ context.Context, requests runtime.RequestIterator[helloworld.HelloRequest]) (*helloworld.HelloReply, error) {
	reply := &helloworld.HelloReply{}
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		reply.Message += request.GetName()
	}
	return reply, nil
}

func sayHelloBidiStream(ctx context.Context, requests runtime.RequestIterator[helloworld.HelloRequest], replies runtime.ResponseStream[helloworld.HelloReply]) error {
	reply, err := collectHellos(ctx, requests)
	if err != nil {
		return err
	}
	return replies.Send(reply)
}

// callAll calls each method with a request, and wants its name in a reply, or a status.
func callAll(t *testing.T, add func(runtime.Registrar) error, code codes.Code, text string) {
	t.Helper()
	server, err := runtimetest.NewServer(runtime.ServerOptions{}, add)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	cc, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	for _, path := range []string{
		version1.Greeter_method_SayHello, version1.Greeter_method_SayHelloStreamReply,
		version1.Greeter_method_CollectHellos, version1.Greeter_method_SayHelloBidiStream,
	} {
		stream, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendMsg(&helloworld.HelloRequest{Name: "Ada"}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		reply := &helloworld.HelloReply{}
		err = stream.RecvMsg(reply)
		if st := status.Convert(err); st.Code() != code || st.Message() != text || err == nil && reply.GetMessage() != "Ada" {
			t.Errorf("%s: got %v, %v", path, reply, err)
		}
	}
}
