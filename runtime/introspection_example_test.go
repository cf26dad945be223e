package runtime_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// A server shows what it is about, and ends an RPC that has got stuck.
func ExampleServer_RPCs() {
	entered := make(chan struct{})
	wait := runtime.UnaryUnary(func(ctx context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	server, err := runtimetest.NewServer(runtime.ServerOptions{}, func(r runtime.Registrar) error {
		return r.AddService(runtime.Service{Name: "example.Wait", Methods: map[string]*runtime.MethodHandler{"Wait": wait}})
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ended := make(chan error)
	go func() {
		ended <- conn.Invoke(context.Background(), "/example.Wait/Wait", &emptypb.Empty{}, &emptypb.Empty{})
	}()
	<-entered

	for connection := range server.Server().Connections() {
		for rpc := range server.Server().RPCs(connection.ID) {
			fmt.Println(rpc.ID, rpc.Method, rpc.State)
			fmt.Println(server.Server().CancelRPC(rpc.ID))
		}
	}
	fmt.Println(status.Code(<-ended))
	// Output:
	// 1/1 /example.Wait/Wait running
	// true
	// Canceled
}
