package codegen

import (
	"cmp"
	"go/ast"
	"go/types"
	"math"
	"slices"
	"strings"
)

// servicer is a type of the user's that is meant to implement a service, in one build.
type servicer struct {
	pkg      *userPackage
	build    *userBuild
	named    *types.Named
	file     *userFile
	decl     *ast.GenDecl
	methods  []*userMethod
	asserted bool // the compiler wants it to have all methods
	byValue  bool // it is used without a pointer to it
	main     bool // the one in which RPCs that the unimplemented base answers are still to do
}

// userMethod is a method that the user has written.
type userMethod struct {
	file *userFile
	decl *ast.FuncDecl
	fn   *types.Func
}

func (t *servicer) name() string { return t.named.Obj().Name() }

// servicers returns the types in a build that are meant to implement a service, in the order of the source: those that
// are used as its servicer, and those that embed the unimplemented base. If such a type is declared in another package,
// elsewhere is its name. Those that generated code declares don't count, nor do those that only tests use.
func (p *userPackage) servicers(b *userBuild, s *Service) (found []*servicer, elsewhere string) {
	byName := make(map[string]*servicer)
	uses := b.plain.uses()
	for i, u := range slices.Concat(uses, b.tested.uses()) {
		if !u.implements(s) {
			continue
		}
		name := u.typ.Obj()
		if name.Pkg().Path() != p.importPath {
			if i < len(uses) && name.Pkg().Path() != s.File.ImportPath {
				elsewhere = name.Pkg().Path() + "." + name.Name()
			}
			continue
		}
		if name.Parent() != name.Pkg().Scope() {
			continue
		}
		if t := p.servicer(b, byName, name.Name()); t != nil {
			t.asserted, t.byValue = true, t.byValue || u.byValue
		}
	}
	for _, name := range b.plain.pkg.Scope().Names() {
		if embedsBase(b.plain.pkg.Scope().Lookup(name).Type(), s) {
			p.servicer(b, byName, name)
		}
	}
	if len(byName) == 0 && elsewhere == "" {
		p.addImplementers(b, s, byName)
	}
	for _, t := range byName {
		found = append(found, t)
	}
	slices.SortFunc(found, func(a, b *servicer) int { return cmp.Compare(a.named.Obj().Pos(), b.named.Obj().Pos()) })
	markMain(found, s)
	return found, elsewhere
}

// addImplementers finds types that have all methods, although nothing in the package says what for.
func (p *userPackage) addImplementers(b *userBuild, s *Service, byName map[string]*servicer) {
	wanted := p.wanted(b, b.plain, s)
	if wanted == nil || wanted.NumMethods() == 0 {
		return
	}
	for _, name := range b.plain.pkg.Scope().Names() {
		typ := b.plain.pkg.Scope().Lookup(name).Type()
		if named, ok := typ.(*types.Named); ok && named.TypeParams().Len() == 0 && !types.IsInterface(named) &&
			types.Implements(types.NewPointer(named), wanted) {
			p.servicer(b, byName, name)
		}
	}
}

// servicer returns the type of a name, which is nil unless it is the user's to fill in: fakes and mocks are generated,
// and what tests declare is theirs.
func (p *userPackage) servicer(b *userBuild, byName map[string]*servicer, name string) *servicer {
	if t, ok := byName[name]; ok {
		return t
	}
	object, ok := b.plain.pkg.Scope().Lookup(name).(*types.TypeName)
	if !ok || object.IsAlias() {
		return nil
	}
	named, ok := object.Type().(*types.Named)
	file := p.fileOf(object.Pos())
	if !ok || file == nil || file.isGenerated || file.isTest || types.IsInterface(named) {
		return nil
	}
	t := &servicer{pkg: p, build: b, named: named, file: file}
	for _, other := range b.files {
		t.gather(other)
	}
	byName[name] = t
	return t
}

// gather notes where the type and its methods are declared.
func (t *servicer) gather(file *userFile) {
	info := t.build.plain.info
	for _, decl := range file.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && info.Defs[spec.Name] == types.Object(t.named.Obj()) {
					t.decl = decl
				}
			}
		case *ast.FuncDecl:
			if fn, ok := info.Defs[decl.Name].(*types.Func); ok && decl.Recv != nil && receiverOf(fn) == t.named.Obj() {
				t.methods = append(t.methods, &userMethod{file, decl, fn})
			}
		}
	}
}

// receiverOf returns the type that a method belongs to.
func receiverOf(fn *types.Func) *types.TypeName {
	receiver := fn.Signature().Recv()
	if receiver == nil {
		return nil
	}
	return typeName(receiver.Type())
}

// embedsBase says whether a struct embeds the unimplemented base of a service, itself.
func embedsBase(typ types.Type, s *Service) bool {
	return slices.ContainsFunc(embeddedFields(typ), func(field *types.Var) bool {
		name := typeName(field.Type())
		return name != nil && name.Pkg() != nil && name.Pkg().Path() == s.File.ImportPath && name.Name() == s.Unimplemented
	})
}

func embeddedFields(typ types.Type) (fields []*types.Var) {
	structure, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	for field := range structure.Fields() {
		if field.Embedded() {
			fields = append(fields, field)
		}
	}
	return fields
}

// typeName returns the name of a type, or of that which it points to.
func typeName(typ types.Type) *types.TypeName {
	if named, ok := elementOf(typ).(*types.Named); ok {
		return named.Origin().Obj()
	}
	return nil
}

// elementOf returns what a type points to, or the type.
func elementOf(typ types.Type) types.Type {
	typ = types.Unalias(typ)
	if pointer, ok := typ.(*types.Pointer); ok {
		return types.Unalias(pointer.Elem())
	}
	return typ
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
		if inner := byName[name]; inner != nil && !isPart[inner] {
			return true
		}
		if name != nil && name.Pkg() != nil && name.Pkg().Path() == s.File.ImportPath && name.Name() == s.Servicer {
			return true
		}
	}
	return false
}

// count returns how many of a service's methods a type declares itself.
func (t *servicer) count(s *Service) int {
	n := 0
	for _, m := range s.Methods {
		if slices.ContainsFunc(t.methods, func(own *userMethod) bool { return own.decl.Name.Name == m.Name }) {
			n++
		}
	}
	return n
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
	if name == nil || name.Pkg() == nil || t.build.types.added[name.Pkg().Path()] == nil ||
		!strings.HasPrefix(name.Name(), "Unimplemented") ||
		!strings.HasSuffix(name.Name(), "Servicer") && !strings.HasSuffix(name.Name(), "Server") {
		return false
	}
	file := t.pkg.fileOf(name.Pos())
	return file == nil || file.isGenerated
}

// wanted returns the interface of a service's servicer, as a package sees it. It is nil if that package does not.
func (p *userPackage) wanted(b *userBuild, c *checkedPackage, s *Service) *types.Interface {
	pkg := c.pkg
	if s.File.ImportPath != p.importPath {
		var err error
		if pkg, err = b.types.load(s.File.ImportPath); err != nil {
			return nil
		}
	}
	object := pkg.Scope().Lookup(s.Servicer)
	if object == nil {
		return nil
	}
	wanted, _ := object.Type().Underlying().(*types.Interface)
	return wanted
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
