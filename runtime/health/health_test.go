package health_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

const (
	serving        = healthpb.HealthCheckResponse_SERVING
	notServing     = healthpb.HealthCheckResponse_NOT_SERVING
	unknown        = healthpb.HealthCheckResponse_UNKNOWN
	serviceUnknown = healthpb.HealthCheckResponse_SERVICE_UNKNOWN
)

func TestCheck(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	s.servicer.Set("t.Serving", health.Serving)
	s.servicer.Set("t.NotServing", health.NotServing)
	s.servicer.Set("t.Unknown", health.Unknown)
	for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		health.Overall: serving, "t.Serving": serving, "t.NotServing": notServing, "t.Unknown": unknown,
	} {
		if got := s.check(service); got != want {
			t.Errorf("Check(%q): got %v, want %v", service, got, want)
		}
	}
	s.servicer.Set("t.Serving", health.NotServing)
	if got := s.check("t.Serving"); got != notServing {
		t.Errorf("Check after another Set: got %v", got)
	}
	_, err := s.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "t.Other"})
	if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != "" {
		t.Errorf("Check of a service that has no status: got %v", err)
	}
}

// TestServicer_Zero has servicers that are not of NewServicer, and do the same. Each is used by another method first.
func TestServicer_Zero(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, s *stage){
		"Check": func(t *testing.T, s *stage) {
			if got := s.check(health.Overall); got != serving {
				t.Errorf("got %v", got)
			}
		},
		"Set": func(t *testing.T, s *stage) {
			s.servicer.Set("t.S", health.NotServing)
			if one, whole := s.check("t.S"), s.check(health.Overall); one != notServing || whole != serving {
				t.Errorf("got %v, and %v of the whole", one, whole)
			}
		},
		"Watch": func(t *testing.T, s *stage) {
			w := s.watch("t.S")
			w.want(serviceUnknown)
			s.servicer.Set("t.S", health.Serving)
			w.want(serving)
		},
		"List": func(t *testing.T, s *stage) {
			list, err := s.client.List(t.Context(), &healthpb.HealthListRequest{})
			if err != nil || list.GetStatuses()[health.Overall].GetStatus() != serving {
				t.Errorf("got %v, %v", list, err)
			}
		},
		"EnterGracefulShutdown": func(t *testing.T, s *stage) {
			s.servicer.EnterGracefulShutdown()
			if got := s.check(health.Overall); got != notServing {
				t.Errorf("got %v", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { use(t, newStageOf(t, runtime.ServerOptions{}, new(health.Servicer))) })
	}
}

// TestCheck_LongNames bounds the names that clients ask for.
func TestCheck_LongNames(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	longest := strings.Repeat("a", 256)
	for name, want := range map[string]codes.Code{longest: codes.OK, longest + "a": codes.InvalidArgument} {
		s.servicer.Set(name, health.Serving)
		_, err := s.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if got := status.Code(err); got != want {
			t.Errorf("Check of a name of %d octets: got %v, want %v", len(name), err, want)
		}
	}
	s.watch(longest).want(serving)
}

func TestList(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	s.servicer.Set("t.S", health.NotServing)
	list, err := s.client.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]healthpb.HealthCheckResponse_ServingStatus{}
	for service, response := range list.GetStatuses() {
		got[service] = response.GetStatus()
	}
	want := map[string]healthpb.HealthCheckResponse_ServingStatus{"": serving, "t.S": notServing}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestList_NotUTF8 has a name that no message can have. The others are told.
func TestList_NotUTF8(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	s.servicer.Set("t.S\xff", health.NotServing)
	list, err := s.client.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil || len(list.GetStatuses()) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

// TestList_Interceptors has an interceptor look at the answer. It is a message like any other.
func TestList_Interceptors(t *testing.T) {
	seen := make(chan string, 1)
	look := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		err := next(ctx, call)
		seen <- fmt.Sprint(call.Response())
		return err
	}
	s := newStage(t, runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{look}})
	if _, err := s.client.List(t.Context(), &healthpb.HealthListRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; !strings.Contains(got, "status:SERVING") {
		t.Errorf("the interceptor has seen %s", got)
	}
}

func TestNames(t *testing.T) {
	if health.ServiceName != healthpb.Health_ServiceDesc.ServiceName {
		t.Errorf("the service is called %q", health.ServiceName)
	}
	for ours, theirs := range map[health.Status]healthpb.HealthCheckResponse_ServingStatus{
		health.Unknown: unknown, health.Serving: serving, health.NotServing: notServing,
	} {
		if int32(ours) != int32(theirs) || ours.String() != theirs.String() {
			t.Errorf("%v is %d, and %v is %d", ours, ours, theirs, theirs)
		}
	}
}

// TestWatch_Changes tells a watcher what there is, and what changes of its own service.
func TestWatch_Changes(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	whole, one, other := s.watch(""), s.watch("t.S"), s.watch("t.T")
	whole.want(serving)
	one.want(serviceUnknown)
	other.want(serviceUnknown)
	s.servicer.Set("t.S", health.Serving)
	one.want(serving)
	s.servicer.Set("t.S", health.NotServing)
	one.want(notServing)
	s.servicer.Set("t.T", health.Serving)
	other.want(serving) // and nothing of t.S before it
	s.servicer.Set("", health.NotServing)
	whole.want(notServing)
}

// TestWatch_Two has two watchers of a service be told the same.
func TestWatch_Two(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	both := []*watcher{s.watch("t.S"), s.watch("t.S")}
	for _, w := range both {
		w.want(serviceUnknown)
	}
	s.servicer.Set("t.S", health.Serving)
	for _, w := range both {
		w.want(serving)
	}
}

// TestWatch_OnlyChanges is what health.proto asks for: "a new message whenever the service's serving status changes".
func TestWatch_OnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, runtime.ServerOptions{})
		w := s.watch("")
		w.want(serving)
		for range 3 {
			s.servicer.Set("", health.Serving)
			synctest.Wait()
		}
		s.servicer.Set("", health.NotServing)
		w.want(notServing)
	})
}

