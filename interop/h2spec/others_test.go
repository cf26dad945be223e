package h2spec

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

// others are the servers that ours is compared with.
var others = []struct {
	name  string
	serve func(t *testing.T) (address string)
}{
	{"grpc-go", serveGRPCGo},
	{"net/http", serveNetHTTP},
}

// serveGRPCGo serves the greeter by grpc-go, until the test ends.
func serveGRPCGo(t *testing.T) string {
	l := listen(t)
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: helloworld.Greeter_service, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "SayHello", Handler: sayHello}},
	}, nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func sayHello(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request helloworld.HelloRequest
	if err := decode(&request); err != nil {
		return nil, err
	}
	return &helloworld.HelloReply{Message: "Hello, " + request.GetName() + "!"}, nil
}

// serveNetHTTP serves a short text by net/http, until the test ends.
func serveNetHTTP(t *testing.T) string {
	l := listen(t)
	server := &http.Server{Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("Hello!\n")) })
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
