// Command gogreeter is a small helloworld server on gogreeter; its file is measured, next to that of grpc_go.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

func main() {
	server := runtime.NewServer(runtime.ServerOptions{})
	if err := helloworld.AddGreeterToServer(greeter{}, server); err != nil {
		log.Fatal(err)
	}
	port, err := addPort(server)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on 127.0.0.1:%d\n", port)
	log.Fatal(server.Serve(context.Background()))
}

type greeter struct {
	helloworld.UnimplementedGreeterServicer
}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return &helloworld.HelloReply{Message: "Hello, " + request.GetName() + "!"}, nil
}