// TestWatch_SlowClient holds up nobody, and is told the newest status in the end.
func TestWatch_SlowClient(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	slow := s.watch("t.S") // nobody reads
	quick := s.watch("t.S")
	quick.want(serviceUnknown)
	for range 20_000 { // more than the client's window and the server's backlog hold
		s.servicer.Set("t.S", health.Serving)
		s.servicer.Set("t.S", health.NotServing)
	}
	s.servicer.Set("t.S", health.Unknown)
	for _, w := range []*watcher{quick, slow} {
		for {
			response, err := w.stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if response.GetStatus() == unknown {
				break
			}
		}
	}
}

// TestWatch_NeedsNoWorker watches with more clients than there are workers.
func TestWatch_NeedsNoWorker(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{Workers: 1})
	for range 5 {
		s.watch("").want(serving)
	}
	if got := s.check(""); got != serving {
		t.Errorf("Check: got %v", got)
	}
}

// TestShutdown_ByServicer turns everything that is known, once and for all.
func TestShutdown_ByServicer(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	s.servicer.Set("t.S", health.Serving)
	whole, one, other := s.watch(""), s.watch("t.S"), s.watch("t.Other")
	whole.want(serving)
	one.want(serving)
	other.want(serviceUnknown)
	s.servicer.EnterGracefulShutdown()
	whole.want(notServing)
	one.want(notServing)
	s.servicer.Set("t.S", health.Serving)
	s.servicer.Set("t.Other", health.Serving)
	s.servicer.EnterGracefulShutdown()
	for _, service := range []string{"", "t.S"} {
		if got := s.check(service); got != notServing {
			t.Errorf("Check(%q) after EnterGracefulShutdown: got %v", service, got)
		}
	}
	if _, ok := s.servicer.Get("t.Other"); ok {
		t.Error("a service became known after EnterGracefulShutdown")
	}
}

// TestShutdown_ByServer follows the server: not ready while it drains, and at an end when it stops.
func TestShutdown_ByServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servicer := health.NewServicer()
		server := runtime.NewServer(runtime.ServerOptions{DrainDelay: time.Minute, Grace: time.Hour})
		if err := health.AddToServer(servicer, server); err != nil {
			t.Fatal(err)
		}
		listener := runtimetest.NewListener()
		if err := server.AddListener(listener); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx) }()
		s := connect(t, server, listener.DialContext, servicer)
		w, other := s.watch(""), s.watch("t.S")
		w.want(serving)
		other.want(serviceUnknown)

		began := time.Now()
		cancel()
		w.want(notServing)
		if took := time.Since(began); took != 0 {
			t.Errorf("the watcher was told after %v", took)
		}
		servicer.Set("", health.Serving)
		late := s.watch("")
		late.want(notServing) // whatever is set: the server drains
		if got := s.check(""); got != notServing {
			t.Errorf("Check while the server drains: got %v", got)
		}
		for _, w := range []*watcher{w, late, other} {
			_, err := w.stream.Recv()
			if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != "Cancelling all calls" {
				t.Errorf("when the server stops, the watcher gets %v", err)
			}
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("Serve took %v more, want the delay: watchers must not hold it up", took)
		}
	})
}

// TestShutdown_StopWithoutDrain tells watchers as well, before it ends them.
func TestShutdown_StopWithoutDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, runtime.ServerOptions{})
		w := s.watch("")
		w.want(serving)
		terminated := s.server.Stop(time.Hour)
		w.want(notServing)
		if _, err := w.stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("when the server stops, the watcher gets %v", err)
		}
		<-terminated
	})
}

// TestShutdown_OfOneServerOnly leaves another server that has the same servicer ready.
func TestShutdown_OfOneServerOnly(t *testing.T) {
	servicer := health.NewServicer()
	stops, stays := newStageOf(t, runtime.ServerOptions{}, servicer), newStageOf(t, runtime.ServerOptions{}, servicer)
	w := stops.watch("")
	w.want(serving)
	stops.server.Stop(time.Hour)
	w.want(notServing)
	if got := stays.check(""); got != serving {
		t.Errorf("the other server answers %v", got)
	}
}

func TestAddToServer_Refuses(t *testing.T) {
	server := runtime.NewServer(runtime.ServerOptions{})
	if err := health.AddToServer(nil, server); err == nil {
		t.Error("a servicer that is nil was taken")
	}
	if err := health.AddToServer(health.NewServicer(), nil); err == nil {
		t.Error("a server that is nil was taken")
	}
	for i := range 2 {
		if err := health.AddToServer(health.NewServicer(), server); (err != nil) != (i == 1) {
			t.Errorf("attempt %d: %v", i+1, err)
		}
	}
}

// TestDescriptor compares what we say of the service with what grpc-go's generated code says: the same, but for options.
func TestDescriptor(t *testing.T) {
	s := newStage(t, runtime.ServerOptions{})
	ours := protodesc.ToFileDescriptorProto(s.server.Services()[0].Descriptor.ParentFile())
	want := protodesc.ToFileDescriptorProto(healthpb.File_grpc_health_v1_health_proto)
	ours.Options, want.Options = nil, nil
	if !proto.Equal(ours, want) {
		t.Errorf("the service is\n%v\nwant\n%v", ours, want)
	}
}
