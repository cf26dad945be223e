package skeleton

import (
	"go/types"
	"maps"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// noteGone says which methods of implementations look like those of RPCs that the services don't have any more.
func (p *Plan) noteGone() {
	for _, b := range p.pkg.builds {
		for _, name := range slices.Sorted(maps.Keys(p.served)) {
			t := p.pkg.servicer(b, name)
			if t == nil {
				continue
			}
			for _, own := range t.methods {
				if p.looksGone(t, own) {
					p.note(own.file.Path, own.file.Line(own.decl.Pos()), "%s.%s: %s no such method any more; remove it or make it unexported",
						name, own.fn.Name(), servicesHave(p.served[name]))
				}
			}
		}
	}
}

// servicesHave begins a sentence on services.
func servicesHave(services []*Service) string {
	if len(services) == 1 {
		return "the service " + services[0].FullName + " has"
	}
	var names []string
	for _, s := range services {
		names = append(names, s.FullName)
	}
	return "the services " + strings.Join(names, ", ") + " have"
}

// looksGone says whether a method may have implemented an RPC, and is of no use for anything else: it is exported,
// takes a context, and has to do with messages of the services' packages, or with streams.
func (p *Plan) looksGone(t *servicer, own *userMethod) bool {
	parameters := own.fn.Signature().Params()
	if !own.fn.Exported() || parameters.Len() < 2 || types.TypeString(parameters.At(0).Type(), nil) != "context.Context" {
		return false
	}
	concerned := false
	for _, s := range p.served[t.name()] {
		if s.has(own.fn.Name()) {
			return false
		}
		concerned = concerned || mentions(own.fn.Signature(), s.Messages)
	}
	return (concerned || mentions(own.fn.Signature(), gofile.RuntimePackage)) && !t.isNeeded(own)
}

// mentions says whether a type of a package is among the parameters or results.
func mentions(signature *types.Signature, importPath string) bool {
	found := false
	types.TypeString(signature, func(pkg *types.Package) string {
		found = found || pkg.Path() == importPath
		return ""
	})
	return found
}

// isNeeded says whether the type is used as an interface that has the method, or implements one of a package that it
// can see.
func (t *servicer) isNeeded(own *userMethod) bool {
	isIn := func(typ types.Type) bool {
		of, ok := typ.Underlying().(*types.Interface)
		signature := methodOf(of, own.fn.Name())
		return ok && signature != nil && types.Identical(signature, own.fn.Signature())
	}
	for _, u := range t.build.plain.Uses() {
		if u.Type.Obj() == t.named.Obj() && isIn(u.Interface) {
			return true
		}
	}
	pkg := t.named.Obj().Pkg()
	for _, visible := range append(slices.Clone(pkg.Imports()), pkg) {
		for _, name := range visible.Scope().Names() {
			object, ok := visible.Scope().Lookup(name).(*types.TypeName)
			if !ok || !isIn(object.Type()) {
				continue
			}
			of := object.Type().Underlying().(*types.Interface)
			if types.Implements(types.NewPointer(t.named), of) {
				return true
			}
		}
	}
	return false
}
