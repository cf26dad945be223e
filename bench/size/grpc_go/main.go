// Command grpc_go is a small helloworld server on grpc-go; its file is measured, next to that of gogreeter.
package main

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/bench/internal/grpcgreeter"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

func main() {
	server, err := newServer()
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService(&grpcgreeter.ServiceDesc, greeter{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %v\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}

type greeter struct{}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return &helloworld.HelloReply{Message: "Hello, " + request.GetName() + "!"}, nil
}

func (greeter) SayHelloStreamReply(*helloworld.HelloRequest, grpc.ServerStreamingServer[helloworld.HelloReply]) error {
	return status.Error(codes.Unimplemented, "method SayHelloStreamReply not implemented")
}

func (greeter) CollectHellos(grpc.ClientStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error {
	return status.Error(codes.Unimplemented, "method CollectHellos not implemented")
}

func (greeter) SayHelloBidiStream(grpc.BidiStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error {
	return status.Error(codes.Unimplemented, "method SayHelloBidiStream not implemented")
}
