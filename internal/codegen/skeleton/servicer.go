package skeleton

import (
	"go/ast"
	"go/types"

	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
)

// servicer is a type of the user's that is meant to implement a service, in one build.
type servicer struct {
	pkg      *Package
	build    *build
	named    *types.Named
	file     *source.File
	decl     *ast.GenDecl // nil if there is no declaration of it
	declared int          // how often its name is
	methods  []*userMethod
	asserted bool // the compiler wants it to have all methods
	byValue  bool // it is used without a pointer to it
	main     bool // the one in which RPCs that the unimplemented base answers are still to do
}

// userMethod is a method that the user has written.
type userMethod struct {
	file *source.File
	decl *ast.FuncDecl
	fn   *types.Func
}

func (t *servicer) name() string { return t.named.Obj().Name() }

func (t *servicer) line() int { return t.file.Line(t.named.Obj().Pos()) }

// servicer returns the type of a name in a build, which is nil unless it is the user's to fill in: fakes and mocks are
// generated, and what tests declare is theirs.
func (p *Package) servicer(b *build, name string) *servicer {
	object, ok := b.plain.Package.Scope().Lookup(name).(*types.TypeName)
	if !ok || object.IsAlias() {
		return nil
	}
	named, ok := object.Type().(*types.Named)
	file := p.fileOf(object.Pos())
	if !ok || file == nil || file.IsGenerated || file.IsTest || types.IsInterface(named) {
		return nil
	}
	t := &servicer{pkg: p, build: b, named: named, file: file}
	for _, other := range b.Files {
		t.gather(other)
	}
	return t
}

// gather notes where the type and its methods are declared.
func (t *servicer) gather(file *source.File) {
	info := t.build.plain.Info
	for _, decl := range file.Syntax.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok || spec.Name.Name != t.name() {
					continue
				}
				t.declared++
				if info.Defs[spec.Name] == types.Object(t.named.Obj()) {
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

// isNamed says whether a type has a name in a package.
func isNamed(typ *types.TypeName, importPath, name string) bool {
	return typ != nil && typ.Pkg() != nil && typ.Pkg().Path() == importPath && typ.Name() == name
}

// elementOf returns what a type points to, or the type.
func elementOf(typ types.Type) types.Type {
	typ = types.Unalias(typ)
	if pointer, ok := typ.(*types.Pointer); ok {
		return types.Unalias(pointer.Elem())
	}
	return typ
}
