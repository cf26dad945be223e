package runtime

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// dictionary is the dispatch dictionary: method handlers by full path, and behind them the generic handlers, asked
// in order. It is immutable; the server replaces it as a whole, so that the hot path needs no lock.
type dictionary struct {
	methods  map[string]*method
	services map[string]Service
	generic  []GenericHandler
	revision uint64 // of services

	keepsFields bool // something on the server can ask for all fields of a request

	routes []func(request *fields.Section) *protocol.Route // of protocols beside gRPC
	serve  func(*protocol.Conn)                            // of the first that serves connections; nil: none does
}

// withService returns the table with a service added. newMethod makes the methods.
func (t *dictionary) withService(service Service, newMethod func(string, *MethodHandler, protoreflect.MethodDescriptor) (*method, error)) (*dictionary, error) {
	if err := checkService(service); err != nil {
		return nil, err
	}
	if _, ok := t.services[service.Name]; ok {
		return nil, fmt.Errorf("gogreeter: service %q is already registered; a service can be added once", service.Name)
	}
	next := t.clone()
	service.Methods = maps.Clone(service.Methods) // the caller's may change, and RemoveService looks at it
	next.services[service.Name] = service
	for name, handler := range service.Methods {
		if handler == nil {
			continue
		}
		var descriptor protoreflect.MethodDescriptor
		if service.Descriptor != nil {
			descriptor = service.Descriptor.Methods().ByName(protoreflect.Name(name))
		}
		next.keepsFields = next.keepsFields || handler.untyped
		path := "/" + service.Name + "/" + name
		m, err := newMethod(path, handler, descriptor)
		if err != nil {
			return nil, fmt.Errorf("gogreeter: service %q: method %q: %w", service.Name, name, err)
		}
		next.methods[path] = m
	}
	return next, nil
}

// withoutService returns the table with a service removed.
func (t *dictionary) withoutService(name string) (*dictionary, error) {
	service, ok := t.services[name]
	if !ok {
		return nil, fmt.Errorf("gogreeter: service %q is not registered", name)
	}
	next := t.clone()
	delete(next.services, name)
	for method := range service.Methods {
		delete(next.methods, "/"+name+"/"+method)
	}
	return next, nil
}

// clone copies what a service changes. Readers of the old dictionary, which take no lock, go on with that.
func (t *dictionary) clone() *dictionary {
	next := *t
	next.methods, next.services, next.revision = maps.Clone(t.methods), maps.Clone(t.services), t.revision+1
	if next.methods == nil {
		next.methods, next.services = map[string]*method{}, map[string]Service{}
	}
	return &next
}

// withGeneric returns the table with a generic handler added behind those it has.
func (t *dictionary) withGeneric(handler GenericHandler) (*dictionary, error) {
	if handler == nil {
		return nil, errors.New("gogreeter: the generic handler is nil")
	}
	next := *t
	next.keepsFields = true
	next.generic = append(slices.Clip(t.generic), handler)
	return &next, nil
}

// withProtocol returns the table with a protocol added behind those it has.
func (t *dictionary) withProtocol(p *protocol.Protocol) *dictionary {
	next := *t
	if p.Route != nil {
		next.routes = append(slices.Clip(t.routes), p.Route)
	}
	if t.serve == nil {
		next.serve = p.Serve
	}
	return &next
}

// route returns what a protocol makes of a request that is not gRPC's. nil: it is gRPC's, or no protocol's.
func (t *dictionary) route(request *fields.Section) *protocol.Route {
	if len(t.routes) > 0 && !request.Oversize && !isGRPC(request) {
		for _, route := range t.routes {
			if r := route(request); r != nil {
				return r
			}
		}
	}
	return nil
}

// isGRPC reports whether a request is one of gRPC, right or wrong.
func isGRPC(request *fields.Section) bool {
	return request.Method == "POST" && slices.ContainsFunc(request.Fields, func(f fields.Field) bool {
		return f.Name == "content-type" && wire.IsGRPC(f.Value)
	})
}

// checkService reports what is wrong with a service, naming the service and the method.
func checkService(service Service) error {
	if service.Name == "" || strings.ContainsAny(service.Name, "/ ") {
		return fmt.Errorf("gogreeter: %q is not the name of a service; it is the full name from the .proto file, without slashes", service.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(service.Methods)) {
		if name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("gogreeter: service %q: %q is not the name of a method", service.Name, name)
		}
		if handler := service.Methods[name]; handler != nil {
			if err := handler.check(); err != nil {
				return fmt.Errorf("gogreeter: service %q: method %q: %w", service.Name, name, err)
			}
		}
	}
	return nil
}

// matches reports whether there is a method that a pattern names: "/package.Service/Method", or "/package.Service/*".
func (t *dictionary) matches(pattern string) bool {
	service, all := strings.CutSuffix(pattern, "*")
	if !all {
		return t.methods[pattern] != nil
	}
	for path := range t.methods {
		if strings.HasPrefix(path, service) {
			return true
		}
	}
	return false
}
