package main

import (
	"context"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

// greeter is the servicer: it implements helloworld.GreeterServicer, one method for each RPC. Its methods are called
// by many goroutines at once.
type greeter struct {
	delay time.Duration // what a SayHello takes, as if it had work to do
}

// SayHello is unary-unary: one request, one response.
func (g *greeter) SayHello(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	if err := work(ctx, g.delay); err != nil {
		return nil, err
	}
	return hello(request.GetName()), nil
}

// SayHelloStreamReply is unary-stream: it greets one person in several languages.
func (g *greeter) SayHelloStreamReply(ctx context.Context, request *helloworld.HelloRequest, replies runtime.ResponseStream[helloworld.HelloReply]) error {
	for _, greeting := range []string{"Hello, %!", "Bonjour, % !", "Guten Tag, %!", "¡Hola, %!", "こんにちは、%!"} {
		message := strings.Replace(greeting, "%", request.GetName(), 1)
		if err := replies.Send(&helloworld.HelloReply{Message: message}); err != nil {
			return err
		}
	}
	return nil
}

// CollectHellos is stream-unary: it waits for everybody, then greets them together.
func (g *greeter) CollectHellos(ctx context.Context, requests runtime.RequestIterator[helloworld.HelloRequest]) (*helloworld.HelloReply, error) {
	var names []string
	for request, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		names = append(names, request.GetName())
	}
	return hello(enumerate(names)), nil
}

// SayHelloBidiStream is stream-stream: it greets each person as they come.
func (g *greeter) SayHelloBidiStream(ctx context.Context, requests runtime.RequestIterator[helloworld.HelloRequest], replies runtime.ResponseStream[helloworld.HelloReply]) error {
	for request, err := range requests.All() {
		if err != nil {
			return err
		}
		if err := replies.Send(hello(request.GetName())); err != nil {
			return err
		}
	}
	return nil
}

func hello(name string) *helloworld.HelloReply {
	return &helloworld.HelloReply{Message: "Hello, " + name + "!"}
}

// work takes its time, but no longer than the RPC needs its result. ctx ends when the client cancels the RPC, when the RPC's
// deadline passes, and when the server's grace is over.
func work(ctx context.Context, delay time.Duration) error {
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enumerate joins names as one says them: "Ada, Grace and Barbara".
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
