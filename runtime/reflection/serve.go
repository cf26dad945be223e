package reflection

import (
	"errors"
	"fmt"

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

	// Services returns the services of the dispatch dictionary, in the order of their names. It is called for each request, unless the server
	// has a method ServicesRevision as that of [runtime.Server]: then only if that has changed.
	Services() []runtime.Service
}

// AddToServer adds both services to a server. Their RPCs never wait for one of ServerOptions.Workers. It fails, and changes nothing,
// if the server has one of them.
func AddToServer(server Server) error {
	if server == nil {
		return errors.New("gogreeter: reflection.AddToServer: the server is nil")
	}
	for _, service := range server.Services() {
		if service.Name == ServiceName || service.Name == ServiceNameAlpha {
			return fmt.Errorf("gogreeter: reflection.AddToServer: the server has the service %q already", service.Name)
		}
	}
	s := &servicer{cache{server: server}}
	for _, version := range []string{"v1", "v1alpha"} {
		err := reflectionv1.AddServerReflectionToServer(s, renamed.Registrar{
			Server: server,
			File:   reflectionv1.File_gogreeter_reflection_v1_reflection_proto,
			As: renamed.Name{
				Path:      "grpc/reflection/" + version + "/reflection.proto",
				Package:   protoreflect.FullName("grpc.reflection." + version),
				GoPackage: "google.golang.org/grpc/reflection/grpc_reflection_" + version,
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
