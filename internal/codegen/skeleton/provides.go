package skeleton

import (
	"go/types"
	"math"
	"slices"
	"strings"
)

// provision says where a type has a method from.
type provision int

const (
	provided   provision = iota
	missing              // from nowhere
	fromBase             // from an unimplemented base: it is still to do
	ambiguous            // from several types that are embedded
	underField           // a field has its name
)

// provides says where a type has a method of a service from.
func (t *servicer) provides(name string) (from provision, method *types.Func) {
	object, index, _ := types.LookupFieldOrMethod(types.NewPointer(t.named), true, t.named.Obj().Pkg(), name)
	switch object := object.(type) {
	case *types.Func:
		if t.isBase(receiverOf(object)) {
			return fromBase, object
		}
		return provided, object
	case *types.Var:
		if len(index) == 1 {
			return underField, nil
		}
		return missing, nil // A field of what is embedded gives way.
	}
	if index == nil {
		return missing, nil
	}
	if t.onlyBasesHave(t.named, name) {
		return missing, nil // Of two bases the compiler takes neither.
	}
	return ambiguous, nil
}

// isToDo says whether a type does not answer an RPC yet.
func (t *servicer) isToDo(m *Method) bool {
	from, _ := t.provides(m.Name)
	return from == missing || from == fromBase
}

// onlyBasesHave says whether all that makes a method of a type ambiguous is in unimplemented bases.
func (t *servicer) onlyBasesHave(typ types.Type, name string) bool {
	type candidate struct {
		field  *types.Var
		object types.Object // nil if it is ambiguous itself
	}
	var nearest []candidate
	depth := math.MaxInt
	for _, field := range embeddedFields(typ) {
		object, path, _ := types.LookupFieldOrMethod(field.Type(), true, t.named.Obj().Pkg(), name)
		if len(path) == 0 || len(path) > depth {
			continue
		}
		if len(path) < depth {
			depth, nearest = len(path), nil
		}
		nearest = append(nearest, candidate{field, object})
	}
	return !slices.ContainsFunc(nearest, func(c candidate) bool {
		if c.object == nil { // It is nearer to that type, so that types that embed themselves are no danger.
			return !t.onlyBasesHave(elementOf(c.field.Type()), name)
		}
		fn, ok := c.object.(*types.Func)
		return !ok || !t.isBase(receiverOf(fn))
	})
}

// isBase says whether a type is one of those that answer UNIMPLEMENTED, ours or protoc-gen-go-grpc's: by its name, in a
// package of generated code.
func (t *servicer) isBase(name *types.TypeName) bool {
	if name == nil || name.Pkg() == nil || !t.build.types.IsGenerated(name.Pkg().Path()) ||
		!strings.HasPrefix(name.Name(), "Unimplemented") ||
		!strings.HasSuffix(name.Name(), "Servicer") && !strings.HasSuffix(name.Name(), "Server") {
		return false
	}
	file := t.pkg.fileOf(name.Pos())
	return file == nil || file.IsGenerated
}

// unresolved returns what a type embeds and the type checker does not know: it may have any methods.
func unresolved(typ types.Type, seen map[types.Type]bool) string {
	if seen[typ] {
		return ""
	}
	seen[typ] = true
	if basic, ok := typ.Underlying().(*types.Basic); ok && basic.Kind() == types.Invalid {
		return types.TypeString(typ, (*types.Package).Name)
	}
	for _, field := range embeddedFields(typ) {
		of := elementOf(field.Type())
		if basic, ok := of.(*types.Basic); ok && basic.Kind() == types.Invalid {
			return field.Name()
		}
		if name := unresolved(of, seen); name != "" {
			return name
		}
	}
	return ""
}

// methodOf returns the signature of a method of an interface.
func methodOf(of *types.Interface, name string) *types.Signature {
	if of != nil {
		for method := range of.Methods() {
			if method.Name() == name {
				return method.Signature()
			}
		}
	}
	return nil
}
