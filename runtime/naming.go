package runtime

import (
	"maps"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/runtime/internal/naming"
)

// checkNames reports methods and services that the options name and that are not there. That may be a mistake, and with an
// interceptor one that lets everybody in; it may also be for services that come later.
func (s *Server) checkNames() {
	table := s.table.Load()
	if len(table.generic) > 0 {
		return // which may know them
	}
	for _, path := range slices.Sorted(maps.Keys(s.options.Methods)) {
		if table.methods[path] == nil {
			s.logger.Warn("Options.Methods names a method that no service has; paths are \"/package.Service/Method\"", "method", path)
		}
	}
	for _, pattern := range namedBy(s.options.Interceptors) {
		if !table.matches(pattern) {
			s.logger.Warn("An interceptor's SelectOptions.Methods names a method that no service has", "method", pattern)
		}
	}
}

// namedBy returns what interceptors name, each once.
func namedBy(interceptors []Interceptor) []string {
	question := naming.Ask()
	ask(question, interceptors)
	slices.Sort(question.Patterns)
	return slices.Compact(question.Patterns)
}

// ask asks those interceptors that answer.
func ask(question *naming.Question, interceptors []Interceptor) {
	for _, interceptor := range interceptors {
		if naming.Answers(interceptor) {
			_ = interceptor(question, nil, nil) // the answer is in question
		}
	}
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
