package interop

import (
	"context"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	_ "google.golang.org/grpc/health" // the client side of health checking
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gogreeter/gogreeter/example/helloworld"
	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
)

// checksHealth has grpc-go's client ask a server for the health of t.S, and use it only while it is ready.
const checksHealth = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "t.S"}}`

// TestHealth_TellsGRPCGoWhereToGo is client-side health checking, as grpc-go does it.
func TestHealth_TellsGRPCGoWhereToGo(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		server := runtime.NewServer(quiet)
		servicer := health.NewServicer()
		if err := health.AddToServer(servicer, server); err != nil {
			t.Fatal(err)
		}
		if err := helloworld.AddGreeterToServer(helloworld.UnimplementedGreeterServicer{}, server); err != nil {
			t.Fatal(err)
		}
		channel := tr.dial(t, startHere(t, tr, server), grpc.WithDefaultServiceConfig(checksHealth))
		channel.Connect()
		waitState(t, channel, connectivity.TransientFailure) // t.S has no status yet
		_, err := greet(t.Context(), channel, sayHello, "Ada")
		wantStatus(t, err, codes.Unavailable, "…")
		for _, status := range []health.Status{health.Serving, health.NotServing, health.Serving} {
			servicer.Set("t.S", status)
			if status == health.NotServing {
				waitState(t, channel, connectivity.TransientFailure)
				continue
			}
			waitState(t, channel, connectivity.Ready)
			_, err := greet(t.Context(), channel, sayHello, "Ada")
			wantStatus(t, err, codes.Unimplemented, "Method not implemented!")
		}
		servicer.EnterGracefulShutdown()
		waitState(t, channel, connectivity.TransientFailure)
	})
}

// waitState waits until a channel is in a state.
func waitState(t *testing.T, channel *grpc.ClientConn, want connectivity.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for state := channel.GetState(); state != want; state = channel.GetState() {
		if !channel.WaitForStateChange(ctx, state) {
			t.Fatalf("the channel is %v, want %v", state, want)
		}
	}
}

// TestDrain_IsToldFirst has a signal turn an example server's health, and nothing else until the delay is over or the
// second signal comes.
func TestDrain_IsToldFirst(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		server := launchServer(t, "route_guide_server", append(tr.serverFlags(), "-drain", "1h")...)
		channel := tr.dial(t, server.address)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		watch, err := healthpb.NewHealthClient(channel).Watch(ctx, &healthpb.HealthCheckRequest{Service: routeguide.RouteGuide_service})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
			response, err := watch.Recv()
			if err != nil || response.GetStatus() != want {
				t.Fatalf("got %v, %v, want %v", response.GetStatus(), err, want)
			}
			if want == healthpb.HealthCheckResponse_SERVING {
				server.signal(t, os.Interrupt)
			}
		}
		later := tr.dial(t, server.address) // which still can connect
		features, err := call[routeguide.Point, routeguide.Feature](ctx, later, routeguide.RouteGuide_method_GetFeature, []*routeguide.Point{{}})
		if err != nil || len(features) != 1 {
			t.Errorf("an RPC while the server drains: got %v, %v", features, err)
		}
		interruptUntilDead(t, server)
		if status, ok := server.command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGINT {
			t.Errorf("the second interrupt ended the process with %v, want by the signal", server.command.ProcessState)
		}
	})
}
