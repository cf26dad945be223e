package health

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/internal/renamed"
	"github.com/gogreeter/gogreeter/runtime"
	healthv1 "github.com/gogreeter/gogreeter/runtime/health/internal/gogreeter/health/v1"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
)

// ServiceName is the full name of the service.
const ServiceName = "grpc.health.v1.Health"

// AddToServer adds the service to a server. Its RPCs never wait for one of ServerOptions.Workers. Clients that watch would occupy
// them, and a server that is busy is still ready.
//
// Several servers may share a servicer; each turns NOT_SERVING when it drains itself. A drainer whose Draining returns nil never
// does.
func AddToServer(servicer *Servicer, server runtime.Drainer) error {
	if servicer == nil {
		return errors.New("gogreeter: health.AddToServer: the servicer is nil")
	}
	if server == nil {
		return errors.New("gogreeter: health.AddToServer: the server is nil")
	}
	served := &served{Servicer: servicer, draining: server.Draining()}
	return healthv1.AddHealthToServer(served, renamed.Registrar{
		Server: server,
		File:   healthv1.File_gogreeter_health_v1_health_proto,
		As: renamed.Name{
			Path:      "grpc/health/v1/health.proto",
			Package:   "grpc.health.v1",
			GoPackage: "google.golang.org/grpc/health/grpc_health_v1",
		},
	})
}

// served is a servicer as one server serves it.
type served struct {
	*Servicer
	draining <-chan struct{} // nil: not known

	mu sync.Mutex
	// Guarded by mu.
	listed listing
}

// listing is the answer of List, encoded, and what it was made of.
type listing struct {
	octets   []byte // nil: none yet
	revision uint64
	drains   bool
}

var errStopping = status.Error(codes.Unavailable, "Cancelling all calls") // what it would be told at the end of the grace

// maxName is how long a name may be that clients ask for, in octets. A watch keeps its name for as long as the client likes.
const maxName = 256

var errLongName = status.Errorf(codes.InvalidArgument, "the name of the service is longer than %d octets", maxName)

// Check implements healthv1.HealthServicer.
func (s *served) Check(_ context.Context, request *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if len(request.GetService()) > maxName {
		return nil, errLongName
	}
	st, ok := s.Get(request.GetService())
	if !ok {
		return nil, status.Error(codes.NotFound, "") // as grpc-python, without a text
	}
	return s.response(st), nil
}

// List implements healthv1.HealthServicer. A request has no octets but its headers', and there may be many services. So
// unless an interceptor looks at the message, the answer reuses octets that are encoded already. They are unknown fields of
// the message, which protobuf writes as they are.
func (s *served) List(ctx context.Context, _ *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	if !carrier.IsUnobserved(ctx) {
		return s.list(), nil
	}
	octets, err := s.encodedList()
	if err != nil {
		return nil, err
	}
	list := &healthv1.HealthListResponse{}
	list.ProtoReflect().SetUnknown(octets)
	return list, nil
}

func (s *served) list() *healthv1.HealthListResponse {
	list := &healthv1.HealthListResponse{Statuses: map[string]*healthv1.HealthCheckResponse{}}
	for service, st := range s.all() {
		if !utf8.ValidString(service) {
			continue // no message can have it, and no client ask for it
		}
		list.Statuses[service] = s.response(st)
	}
	return list
}

// encodedList returns the list as it is now, encoded. The octets must not be modified.
func (s *served) encodedList() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := listing{revision: s.revised(), drains: s.drains()} // before the list: it is not to be taken for a later one
	if s.listed.octets != nil && s.listed.revision == now.revision && s.listed.drains == now.drains {
		return s.listed.octets, nil
	}
	var err error
	if now.octets, err = proto.Marshal(s.list()); err == nil {
		s.listed = now
	}
	return now.octets, err
}

// Watch implements healthv1.HealthServicer.
func (s *served) Watch(ctx context.Context, request *healthv1.HealthCheckRequest, responses runtime.ResponseStream[healthv1.HealthCheckResponse]) error {
	if len(request.GetService()) > maxName {
		return errLongName
	}
	// The request is not passed on: the fields in it that are not known may be as large as a request can be.
	return s.follow(ctx, strings.Clone(request.GetService()), responses)
}

// follow sends the status of a service whenever it changes. It ends when the server stops, which a client that only watches
// must not delay.
func (s *served) follow(ctx context.Context, service string, responses runtime.ResponseStream[healthv1.HealthCheckResponse]) error {
	changed, forget := s.watch(service)
	defer forget()
	draining, stopping := s.draining, runtime.Stopping(ctx)
	last := Status(-1)
	for stopped := false; ; {
		st, ok := s.Get(service)
		if !ok {
			st = serviceUnknown
		}
		response := s.response(st)
		if st = Status(response.GetStatus()); st != last {
			if err := responses.Send(response); err != nil {
				return err
			}
			last = st
		}
		if stopped {
			return errStopping
		}
		select {
		case <-changed:
		case <-draining:
			draining = nil // and what it says is sent
		case <-stopping:
			stopped = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drains reports whether this server drains.
func (s *served) drains() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// response is a status as this server answers it: once it drains, nothing is ready that was known.
func (s *served) response(st Status) *healthv1.HealthCheckResponse {
	if st != serviceUnknown && s.drains() {
		st = NotServing
	}
	return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_ServingStatus(st)}
}
