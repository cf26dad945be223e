package gofile

import (
	"go/ast"
	"strconv"
)

// ForEachSymbol calls visit for each declaration of a file, in the order of the file. A member is "Type.member".
func ForEachSymbol(source *ast.File, visit func(symbol string, ident *ast.Ident)) {
	for _, decl := range source.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if decl.Recv != nil {
				name = Receiver(decl) + "." + name
			}
			visit(name, decl.Name)
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				for _, ident := range Declared(spec) {
					visit(ident.Name, ident)
				}
				if spec, ok := spec.(*ast.TypeSpec); ok {
					visitMembers(spec, visit)
				}
			}
		}
	}
}

func visitMembers(spec *ast.TypeSpec, visit func(symbol string, ident *ast.Ident)) {
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

// Declared returns the names that a part of a declaration declares, other than imports.
func Declared(spec ast.Spec) []*ast.Ident {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		return spec.Names
	case *ast.TypeSpec:
		return []*ast.Ident{spec.Name}
	}
	return nil
}

// Receiver returns the name of the type that a method belongs to. It is empty for a function, and where there is no name.
func Receiver(decl *ast.FuncDecl) string {
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
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// ImportPath returns the path that an import names.
func ImportPath(spec *ast.ImportSpec) string {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return importPath
}
