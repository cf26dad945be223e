package runtime

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/gogreeter/gogreeter/runtime/internal/naming"
)

// checkNames, which Start calls, reports methods and services that the options name and that are not there. That may be a
// mistake, and with an interceptor one that lets everybody in; it may also be for services that come later.
func (t *dictionary) checkNames(options *ServerOptions, logger *slog.Logger) {
	if len(t.generic) > 0 {
		return // which may know them
	}
	for _, path := range slices.Sorted(maps.Keys(options.Methods)) {
		if !t.matches(path) {
			logger.Warn("ServerOptions.Methods names a method that no service has; paths are \"/package.Service/Method\"", "method", path)
		}
	}
	for _, pattern := range namedBy(options.Interceptors) {
		if !t.matches(pattern) {
			logger.Warn("An interceptor's SelectOptions.Methods names a method that no service has", "method", pattern)
		}
	}
}

// namedBy returns what interceptors name, each once.
func namedBy(interceptors []ServerInterceptor) []string {
	question := naming.Ask()
	ask(question, interceptors)
	slices.Sort(question.Patterns)
	return slices.Compact(question.Patterns)
}
