// Package servetest serves a method to the tests of loads.
package servetest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gogreeter/gogreeter/runtime"
)

// Method is the path of the method.
const Method = "/bench.Test/Call"

// Start serves the method until the test ends, and returns the address. Its handler answers with the error of call, or else with the
// request.
func Start(t testing.TB, options runtime.ServerOptions, call func() error) (address string) {
	t.Helper()
	handler := func(_ context.Context, request *emptypb.Empty) (*emptypb.Empty, error) { return request, call() }
	server := runtime.NewServer(options)
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
	t.Cleanup(func() { <-server.Stop(0) })
	return listener.Addr().String()
}
