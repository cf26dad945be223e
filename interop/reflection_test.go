package interop

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/fullstorydev/grpcurl"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcreflection "google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
	"github.com/gogreeter/gogreeter/runtime/reflection"
)

// versions are the clients that grpcurl can ask with.
var versions = map[string]func(context.Context, *grpc.ClientConn) *grpcreflect.Client{
	"v1": func(ctx context.Context, channel *grpc.ClientConn) *grpcreflect.Client {
		return grpcreflect.NewClientV1(ctx, reflectionpb.NewServerReflectionClient(channel))
	},
	"v1alpha": func(ctx context.Context, channel *grpc.ClientConn) *grpcreflect.Client {
		return grpcreflect.NewClientV1Alpha(ctx, alphapb.NewServerReflectionClient(channel))
	},
	"auto": func(ctx context.Context, channel *grpc.ClientConn) *grpcreflect.Client {
		return grpcreflect.NewClientAuto(ctx, channel)
	},
}

// TestReflection_AnswersGRPCurl is what grpcurl does for list, describe and a call, with no .proto file at hand.
func TestReflection_AnswersGRPCurl(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "route_guide_server", tr.serverFlags()...)
		channel := tr.dial(t, server.address)
		for version, newClient := range versions {
			t.Run(version, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				client := newClient(ctx, channel)
				defer client.Reset()
				source := grpcurl.DescriptorSourceFromServer(ctx, client)
				wantList(t, source)
				wantDescribed(t, source)
				for _, c := range []struct{ method, request, want string }{
					{"routeguide.RouteGuide/GetFeature", `{"latitude": 488583701, "longitude": 22944813}`, "Eiffel Tower, Paris, France"},
					{"grpc.health.v1.Health/Check", `{"service": "routeguide.RouteGuide"}`, `"status": "SERVING"`},
					{"grpc.health.v1.Health/List", ``, `"routeguide.RouteGuide"`},
				} {
					if got := grpcurlCall(ctx, t, source, channel, c.method, c.request); !strings.Contains(got, c.want) {
						t.Errorf("%s %s: got %s, want %s", c.method, c.request, got, c.want)
					}
				}
			})
		}
	})
}

func wantList(t *testing.T, source grpcurl.DescriptorSource) {
	t.Helper()
	services, err := grpcurl.ListServices(source)
	want := []string{health.ServiceName, reflection.ServiceName, reflection.ServiceNameAlpha, "routeguide.RouteGuide"}
	if err != nil || !slices.Equal(services, want) {
		t.Errorf("list: got %v, %v, want %v", services, err, want)
	}
	methods, err := grpcurl.ListMethods(source, "routeguide.RouteGuide")
	if err != nil || len(methods) != 4 {
		t.Errorf("list routeguide.RouteGuide: got %v, %v", methods, err)
	}
}

func wantDescribed(t *testing.T, source grpcurl.DescriptorSource) {
	t.Helper()
	for symbol, want := range map[string]string{
		"routeguide.RouteGuide":                     "rpc RouteChat ( stream .routeguide.RouteNote ) returns ( stream .routeguide.RouteNote );",
		"routeguide.Point":                          "int32 latitude = 1;",
		"grpc.health.v1.Health":                     "rpc Watch ( .grpc.health.v1.HealthCheckRequest ) returns ( stream .grpc.health.v1.HealthCheckResponse );",
		"grpc.reflection.v1.ServerReflection":       "rpc ServerReflectionInfo ( stream .grpc.reflection.v1.ServerReflectionRequest )",
		"grpc.reflection.v1alpha.ErrorResponse":     "int32 error_code = 1;",
		"grpc.health.v1.HealthListResponse":         "map<string, .grpc.health.v1.HealthCheckResponse> statuses = 1;",
		"routeguide.RouteGuide.GetFeature":          "rpc GetFeature ( .routeguide.Point ) returns ( .routeguide.Feature );",
		"grpc.health.v1.HealthCheckResponse.status": ".grpc.health.v1.HealthCheckResponse.ServingStatus status = 1;",
	} {
		found, err := source.FindSymbol(symbol)
		if err != nil {
			t.Errorf("describe %s: %v", symbol, err)
			continue
		}
		text, err := grpcurl.GetDescriptorText(found, source)
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("describe %s: got %s, %v, want %s", symbol, text, err, want)
		}
	}
	if _, err := source.FindSymbol("no.such.Symbol"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("describe no.such.Symbol: got %v", err)
	}
}

// grpcurlCall makes an RPC as the grpcurl command does, and returns what it prints.
func grpcurlCall(ctx context.Context, t *testing.T, source grpcurl.DescriptorSource, channel *grpc.ClientConn, method, request string) string {
	t.Helper()
	parser, formatter, err := grpcurl.RequestParserAndFormatter(grpcurl.FormatJSON, source, strings.NewReader(request), grpcurl.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	handler := &grpcurl.DefaultEventHandler{Out: &printed, Formatter: formatter}
	if err := grpcurl.InvokeRPC(ctx, source, channel, method, nil, handler, parser.Next); err != nil {
		t.Fatal(err)
	}
	if handler.Status.Code() != codes.OK {
		t.Errorf("%s: %v", method, handler.Status)
	}
	return printed.String()
}

// TestCompanions_BesideGRPCGo serves health and reflection from one process by gogreeter and by grpc-go, whose generated
// code registers the names that ours must not. Each answers the same client.
func TestCompanions_BesideGRPCGo(t *testing.T) {
	ours := runtime.NewServer(quiet)
	if err := health.AddToServer(health.NewServicer(), ours); err != nil {
		t.Fatal(err)
	}
	if err := reflection.AddToServer(ours); err != nil {
		t.Fatal(err)
	}
	theirs := grpc.NewServer()
	healthpb.RegisterHealthServer(theirs, grpchealth.NewServer())
	grpcreflection.Register(theirs)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- theirs.Serve(listener) }()
	t.Cleanup(func() {
		theirs.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	tr := transport{name: "h2c"}
	for name, address := range map[string]string{"gogreeter": startHere(t, tr, ours), "grpc-go": listener.Addr().String()} {
		channel := tr.dial(t, address)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		response, err := healthpb.NewHealthClient(channel).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil || response.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s: Check: got %v, %v", name, response, err)
		}
		for version, newClient := range versions {
			client := newClient(ctx, channel)
			services, err := client.ListServices()
			slices.Sort(services)
			if err != nil || !slices.Equal(services, []string{health.ServiceName, reflection.ServiceName, reflection.ServiceNameAlpha}) {
				t.Errorf("%s, %s: got %v, %v", name, version, services, err)
			}
			for _, service := range services {
				if _, err := client.ResolveService(service); err != nil {
					t.Errorf("%s, %s: %s: %v", name, version, service, err)
				}
			}
			client.Reset()
		}
	}
}
