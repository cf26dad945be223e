// Command gogreeter_server serves helloworld.Greeter with gogreeter, from generated code.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/gogreeter/gogreeter/bench/internal/report"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

var (
	address = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")
	inline  = flag.Bool("inline", false, "run SayHello inline")
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "gogreeter_server:", err)
		os.Exit(1)
	}
}

func serve() error {
	options := runtime.Options{}
	if *inline {
		options.Methods = map[string]runtime.MethodOptions{
			"/helloworld.Greeter/SayHello": {Executor: runtime.Inline},
		}
	}
	server := runtime.NewServer(options)
	if err := helloworld.AddGreeterToServer(greeter{}, server); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	if err := server.AddListener(listener); err != nil {
		return err
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	report.Allocations()
	return server.Serve(context.Background())
}

type greeter struct {
	helloworld.UnimplementedGreeterServicer
}

func (greeter) SayHello(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return work.SayHello(request), nil
}

func (greeter) SayHelloStreamReply(_ context.Context, request *helloworld.HelloRequest, replies runtime.ResponseStream[helloworld.HelloReply]) error {
	n, reply, err := work.Replies(request)
	for range n {
		if err := replies.Send(reply); err != nil {
			return err
		}
	}
	return err
}

func (greeter) SayHelloBidiStream(_ context.Context, requests runtime.RequestIterator[helloworld.HelloRequest], replies runtime.ResponseStream[helloworld.HelloReply]) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := replies.Send(work.SayHello(request)); err != nil {
			return err
		}
	}
	return nil
}
