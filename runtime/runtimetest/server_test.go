package runtimetest_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

const sayHello = "/helloworld.Greeter/SayHello"

// greeterFunc is a GreeterServicer of one method.
type greeterFunc struct {
	helloworld.UnimplementedGreeterServicer
	sayHello func(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error)
}

func (g greeterFunc) SayHello(ctx context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
	return g.sayHello(ctx, request)
}

// connect returns a connection of grpc-go's to a server in memory, until the test ends.
func connect(t *testing.T, servicer helloworld.GreeterServicer) *grpc.ClientConn {
	t.Helper()
	server, err := runtimetest.NewServer(runtime.ServerOptions{}, func(r runtime.Registrar) error {
		return helloworld.AddGreeterToServer(servicer, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Close()
	})
	return conn
}

func TestServer_ServesAGRPCGoClient(t *testing.T) {
	conn := connect(t, greeterFunc{sayHello: func(_ context.Context, request *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
		return &helloworld.HelloReply{Message: "Hello, " + request.GetName()}, nil
	}})
	reply := new(helloworld.HelloReply)
	if err := conn.Invoke(t.Context(), sayHello, &helloworld.HelloRequest{Name: "you"}, reply); err != nil {
		t.Fatal(err)
	}
	if got := reply.GetMessage(); got != "Hello, you" {
		t.Errorf("got %q", got)
	}
}

// TestServer_DeadlineInFakeTime is what Example_fakeTime shows, with a whole server: an hour passes at once.
func TestServer_DeadlineInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, greeterFunc{sayHello: func(ctx context.Context, _ *helloworld.HelloRequest) (*helloworld.HelloReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begin := time.Now()
		err := conn.Invoke(ctx, sayHello, &helloworld.HelloRequest{}, new(helloworld.HelloReply))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if passed := time.Since(begin); passed != time.Hour {
			t.Errorf("%v have passed", passed)
		}
	})
}

// TestServer_IsARegistrar adds a service to a server that serves already.
func TestServer_IsARegistrar(t *testing.T) {
	server, err := runtimetest.NewServer(runtime.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := helloworld.AddGreeterToServer(helloworld.UnimplementedGreeterServicer{}, server); err != nil {
		t.Fatal(err)
	}
	if services := server.Server().Services(); len(services) != 1 || services[0].Name != helloworld.Greeter_service {
		t.Errorf("the server has the services %v", services)
	}
	nc, err := server.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	server.Close()
	select {
	case <-server.Draining():
	default:
		t.Error("the server goes on after Close")
	}
}

func TestNewServer_ReturnsRegistrarsErrors(t *testing.T) {
	refused := errors.New("refused")
	if _, err := runtimetest.NewServer(runtime.ServerOptions{}, func(runtime.Registrar) error { return refused }); err != refused {
		t.Errorf("got %v", err)
	}
}

func TestListener_DialFails(t *testing.T) {
	listener := runtimetest.NewListener()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := listener.DialContext(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody accepts: got %v", err)
	}
	listener.Close()
	listener.Close()
	if _, err := listener.Dial(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: got %v", err)
	}
}
