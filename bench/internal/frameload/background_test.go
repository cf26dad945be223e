package frameload

import (
	"context"
	"net"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gogreeter/gogreeter/runtime"
)

func TestBackground(t *testing.T) {
	called := make(chan struct{}, 1)
	handler := func(_ context.Context, request *emptypb.Empty) (*emptypb.Empty, error) {
		select {
		case called <- struct{}{}:
		default:
		}
		return request, nil
	}
	server := runtime.NewServer(runtime.ServerOptions{})
	methods := map[string]*runtime.MethodHandler{"Call": runtime.UnaryUnary(handler)}
	if err := server.AddService(runtime.Service{Name: "bench.Test", Methods: methods}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listener); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { <-server.Stop(0) }()

	load := Load{Streams: 10, Unary: true, Path: "/bench.Test/Call", Message: make([]byte, 5), Replies: 1}
	background, err := load.Start(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // more than there are lanes: there were answers
		<-called
	}
	if n, err := background.Stop(); err != nil || n == 0 {
		t.Errorf("Stop: %d messages, %v", n, err)
	}

	load.Path = "/bench.Test/Missing"
	if background, err = load.Start(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if n, err := background.Stop(); err == nil {
		t.Errorf("Stop of a load that came to nothing: %d messages, and no error", n)
	}
}
