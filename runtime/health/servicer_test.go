package health

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime"
	healthv1 "github.com/gogreeter/gogreeter/runtime/health/internal/gogreeter/health/v1"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestWatch_IsForgotten leaves nothing of a watcher whose RPC has ended.
func TestWatch_IsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &served{Servicer: NewServicer()}
		ended := make(chan error)
		var recorders []*runtimetest.Recorder
		for range 2 {
			ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
			recorders = append(recorders, recorder)
			go func() {
				ended <- s.Watch(ctx, &healthv1.HealthCheckRequest{Service: "t.S"}, &runtimetest.Responses[healthv1.HealthCheckResponse]{})
			}()
		}
		synctest.Wait()
		for left := len(recorders) - 1; left >= 0; left-- {
			if n := len(s.watchers["t.S"]); n != left+1 {
				t.Errorf("%d watchers are known, want %d", n, left+1)
			}
			recorders[left].End()
			if err := <-ended; err == nil {
				t.Error("Watch ended without an error although its client has gone")
			}
		}
		if len(s.watchers) > 0 {
			t.Errorf("of watchers that have gone there is left: %v", s.watchers)
		}
	})
}

// TestWatch_SendFails ends, and leaves nothing.
func TestWatch_SendFails(t *testing.T) {
	s := &served{Servicer: NewServicer()}
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
	defer recorder.End()
	gone := &runtimetest.Responses[healthv1.HealthCheckResponse]{Err: errStopping}
	if err := s.Watch(ctx, &healthv1.HealthCheckRequest{}, gone); err != errStopping {
		t.Errorf("Watch ended with %v", err)
	}
	if len(s.watchers) > 0 {
		t.Errorf("a watcher is left: %v", s.watchers)
	}
}

// TestList_IsMarshalledOnce has clients ask again and again, when nobody else looks: until a status is set, or the server
// drains.
func TestList_IsMarshalledOnce(t *testing.T) {
	draining := make(chan struct{})
	s := &served{Servicer: NewServicer(), draining: draining}
	ctx := context.WithValue(t.Context(), carrier.Unobserved{}, true)
	last := []byte{0}
	wantNew := func(want string) {
		t.Helper()
		for i := range 3 {
			list, err := s.List(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			octets := list.ProtoReflect().GetUnknown()
			if len(octets) == 0 || (&octets[0] == &last[0]) != (i > 0) {
				t.Fatalf("request %d: the list was marshalled again, or not at all", i)
			}
			last = octets
			read := &healthv1.HealthListResponse{}
			if err := proto.Unmarshal(octets, read); err != nil {
				t.Fatal(err)
			}
			if got := read.GetStatuses()["t.S"].GetStatus().String(); len(read.GetStatuses()) != 2 || got != want {
				t.Errorf("the list is %v, want %v", read, want)
			}
		}
	}
	s.Set("t.S", Unknown)
	wantNew("UNKNOWN")
	s.Set("t.S", Serving)
	wantNew("SERVING")
	close(draining)
	wantNew("NOT_SERVING")
}

// TestAddToServer_OtherDrainers takes those that are no server of package runtime, and listens to them.
func TestAddToServer_OtherDrainers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		drains bool
		want   Status
	}{
		{"Serves", false, Serving},
		{"Drains", true, NotServing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &drainer{draining: make(chan struct{})}
			if err := AddToServer(NewServicer(), d); err != nil {
				t.Fatal(err)
			}
			if d.added.Name != ServiceName || len(d.added.Methods) != 3 {
				t.Errorf("what was added: %+v", d.added)
			}
			if tt.drains {
				close(d.draining)
			}
			s := &served{Servicer: NewServicer(), draining: d.Draining()}
			if got, err := s.Check(t.Context(), nil); err != nil || Status(got.GetStatus()) != tt.want {
				t.Errorf("Check answers %v, %v", got, err)
			}
		})
	}
}

type drainer struct {
	added    runtime.Service
	draining chan struct{}
}

func (d *drainer) AddService(service runtime.Service) error { d.added = service; return nil }
func (d *drainer) Draining() <-chan struct{}                { return d.draining }
