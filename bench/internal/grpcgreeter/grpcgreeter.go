// Package grpcgreeter describes helloworld.Greeter to grpc-go, as what protoc-gen-go-grpc generates does.
package grpcgreeter

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// Server is an implementation of the service.
type Server interface {
	SayHello(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error)
	SayHelloStreamReply(request *helloworld.HelloRequest, stream grpc.ServerStreamingServer[helloworld.HelloReply]) error
	CollectHellos(stream grpc.ClientStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error
	SayHelloBidiStream(stream grpc.BidiStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error
}

// ServiceDesc is the description.
var ServiceDesc = grpc.ServiceDesc{
	ServiceName: "helloworld.Greeter",
	HandlerType: (*Server)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: SayHello("/helloworld.Greeter/SayHello")}},
	Streams: []grpc.StreamDesc{
		{StreamName: "SayHelloStreamReply", Handler: streamReply, ServerStreams: true},
		{StreamName: "CollectHellos", Handler: collectHellos, ClientStreams: true},
		{StreamName: "SayHelloBidiStream", Handler: bidiStream, ServerStreams: true, ClientStreams: true},
	},
}

// SayHello returns the handler of a method that is implemented by Server.SayHello.
func SayHello(path string) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		request := new(helloworld.HelloRequest)
		if err := decode(request); err != nil {
			return nil, err
		}
		if intercept == nil {
			return server.(Server).SayHello(ctx, request)
		}
		info := &grpc.UnaryServerInfo{Server: server, FullMethod: path}
		return intercept(ctx, request, info, func(ctx context.Context, request any) (any, error) {
			return server.(Server).SayHello(ctx, request.(*helloworld.HelloRequest))
		})
	}
}

func streamReply(server any, stream grpc.ServerStream) error {
	request := new(helloworld.HelloRequest)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	return server.(Server).SayHelloStreamReply(request,
		&grpc.GenericServerStream[helloworld.HelloRequest, helloworld.HelloReply]{ServerStream: stream})
}

func collectHellos(server any, stream grpc.ServerStream) error {
	return server.(Server).CollectHellos(&grpc.GenericServerStream[helloworld.HelloRequest, helloworld.HelloReply]{ServerStream: stream})
}

func bidiStream(server any, stream grpc.ServerStream) error {
	return server.(Server).SayHelloBidiStream(&grpc.GenericServerStream[helloworld.HelloRequest, helloworld.HelloReply]{ServerStream: stream})
}
