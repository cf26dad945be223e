package interceptor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/naming"
)

// SelectOptions says which RPCs [Select] selects, and [Except] leaves out: those that one of its fields names. The zero value
// names none.
type SelectOptions struct {
	// Methods are full paths, "/package.Service/Method", or whole services, "/package.Service/*". Select panics if one is of
	// another form. One that no service has when the server starts is reported to the log, unless there are generic
	// handlers, which may have it. The server cannot see into an interceptor of an application's own that calls this one.
	Methods []string

	// Match is asked about RPCs that Methods does not name; it can decide by the options in the method's descriptor.
	Match func(call *runtime.ServerCall) bool
}

// Select applies interceptors to some RPCs only, the first outermost; the others go past them.
// It panics if one of them is nil, and if SelectOptions.Methods has what can name no method.
func Select(options SelectOptions, interceptors ...runtime.ServerInterceptor) runtime.ServerInterceptor {
	return newSelection("Select", options, interceptors).intercept
}

// Except applies interceptors to all RPCs but some, as Select does to some: an [Auth] to everything but the health checks, for
// example. With the zero SelectOptions it applies them to all.
func Except(options SelectOptions, interceptors ...runtime.ServerInterceptor) runtime.ServerInterceptor {
	s := newSelection("Except", options, interceptors)
	s.except = true
	return s.intercept
}

func newSelection(caller string, options SelectOptions, interceptors []runtime.ServerInterceptor) *selection {
	s := &selection{
		options: options, methods: make(map[string]bool, len(options.Methods)), selected: runtime.Chain(interceptors...),
	}
	s.options.Methods = slices.Clone(options.Methods) // the caller's may change
	for i, pattern := range s.options.Methods {
		if !isPattern(pattern) {
			panic(fmt.Sprintf("gogreeter: %s: SelectOptions.Methods[%d] is %q; "+
				`a method is "/package.Service/Method", and all methods of a service are "/package.Service/*"`, caller, i, pattern))
		}
		s.methods[pattern] = true
	}
	return s
}

// isPattern reports whether SelectOptions.Methods may have an entry. One that is misspelt must not pass for one that names
// nothing: it may be what an [Auth] is for.
func isPattern(pattern string) bool {
	path, ok := strings.CutPrefix(pattern, "/")
	service, method, both := strings.Cut(path, "/")
	const foreign = "/* \t\r\n"
	return ok && both && service != "" && method != "" && !strings.ContainsAny(service, foreign) &&
		(method == "*" || !strings.ContainsAny(method, foreign))
}

// selection is what Select and Except return the method of. It is immutable after that.
type selection struct {
	options  SelectOptions
	except   bool // the RPCs that are not named are selected
	methods  map[string]bool
	selected runtime.ServerInterceptor
}

func init() { naming.Mark((*selection)(nil).intercept) }

func (s *selection) intercept(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
	if question, ok := ctx.(*naming.Question); ok {
		question.Patterns = append(question.Patterns, s.options.Methods...)
		return s.selected(ctx, nil, nil)
	}
	if s.names(call) == s.except {
		return next(ctx, call)
	}
	return s.selected(ctx, call, next)
}

func (s *selection) names(call *runtime.ServerCall) bool {
	path := call.Method()
	service := path[:strings.LastIndexByte(path, '/')+1]
	return s.methods[path] || s.methods[service+"*"] || s.options.Match != nil && s.options.Match(call)
}
