// Command connect_go_server serves helloworld.Greeter with connect-go on net/http, over HTTP/2 without TLS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"connectrpc.com/connect"

	"github.com/gogreeter/gogreeter/bench/internal/report"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

var address = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "connect_go_server:", err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	// The handlers that protoc-gen-connect-go makes for the methods that are called.
	mux := http.NewServeMux()
	const service = "/helloworld.Greeter/"
	mux.Handle(service+"SayHello", connect.NewUnaryHandler(service+"SayHello", sayHello))
	mux.Handle(service+"SayHelloStreamReply", connect.NewServerStreamHandler(service+"SayHelloStreamReply", streamReply))
	mux.Handle(service+"SayHelloBidiStream", connect.NewBidiStreamHandler(service+"SayHelloBidiStream", bidiStream))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000}}
	fmt.Printf("listening on %s\n", listener.Addr())
	report.Allocations()
	return server.Serve(listener)
}

func sayHello(_ context.Context, request *connect.Request[helloworld.HelloRequest]) (*connect.Response[helloworld.HelloReply], error) {
	return connect.NewResponse(work.SayHello(request.Msg)), nil
}

func streamReply(_ context.Context, request *connect.Request[helloworld.HelloRequest], stream *connect.ServerStream[helloworld.HelloReply]) error {
	n, reply, err := work.Replies(request.Msg)
	for range n {
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return err
}

func bidiStream(_ context.Context, stream *connect.BidiStream[helloworld.HelloRequest, helloworld.HelloReply]) error {
	for {
		request, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.Send(work.SayHello(request)); err != nil {
			return err
		}
	}
}
