package interceptor

import (
	"context"
	"strings"

	"github.com/gogreeter/gogreeter/runtime"
)

// SelectOptions says which RPCs [Select] selects: those that one of its fields names. The zero value names none.
type SelectOptions struct {
	// Methods are full paths, "/package.Service/Method", or whole services, "/package.Service/*".
	Methods []string

	// Match is asked about RPCs that Methods does not name; it can decide by the options in the method's descriptor.
	Match func(call *runtime.Call) bool

	// Except turns the selection around: all RPCs but those that are named.
	Except bool
}

// Select applies interceptors to some RPCs only, the first outermost; the others go past them.
// It panics if one of them is nil.
func Select(options SelectOptions, interceptors ...runtime.Interceptor) runtime.Interceptor {
	methods := make(map[string]bool, len(options.Methods))
	for _, name := range options.Methods {
		methods[name] = true
	}
	named := func(call *runtime.Call) bool {
		path := call.Method()
		service := path[:strings.LastIndexByte(path, '/')+1]
		return methods[path] || methods[service+"*"] || options.Match != nil && options.Match(call)
	}
	selected := runtime.Chain(interceptors...)
	return func(ctx context.Context, call *runtime.Call, next runtime.Next) error {
		if named(call) == options.Except {
			return next(ctx, call)
		}
		return selected(ctx, call, next)
	}
}
