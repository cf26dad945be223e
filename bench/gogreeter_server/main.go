// Command gogreeter_server serves helloworld.Greeter with gogreeter, from generated code.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/serve"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

var inline = flag.Bool("inline", false, "run SayHello inline")

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gogreeter_server:", err)
		os.Exit(1)
	}
}

func run() error {
	server := runtime.NewServer(options())
	if err := helloworld.AddGreeterToServer(greeter{}, server); err != nil {
		return err
	}
	if err := addMany(server, *serve.Methods); err != nil {
		return err
	}
	listener, config, err := serve.Listen()
	if err != nil {
		return err
	}
	if config != nil {
		err = server.AddSecureListener(listener, config)
	} else {
		err = server.AddListener(listener)
	}
	if err != nil {
		return err
	}
	serve.Announce(listener)
	return server.Serve(context.Background())
}

func options() runtime.ServerOptions {
	var options runtime.ServerOptions
	if *inline {
		options.Methods = map[string]runtime.MethodOptions{
			"/helloworld.Greeter/SayHello": {Executor: runtime.Inline},
		}
	}
	if *serve.Gzip {
		options.Compression = runtime.Gzip
	}
	if *serve.Intercept {
		options.Interceptors = []runtime.ServerInterceptor{intercept}
	}
	return options
}

func intercept(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
	start := time.Now()
	err := next(ctx, call)
	serve.Observe(call.Method(), start, err)
	return err
}

// addMany adds a service with n methods.
func addMany(server *runtime.Server, n int) error {
	if n == 0 {
		return nil
	}
	methods := make(map[string]*runtime.MethodHandler, n)
	for i := range n {
		methods[work.ManyMethod(i)] = runtime.UnaryUnary(greeter{}.SayHello)
	}
	return server.AddService(runtime.Service{Name: work.ManyService, Methods: methods})
}

type greeter struct{}

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

func (greeter) CollectHellos(_ context.Context, requests runtime.RequestIterator[helloworld.HelloRequest]) (*helloworld.HelloReply, error) {
	var collection work.Collection
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		collection.Add(request)
	}
	return collection.Reply(), nil
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
