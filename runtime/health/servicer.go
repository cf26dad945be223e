package health

import (
	"maps"
	"sync"

	healthv1 "github.com/gogreeter/gogreeter/runtime/health/internal/gogreeter/health/v1"
)

// Overall is the name under which the server as a whole has a status.
const Overall = ""

// Status is whether a service is ready. The values are those of HealthCheckResponse.ServingStatus.
type Status int32

const (
	Unknown    = Status(healthv1.HealthCheckResponse_UNKNOWN)
	Serving    = Status(healthv1.HealthCheckResponse_SERVING)
	NotServing = Status(healthv1.HealthCheckResponse_NOT_SERVING)
)

// serviceUnknown is the status that a watching client gets of a service without one.
const serviceUnknown = Status(healthv1.HealthCheckResponse_SERVICE_UNKNOWN)

// String returns the name that the status has in the .proto file.
func (s Status) String() string { return healthv1.HealthCheckResponse_ServingStatus(s).String() }

// Servicer knows the statuses of services. Its methods may be called by any goroutine, and don't wait for clients. The zero
// value is ready for use. It must not be copied after that.
type Servicer struct {
	mu sync.Mutex
	// Guarded by mu.
	statuses map[string]Status                     // by service; read with statusesLocked
	watchers map[string]map[chan struct{}]struct{} // by service; each has room for one value
	shutdown bool                                  // statuses no longer change
	revision uint64                                // of statuses
}

// NewServicer returns a servicer that knows of nothing but [Overall], which is Serving. So does the zero value.
func NewServicer() *Servicer { return &Servicer{} }

// Set sets the status of a service, and tells the clients that watch it. After EnterGracefulShutdown it does nothing. The
// service does not have to be one of the server's. Any name will do that clients and server agree on, of at most 256 octets
// of UTF-8. A client that asks for a longer one gets INVALID_ARGUMENT.
func (s *Servicer) Set(service string, status Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shutdown {
		s.setLocked(service, status)
	}
}

// Get returns the status of a service. ok is false if none was set.
func (s *Servicer) Get(service string) (status Status, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, ok = s.statusesLocked()[service]
	return status, ok
}

// EnterGracefulShutdown sets all statuses to NotServing, for good. A server that drains answers as if it had been called. So
// it is for programs that know before their server does that they are going to stop. Further calls do nothing.
func (s *Servicer) EnterGracefulShutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutdown {
		return
	}
	s.shutdown = true
	for service := range s.statusesLocked() {
		s.setLocked(service, NotServing)
	}
}

func (s *Servicer) setLocked(service string, status Status) {
	s.statusesLocked()[service] = status
	s.revision++
	for changed := range s.watchers[service] {
		select {
		case changed <- struct{}{}:
		default: // the watcher has not looked yet, and will find what is newest
		}
	}
}

// statusesLocked returns the statuses. It is what makes the zero value work.
func (s *Servicer) statusesLocked() map[string]Status {
	if s.statuses == nil {
		s.statuses = map[string]Status{Overall: Serving}
	}
	return s.statuses
}

// all returns the statuses of all services.
func (s *Servicer) all() map[string]Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.statusesLocked())
}

// revised returns a number that is another one whenever a status has been set.
func (s *Servicer) revised() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// watch returns a channel that gets a value when the status of a service is set. forget has to be called.
func (s *Servicer) watch(service string) (changed <-chan struct{}, forget func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[string]map[chan struct{}]struct{}{}
	}
	if s.watchers[service] == nil {
		s.watchers[service] = map[chan struct{}]struct{}{}
	}
	s.watchers[service][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[service], c)
		if len(s.watchers[service]) == 0 {
			delete(s.watchers, service)
		}
	}
}
