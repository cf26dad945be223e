// Command greeter_client calls helloworld.Greeter in all four cardinalities and prints what goes back and forth: "->" is
// a request, "<-" a response.
//
//	greeter_client [-addr 127.0.0.1:50051] [name ...]
//
// It is an ordinary grpc-go client in a module of its own, and knows nothing of what the server is made of.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

var (
	address = flag.String("addr", "127.0.0.1:50051", "`address` of the server")
	caFile  = flag.String("tls-ca", "", "PEM `file` with the certificate that vouches for the server; calls over TLS")
	timeout = flag.Duration("timeout", 10*time.Second, "`time` that all the calls together may take")
)

func main() {
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = []string{"Ada", "Grace", "Barbara"}
	}
	if err := callAll(names); err != nil {
		fmt.Fprintln(os.Stderr, "greeter_client:", err)
		os.Exit(1)
	}
}

func callAll(names []string) error {
	transport, err := transportCredentials()
	if err != nil {
		return err
	}
	channel, err := grpc.NewClient(*address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	stub := greeterStub{channel}
	for _, call := range []func(context.Context, greeterStub, []string) error{
		sayHello, sayHelloStreamReply, collectHellos, sayHelloBidiStream,
	} {
		if err := call(ctx, stub, names); err != nil {
			return err
		}
	}
	return nil
}

func transportCredentials() (credentials.TransportCredentials, error) {
	if *caFile == "" {
		return insecure.NewCredentials(), nil
	}
	return credentials.NewClientTLSFromFile(*caFile, "")
}

func sayHello(ctx context.Context, stub greeterStub, names []string) error {
	fmt.Println("SayHello, unary-unary: one request, one response")
	reply, err := stub.SayHello(ctx, say(names[0]))
	if err != nil {
		return err
	}
	hear(reply)
	return nil
}

func sayHelloStreamReply(ctx context.Context, stub greeterStub, names []string) error {
	fmt.Println("SayHelloStreamReply, unary-stream: one request, many responses")
	replies, err := stub.SayHelloStreamReply(ctx, say(names[0]))
	if err != nil {
		return err
	}
	for {
		reply, err := replies.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		hear(reply)
	}
}

func collectHellos(ctx context.Context, stub greeterStub, names []string) error {
	fmt.Println("CollectHellos, stream-unary: many requests, one response")
	requests, err := stub.CollectHellos(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := requests.Send(say(name)); err != nil {
			return err
		}
	}
	reply, err := requests.CloseAndRecv()
	if err != nil {
		return err
	}
	hear(reply)
	return nil
}

func sayHelloBidiStream(ctx context.Context, stub greeterStub, names []string) error {
	fmt.Println("SayHelloBidiStream, stream-stream: requests and responses as they come")
	conversation, err := stub.SayHelloBidiStream(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := conversation.Send(say(name)); err != nil {
			return err
		}
		reply, err := conversation.Recv()
		if err != nil {
			return err
		}
		hear(reply)
	}
	if err := conversation.CloseSend(); err != nil {
		return err
	}
	if _, err := conversation.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("SayHelloBidiStream: want the end after the last reply, have %v", err)
	}
	return nil
}

func say(name string) *helloworld.HelloRequest {
	fmt.Println("  ->", name)
	return &helloworld.HelloRequest{Name: name}
}

func hear(reply *helloworld.HelloReply) {
	fmt.Println("  <-", reply.GetMessage())
}
