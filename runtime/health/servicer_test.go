package health

import (
	"testing"
	"testing/synctest"

	"github.com/gogreeter/gogreeter/runtime"
	healthv1 "github.com/gogreeter/gogreeter/runtime/health/internal/gogreeter/health/v1"
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

// TestAddToServer_OtherRegistrars takes those that have no Draining.
func TestAddToServer_OtherRegistrars(t *testing.T) {
	var added runtime.Service
	if err := AddToServer(NewServicer(), registrarFunc(func(s runtime.Service) error { added = s; return nil })); err != nil {
		t.Fatal(err)
	}
	if added.Name != ServiceName || len(added.Methods) != 3 {
		t.Errorf("what was added: %+v", added)
	}
}

type registrarFunc func(runtime.Service) error

func (f registrarFunc) AddService(service runtime.Service) error { return f(service) }
