package runtime

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// dispatchTable is the dispatch dictionary: method handlers by full path, and behind them the generic handlers, asked
// in order. It is immutable; the server replaces it as a whole, so that the hot path needs no lock.
type dispatchTable struct {
	methods  map[string]*MethodHandler
	services map[string]Service
	generic  []GenericHandler
}

// withService returns the table with a service added.
func (t *dispatchTable) withService(service Service) (*dispatchTable, error) {
	if err := checkService(service); err != nil {
		return nil, err
	}
	if _, ok := t.services[service.Name]; ok {
		return nil, fmt.Errorf("gogreeter: service %q is already registered; a service can be added once", service.Name)
	}
	next := &dispatchTable{methods: maps.Clone(t.methods), services: maps.Clone(t.services), generic: t.generic}
	if next.methods == nil {
		next.methods, next.services = map[string]*MethodHandler{}, map[string]Service{}
	}
	next.services[service.Name] = service
	for name, handler := range service.Methods {
		if handler != nil {
			next.methods["/"+service.Name+"/"+name] = handler
		}
	}
	return next, nil
}

// withGeneric returns the table with a generic handler added behind those it has.
func (t *dispatchTable) withGeneric(handler GenericHandler) (*dispatchTable, error) {
	if handler == nil {
		return nil, errors.New("gogreeter: the generic handler is nil")
	}
	next := *t
	next.generic = append(slices.Clip(t.generic), handler)
	return &next, nil
}

// checkService reports what is wrong with a service, naming the service and the method.
func checkService(service Service) error {
	if service.Name == "" || strings.ContainsAny(service.Name, "/ ") {
		return fmt.Errorf("gogreeter: %q is not the name of a service; it is the full name from the .proto file, without slashes", service.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(service.Methods)) {
		handler := service.Methods[name]
		switch {
		case name == "" || strings.Contains(name, "/"):
			return fmt.Errorf("gogreeter: service %q: %q is not the name of a method", service.Name, name)
		case handler == nil:
			continue
		case handler.err != nil:
			return fmt.Errorf("gogreeter: service %q: method %q: %w", service.Name, name, handler.err)
		case handler.behavior == nil:
			return fmt.Errorf("gogreeter: service %q: method %q: the handler was not made by UnaryUnary, UnaryStream, StreamUnary or StreamStream",
				service.Name, name)
		}
	}
	return nil
}
