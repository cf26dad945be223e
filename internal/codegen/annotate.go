package codegen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// annotations returns the text of a .meta file: which symbols of a generated file stand for which declarations of the
// .proto file. Code search and documentation tools read it.
//
// It is a google.protobuf.GeneratedCodeInfo in text format, written by hand: what prototext writes differs from build
// to build, on purpose.
func annotations(o *output) (string, error) {
	fset := token.NewFileSet()
	source, err := parser.ParseFile(fset, o.name, o.content, parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("%s: cannot annotate: %w", o.file.Source, err)
	}
	locations := o.file.symbolLocations()
	var b strings.Builder
	forEachSymbol(source, func(symbol string, ident *ast.Ident) {
		location, ok := locations[symbol]
		if !ok {
			return
		}
		b.WriteString("annotation: {")
		for _, element := range location.Path {
			fmt.Fprintf(&b, "path: %d ", element)
		}
		fmt.Fprintf(&b, "source_file: %q begin: %d end: %d}\n",
			location.SourceFile, fset.Position(ident.Pos()).Offset, fset.Position(ident.End()).Offset)
	})
	return b.String(), nil
}

// symbolLocations maps what is generated for a file to what it is generated for. A member is "Type.member".
func (f *File) symbolLocations() map[string]protogen.Location {
	locations := make(map[string]protogen.Location)
	for _, s := range f.Services {
		for _, name := range s.declarations() {
			locations[name] = s.source.Location
		}
		for _, m := range s.Methods {
			locations[m.FakeCall] = m.source.Location
			locations[m.NameConstant] = m.source.Location
			for _, typ := range []string{s.Servicer, s.Unimplemented, s.Fake} {
				locations[typ+"."+m.Name] = m.source.Location
			}
			locations[s.Fake+"."+m.FakeField] = m.source.Location
			locations[s.Fake+"."+m.FakeCalls] = m.source.Location
		}
	}
	return locations
}

// forEachSymbol calls visit for each declaration of a file, in the order of the file.
func forEachSymbol(source *ast.File, visit func(symbol string, ident *ast.Ident)) {
	for _, decl := range source.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if receiver := receiverType(decl); receiver != "" {
				name = receiver + "." + name
			}
			visit(name, decl.Name)
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				visitSpec(spec, visit)
			}
		}
	}
}

func visitSpec(spec ast.Spec, visit func(symbol string, ident *ast.Ident)) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			visit(name.Name, name)
		}
	case *ast.TypeSpec:
		visit(spec.Name.Name, spec.Name)
		var members *ast.FieldList
		switch typ := spec.Type.(type) {
		case *ast.InterfaceType:
			members = typ.Methods
		case *ast.StructType:
			members = typ.Fields
		default:
			return
		}
		for _, member := range members.List {
			for _, name := range member.Names {
				visit(spec.Name.Name+"."+name.Name, name)
			}
		}
	}
}

// receiverType returns the name of the type that a method belongs to, and "" for a function.
func receiverType(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) != 1 {
		return ""
	}
	typ := decl.Recv.List[0].Type
	if pointer, ok := typ.(*ast.StarExpr); ok {
		typ = pointer.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	name, ok := typ.(*ast.Ident)
	if !ok {
		return ""
	}
	return name.Name
}
