package health_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// stage is a server with the service, and grpc-go's client of it.
type stage struct {
	t        *testing.T
	server   *runtime.Server
	servicer *health.Servicer
	conn     *grpc.ClientConn
	client   healthpb.HealthClient
}

func newStage(t *testing.T, options runtime.ServerOptions) *stage {
	t.Helper()
	return newStageOf(t, options, health.NewServicer())
}

func newStageOf(t *testing.T, options runtime.ServerOptions, servicer *health.Servicer) *stage {
	t.Helper()
	options.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	server, err := runtimetest.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := health.AddToServer(servicer, server); err != nil {
		t.Fatal(err)
	}
	return connect(t, server.Server(), server.DialContext, servicer)
}

// connect returns a stage of a server that serves. It closes both at the end of the test.
func connect(t *testing.T, server *runtime.Server, dial func(context.Context, string) (net.Conn, error), servicer *health.Servicer) *stage {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		<-server.Stop(0)
	})
	return &stage{t, server, servicer, conn, healthpb.NewHealthClient(conn)}
}

// check returns the status of a service, as Check answers it.
func (s *stage) check(service string) healthpb.HealthCheckResponse_ServingStatus {
	s.t.Helper()
	response, err := s.client.Check(s.t.Context(), &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		s.t.Fatalf("Check(%q): %v", service, err)
	}
	return response.GetStatus()
}

// watcher is a client that watches a service.
type watcher struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[healthpb.HealthCheckResponse]
	cancel context.CancelFunc
}

func (s *stage) watch(service string) *watcher {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	stream, err := s.client.Watch(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cancel)
	return &watcher{s.t, stream, cancel}
}

// want fails unless these statuses come next.
func (w *watcher) want(statuses ...healthpb.HealthCheckResponse_ServingStatus) {
	w.t.Helper()
	for _, want := range statuses {
		response, err := w.stream.Recv()
		if err != nil {
			w.t.Fatalf("the watcher got %v, want %v", err, want)
		}
		if response.GetStatus() != want {
			w.t.Fatalf("the watcher got %v, want %v", response.GetStatus(), want)
		}
	}
}
