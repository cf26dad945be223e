package skeleton

import (
	"cmp"
	"go/types"
	"maps"
	"slices"
)

// servicers returns the types in a build that are meant to implement a service, in the order of the source: those that
// are used as its servicer, and those that embed the unimplemented base. If such a type is declared in another package,
// elsewhere is its name. Those that generated code declares don't count, nor do those that only tests use.
func (p *Package) servicers(b *build, s *Service) (found []*servicer, elsewhere string) {
	byName := make(map[string]*servicer)
	add := func(name string) *servicer {
		if _, ok := byName[name]; !ok {
			if t := p.servicer(b, name); t != nil {
				byName[name] = t
			}
		}
		return byName[name]
	}
	uses := b.plain.Uses()
	for i, u := range slices.Concat(uses, b.tested.Uses()) {
		if !embedsServicer(u.Interface, s, make(map[types.Type]bool)) {
			continue
		}
		name := u.Type.Obj()
		switch {
		case name.Pkg().Path() != p.importPath:
			if i < len(uses) && name.Pkg().Path() != s.Package { // not if only tests use it
				elsewhere = name.Pkg().Path() + "." + name.Name()
			}
		case name.Parent() == name.Pkg().Scope():
			if t := add(name.Name()); t != nil {
				t.asserted, t.byValue = true, t.byValue || u.ByValue
			}
		}
	}
	for _, name := range b.plain.Package.Scope().Names() {
		if embedsBase(b.plain.Package.Scope().Lookup(name).Type(), s) {
			add(name)
		}
	}
	if len(byName) == 0 && elsewhere == "" {
		for _, name := range b.implementers(s) {
			add(name)
		}
	}
	found = slices.SortedFunc(maps.Values(byName), func(a, b *servicer) int {
		return cmp.Compare(a.named.Obj().Pos(), b.named.Obj().Pos())
	})
	markMain(found, s)
	return found, elsewhere
}

// implementers returns the types that have all methods, although nothing in the package says what for.
func (b *build) implementers(s *Service) (names []string) {
	wanted := b.wanted(b.plain, s)
	if wanted == nil || wanted.NumMethods() == 0 {
		return nil
	}
	scope := b.plain.Package.Scope()
	for _, name := range scope.Names() {
		named, ok := scope.Lookup(name).Type().(*types.Named)
		if ok && named.TypeParams().Len() == 0 && !types.IsInterface(named) && types.Implements(types.NewPointer(named), wanted) {
			names = append(names, name)
		}
	}
	return names
}

// embedsServicer says whether a type is a servicer's interface, or one that embeds it.
func embedsServicer(typ types.Type, s *Service, seen map[types.Type]bool) bool {
	of, ok := typ.Underlying().(*types.Interface)
	if !ok || seen[typ] {
		return false
	}
	seen[typ] = true
	if isNamed(typeName(typ), s.Package, s.Servicer) {
		return true
	}
	for embedded := range of.EmbeddedTypes() {
		if embedsServicer(embedded, s, seen) {
			return true
		}
	}
	return false
}

// embedsBase says whether a struct embeds the unimplemented base of a service, itself.
func embedsBase(typ types.Type, s *Service) bool {
	return slices.ContainsFunc(embeddedFields(typ), func(field *types.Var) bool {
		return isNamed(typeName(field.Type()), s.Package, s.Unimplemented)
	})
}

// markMain chooses the type in which RPCs are to do that are only answered with UNIMPLEMENTED: the one with the most
// methods that is not built around another servicer. A type that another one embeds, and that is nowhere used as a
// servicer itself, is a part of the other.
func markMain(found []*servicer, s *Service) {
	byName := make(map[*types.TypeName]*servicer)
	for _, t := range found {
		byName[t.named.Obj()] = t
	}
	isPart := make(map[*servicer]bool)
	for _, t := range found {
		for _, field := range embeddedFields(t.named) {
			if inner := byName[typeName(field.Type())]; inner != nil && inner != t && !inner.asserted {
				isPart[inner] = true
			}
		}
	}
	var main *servicer
	for _, t := range found {
		if !isPart[t] && !t.isAround(s, byName, isPart) && (main == nil || t.count(s) > main.count(s)) {
			main = t
		}
	}
	if main != nil {
		main.main = true
	}
}

// isAround says whether a type has a field for a servicer, as a decorator has.
func (t *servicer) isAround(s *Service, byName map[*types.TypeName]*servicer, isPart map[*servicer]bool) bool {
	structure, ok := t.named.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for field := range structure.Fields() {
		name := typeName(field.Type())
		if inner := byName[name]; inner != nil && !isPart[inner] || isNamed(name, s.Package, s.Servicer) {
			return true
		}
	}
	return false
}

// count returns how many of a service's methods a type declares itself.
func (t *servicer) count(s *Service) int {
	n := 0
	for _, own := range t.methods {
		if s.has(own.fn.Name()) {
			n++
		}
	}
	return n
}
