// Command grpc_go_server serves helloworld.Greeter's SayHello with grpc-go: the same messages and the same work as the
// example greeter_server, so that what differs is the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

var address = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "grpc_go_server:", err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	server.RegisterService(&greeterDesc, greeter{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, server.Stop)
	fmt.Printf("listening on %s\n", listener.Addr())
	return server.Serve(listener)
}

type greeter struct{}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return &helloworld.HelloReply{Message: "Hello, " + request.GetName() + "!"}, nil
}

// greeterDesc is what protoc-gen-go-grpc generates, for the one method that is called.
var greeterDesc = grpc.ServiceDesc{
	ServiceName: "helloworld.Greeter",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: handleSayHello}},
}

func handleSayHello(servicer any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	request := new(helloworld.HelloRequest)
	if err := decode(request); err != nil {
		return nil, err
	}
	if intercept == nil {
		return servicer.(greeter).SayHello(ctx, request)
	}
	info := &grpc.UnaryServerInfo{Server: servicer, FullMethod: "/helloworld.Greeter/SayHello"}
	return intercept(ctx, request, info, func(ctx context.Context, request any) (any, error) {
		return servicer.(greeter).SayHello(ctx, request.(*helloworld.HelloRequest))
	})
}
