package typecheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// Generated is what a package will have beside, or in the place of, what is on disk: protoc writes the answers of
// plugins when all is over, so that it may lack what is generated now, or have it as it was.
type Generated struct {
	Name     string            // of the package, if it is not on disk
	Files    map[string][]byte // by name
	Messages []string          // declared with nothing in them, unless they are on disk

	Syntax   []*ast.File // of Files
	declared map[string]bool
}

// Parse parses the files, and has to come before anything else.
func (g *Generated) Parse(fset *token.FileSet) error {
	g.declared = make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(g.Files)) {
		file, err := parser.ParseFile(fset, name, g.Files[name], parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		g.Syntax = append(g.Syntax, file)
		maps.Copy(g.declared, declarations(file))
	}
	return nil
}

// combine puts what is generated now before the files on disk, which lose what is generated again.
func (g *Generated) combine(fset *token.FileSet, onDisk []*ast.File) []*ast.File {
	declared := make(map[string]bool)
	files := slices.Clone(g.Syntax)
	for _, file := range onDisk {
		if ast.IsGenerated(file) {
			file = without(file, g.declared)
		}
		maps.Copy(declared, declarations(file))
		files = append(files, file)
	}
	source := "package " + g.Name + "\n"
	for _, message := range g.Messages {
		if !declared[message] {
			source += "type " + message + " struct{}\n"
		}
	}
	return append(files, parseOwn(fset, "messages", source))
}

// parseOwn parses what we have written ourselves.
func parseOwn(fset *token.FileSet, name, source string) *ast.File {
	file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		panic(err) // a mistake in this package, or a name that is none; validate has looked at those
	}
	return file
}

// declarations returns the names that a file declares at package level.
func declarations(file *ast.File) map[string]bool {
	names := make(map[string]bool)
	gofile.ForEachSymbol(file, func(symbol string, ident *ast.Ident) {
		if symbol == ident.Name && symbol != "_" { // no member
			names[symbol] = true
		}
	})
	return names
}

// without returns a copy of a file that lacks the declarations of some names, and the methods of such types.
func without(file *ast.File, names map[string]bool) *ast.File {
	trimmed := *file
	trimmed.Decls = nil
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if name := decl.Name.Name; decl.Recv == nil && names[name] || decl.Recv != nil && names[gofile.Receiver(decl)] {
				continue
			}
			trimmed.Decls = append(trimmed.Decls, decl)
		case *ast.GenDecl:
			remaining := *decl
			remaining.Specs = slices.DeleteFunc(slices.Clone(decl.Specs), func(spec ast.Spec) bool {
				return slices.ContainsFunc(gofile.Declared(spec), func(name *ast.Ident) bool { return names[name.Name] })
			})
			if len(remaining.Specs) > 0 {
				trimmed.Decls = append(trimmed.Decls, &remaining)
			}
		}
	}
	return &trimmed
}
