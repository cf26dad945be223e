package runtime_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// meter counts octets and RPCs, and prints each RPC that has ended. It is an observer of all three sorts.
type meter struct {
	mu   sync.Mutex // of RPCs, events come from many goroutines
	wire int
}

func (m *meter) ObserveConnection(runtime.ConnectionInfo) runtime.ConnectionObserver { return m }

func (m *meter) ObserveConnectionEvent(event runtime.ConnectionEvent) {
	if event.Kind == runtime.ConnectionRefused {
		fmt.Println("refused:", event.Reason)
	}
}

func (m *meter) BeginRPC(ctx context.Context, info *runtime.RPCInfo) (context.Context, runtime.RPCObserver) {
	method := "other" // what clients make up is not to become a name
	if info.Registered {
		method = info.Method
	}
	return ctx, &measured{m, method}
}

// measured is one RPC.
type measured struct {
	meter  *meter
	method string
}

func (r *measured) ObserveRPCEvent(event runtime.RPCEvent) {
	r.meter.mu.Lock()
	defer r.meter.mu.Unlock()
	switch event.Kind {
	case runtime.RPCMessageReceived, runtime.RPCMessageSent:
		r.meter.wire += event.WireSize
	case runtime.RPCEnded:
		fmt.Println(r.method, event.Code, r.meter.wire)
	}
}

// An observer learns of each RPC how it ended and what it cost, also of those that no interceptor sees.
func ExampleObserver() {
	server, err := runtimetest.NewServer(runtime.ServerOptions{Observers: []runtime.Observer{&meter{}}}, func(r runtime.Registrar) error {
		return r.AddService(runtime.Service{Name: "example.Echo", Methods: map[string]*runtime.MethodHandler{
			"Echo": runtime.UnaryUnary(func(_ context.Context, request *runtime.RawMessage) (*runtime.RawMessage, error) { return request, nil }),
		}})
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
	for _, path := range []string{"/example.Echo/Echo", "/example.Echo/Unknown"} {
		conn.Invoke(context.Background(), path, &emptypb.Empty{}, &emptypb.Empty{})
	}
	// Output:
	// /example.Echo/Echo OK 10
	// other Unimplemented 10
}
