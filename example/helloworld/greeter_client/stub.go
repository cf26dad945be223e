package main

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// greeterStub calls helloworld.Greeter over a grpc-go channel.
//
// TODO(stubs): use the generated GreeterStub once the generator writes one.
type greeterStub struct {
	channel grpc.ClientConnInterface
}

func (s greeterStub) SayHello(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	reply := new(helloworld.HelloReply)
	return reply, s.channel.Invoke(ctx, "/helloworld.Greeter/SayHello", request, reply)
}

func (s greeterStub) SayHelloStreamReply(ctx context.Context, request *helloworld.HelloRequest) (grpc.ServerStreamingClient[helloworld.HelloReply], error) {
	stream, err := s.open(ctx, "/helloworld.Greeter/SayHelloStreamReply", &grpc.StreamDesc{ServerStreams: true})
	if err != nil {
		return nil, err
	}
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	return stream, stream.CloseSend()
}

func (s greeterStub) CollectHellos(ctx context.Context) (grpc.ClientStreamingClient[helloworld.HelloRequest, helloworld.HelloReply], error) {
	return s.open(ctx, "/helloworld.Greeter/CollectHellos", &grpc.StreamDesc{ClientStreams: true})
}

func (s greeterStub) SayHelloBidiStream(ctx context.Context) (grpc.BidiStreamingClient[helloworld.HelloRequest, helloworld.HelloReply], error) {
	return s.open(ctx, "/helloworld.Greeter/SayHelloBidiStream", &grpc.StreamDesc{ClientStreams: true, ServerStreams: true})
}

type greeterStream = grpc.GenericClientStream[helloworld.HelloRequest, helloworld.HelloReply]

func (s greeterStub) open(ctx context.Context, path string, shape *grpc.StreamDesc) (*greeterStream, error) {
	stream, err := s.channel.NewStream(ctx, shape, path)
	if err != nil {
		return nil, err
	}
	return &greeterStream{ClientStream: stream}, nil
}
