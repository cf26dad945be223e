package skeleton

import (
	"go/types"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// receiverName returns what the methods of the type call it, if that is in no parameter's and no import's way.
func (t *servicer) receiverName(imports *gofile.Imports) string {
	names := []string{"s", "servicer", "self"}
	for _, m := range slices.Backward(t.methods) {
		if own := m.decl.Recv.List[0].Names; len(own) == 1 {
			names = slices.Insert(names, 0, own[0].Name)
		}
	}
	isBad := func(name string) bool { return name == "_" || imports.IsTaken(name) || gofile.IsInSignatures(name) }
	for len(names) > 1 && isBad(names[0]) {
		names = names[1:]
	}
	return names[0]
}

// receiverType returns the type as it is in the receivers of new methods. It is a pointer, unless the other methods
// have values, or values are what is used.
func (t *servicer) receiverType(m *Method, imports *gofile.Imports, receiver string) string {
	star, values := "*", 0
	for _, own := range t.methods {
		if _, isPointer := own.fn.Signature().Recv().Type().(*types.Pointer); !isPointer {
			values++
		}
	}
	if t.byValue || 2*values > len(t.methods) {
		star = ""
	}
	var parameters []string
	for parameter := range t.named.TypeParams().TypeParams() {
		name := parameter.Obj().Name()
		if name == receiver || slices.Contains(m.Messages[:], name) || imports.IsTaken(name) || gofile.IsReserved(name) {
			name = "_"
		}
		parameters = append(parameters, name)
	}
	if len(parameters) == 0 {
		return star + t.name()
	}
	return star + t.name() + "[" + strings.Join(parameters, ", ") + "]"
}
