package reflection

import (
	"errors"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/internal/renamed"
	"github.com/gogreeter/gogreeter/runtime"
	reflectionv1 "github.com/gogreeter/gogreeter/runtime/reflection/internal/gogreeter/reflection/v1"
)

// The full names of the services, which are one in two versions that differ in nothing but their names.
const (
	ServiceName      = "grpc.reflection.v1.ServerReflection"
	ServiceNameAlpha = "grpc.reflection.v1alpha.ServerReflection"
)

// Server is what is told about. [runtime.Server] is one.
type Server interface {
	runtime.Registrar

	// Services returns the services of the dispatch dictionary, by name.
	Services() map[string]runtime.Service
}

// AddToServer adds both services to a server. Their RPCs never wait for one of Options.Workers.
func AddToServer(server Server) error {
	if server == nil {
		return errors.New("gogreeter: reflection.AddToServer: the server is nil")
	}
	s := &servicer{cache{server: server}}
	for _, version := range []string{"v1", "v1alpha"} {
		if err := reflectionv1.AddServerReflectionToServer(s, realName{server, version}); err != nil {
			return err
		}
	}
	return nil
}

// realName registers the service under the name that clients know.
type realName struct {
	server  runtime.Registrar
	version string
}

// AddService implements runtime.Registrar.
func (r realName) AddService(service runtime.Service) error {
	file, err := renamed.File(reflectionv1.File_gogreeter_reflection_v1_reflection_proto, renamed.Name{
		Path:      "grpc/reflection/" + r.version + "/reflection.proto",
		Package:   protoreflect.FullName("grpc.reflection." + r.version),
		GoPackage: "google.golang.org/grpc/reflection/grpc_reflection_" + r.version,
	})
	if err != nil {
		return err
	}
	service.Descriptor = file.Services().Get(0)
	service.Name = string(service.Descriptor.FullName())
	for name, handler := range service.Methods {
		service.Methods[name] = handler.WithExecutor(runtime.Unbounded)
	}
	return r.server.AddService(service)
}
