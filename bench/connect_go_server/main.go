// Command connect_go_server serves helloworld.Greeter with connect-go on net/http, over HTTP/2 with or without TLS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"

	"github.com/gogreeter/gogreeter/bench/internal/serve"
	"github.com/gogreeter/gogreeter/bench/internal/work"
	"github.com/gogreeter/gogreeter/example/helloworld"
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "connect_go_server:", err)
		os.Exit(1)
	}
}

func run() error {
	listener, config, err := serve.Listen()
	if err != nil {
		return err
	}
	var options []connect.HandlerOption
	if !*serve.Gzip {
		options = append(options, connect.WithCompressMinBytes(math.MaxInt)) // else it would for whoever accepts it
	}
	if *serve.Intercept {
		options = append(options, connect.WithInterceptors(connect.UnaryInterceptorFunc(intercept)))
	}
	// The handlers that protoc-gen-connect-go makes.
	mux := http.NewServeMux()
	const service = "/helloworld.Greeter/"
	mux.Handle(service+"SayHello", connect.NewUnaryHandler(service+"SayHello", sayHello, options...))
	mux.Handle(service+"SayHelloStreamReply", connect.NewServerStreamHandler(service+"SayHelloStreamReply", streamReply, options...))
	mux.Handle(service+"CollectHellos", connect.NewClientStreamHandler(service+"CollectHellos", collectHellos, options...))
	mux.Handle(service+"SayHelloBidiStream", connect.NewBidiStreamHandler(service+"SayHelloBidiStream", bidiStream, options...))
	for i := range *serve.Methods {
		path := "/" + work.ManyService + "/" + work.ManyMethod(i)
		mux.Handle(path, connect.NewUnaryHandler(path, sayHello, options...))
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Handler: mux, Protocols: protocols, TLSConfig: config, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	serve.Announce(listener)
	if config != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

func intercept(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		start := time.Now()
		response, err := next(ctx, request)
		serve.Observe(request.Spec().Procedure, start, err)
		return response, err
	}
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

func collectHellos(_ context.Context, stream *connect.ClientStream[helloworld.HelloRequest]) (*connect.Response[helloworld.HelloReply], error) {
	var collection work.Collection
	for stream.Receive() {
		collection.Add(stream.Msg())
	}
	return connect.NewResponse(collection.Reply()), stream.Err()
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
