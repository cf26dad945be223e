// Command grpc_go_server serves helloworld.Greeter with grpc-go: the same messages and the same work as the other servers,
// so that what differs is the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // for those who send it, and then for the responses too

	"github.com/gogreeter/gogreeter/bench/internal/grpcgreeter"
	"github.com/gogreeter/gogreeter/bench/internal/serve"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "grpc_go_server:", err)
		os.Exit(1)
	}
}

func run() error {
	listener, config, err := serve.Listen()
	if err != nil {
		return err
	}
	var options []grpc.ServerOption
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	if *serve.Intercept {
		options = append(options, grpc.UnaryInterceptor(intercept), grpc.StreamInterceptor(interceptStream))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&grpcgreeter.ServiceDesc, greeter{})
	addMany(server, *serve.Methods)
	serve.Announce(listener)
	return server.Serve(listener)
}

func intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	start := time.Now()
	response, err := next(ctx, request)
	serve.Observe(info.FullMethod, start, err)
	return response, err
}

func interceptStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	start := time.Now()
	err := next(server, stream)
	serve.Observe(info.FullMethod, start, err)
	return err
}

// addMany adds a service with n methods.
func addMany(server *grpc.Server, n int) {
	if n == 0 {
		return
	}
	desc := grpc.ServiceDesc{ServiceName: work.ManyService, HandlerType: (*grpcgreeter.Server)(nil)}
	for i := range n {
		name := work.ManyMethod(i)
		handler := grpcgreeter.SayHello("/" + work.ManyService + "/" + name)
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: handler})
	}
	server.RegisterService(&desc, greeter{})
}

type greeter struct{}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return work.SayHello(request), nil
}

func (greeter) SayHelloStreamReply(request *helloworld.HelloRequest, stream grpc.ServerStreamingServer[helloworld.HelloReply]) error {
	n, reply, err := work.Replies(request)
	for range n {
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return err
}

func (greeter) CollectHellos(stream grpc.ClientStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error {
	var collection work.Collection
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(collection.Reply())
		} else if err != nil {
			return err
		}
		collection.Add(request)
	}
}

func (greeter) SayHelloBidiStream(stream grpc.BidiStreamingServer[helloworld.HelloRequest, helloworld.HelloReply]) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.Send(work.SayHello(request)); err != nil {
			return err
		}
	}
}
