// Command grpc_go_server serves helloworld.Greeter with grpc-go: the same messages and the same work as the other servers,
// so that what differs is the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"

	"github.com/gogreeter/gogreeter/bench/internal/report"
	"github.com/gogreeter/gogreeter/bench/internal/work"
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
	report.Allocations()
	return server.Serve(listener)
}

type greeter struct{}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return work.SayHello(request), nil
}

// greeterDesc is what protoc-gen-go-grpc generates, for the methods that are called.
var greeterDesc = grpc.ServiceDesc{
	ServiceName: "helloworld.Greeter",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: handleSayHello}},
	Streams: []grpc.StreamDesc{
		{StreamName: "SayHelloStreamReply", Handler: handleStreamReply, ServerStreams: true},
		{StreamName: "SayHelloBidiStream", Handler: handleBidiStream, ServerStreams: true, ClientStreams: true},
	},
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

func handleStreamReply(_ any, stream grpc.ServerStream) error {
	request := new(helloworld.HelloRequest)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	n, reply, err := work.Replies(request)
	for range n {
		if err := stream.SendMsg(reply); err != nil {
			return err
		}
	}
	return err
}

func handleBidiStream(_ any, stream grpc.ServerStream) error {
	for {
		request := new(helloworld.HelloRequest)
		if err := stream.RecvMsg(request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(work.SayHello(request)); err != nil {
			return err
		}
	}
}
