package codegen

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// userFile is a file of the user's, which is only ever added to.
type userFile struct {
	path         string
	source       []byte
	syntax       *ast.File
	pkg          *userPackage
	packageNames map[string]string // of the packages in the request, by import path
	imports      *importSet        // nil until something is written
	insertions   []insertion
}

// insertion is text that goes in front of the byte at offset.
type insertion struct {
	offset int
	text   string
}

// userMethod is a method that the user has written.
type userMethod struct {
	name string
	file *userFile
	decl *ast.FuncDecl
}

func (f *userFile) changed() bool { return len(f.insertions) > 0 }

// importSet returns the imports of the file as it is, to which what is added to it may add.
func (f *userFile) importSet() *importSet {
	if f.imports != nil {
		return f.imports
	}
	f.imports = newImportSet(f.pkg.importPath(), f.packageNames)
	f.imports.avoid(f.pkg.declared)
	for _, spec := range f.syntax.Imports {
		name := f.importName(spec)
		if name == "_" || name == "." {
			continue // What is needed from there has to be imported once more, under a name.
		}
		f.imports.taken[name] = true
		f.imports.names[importPathOf(spec)] = name
	}
	return f.imports
}

// importName returns the name by which a file refers to an import.
func (f *userFile) importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	importPath := importPathOf(spec)
	if name, ok := f.packageNames[importPath]; ok {
		return name
	}
	name := lastElement(importPath)
	if rest, ok := strings.CutSuffix(importPath, "/"+name); ok && isMajorVersion(name) {
		name = lastElement(rest)
	}
	return name
}

// isMajorVersion says whether the last element of an import path is a module's version, such as v2.
func isMajorVersion(element string) bool {
	return len(element) > 1 && element[0] == 'v' && strings.Trim(element[1:], "0123456789") == ""
}

func importPathOf(spec *ast.ImportSpec) string {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return importPath
}

// canonical writes a type with import paths in the place of package names.
func (f *userFile) canonical(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name
	case *ast.ParenExpr:
		return f.canonical(expr.X)
	case *ast.StarExpr:
		return "*" + f.canonical(expr.X)
	case *ast.IndexExpr:
		return f.canonical(expr.X) + "[" + f.canonical(expr.Index) + "]"
	case *ast.SelectorExpr:
		if pkg, ok := expr.X.(*ast.Ident); ok {
			for _, spec := range f.syntax.Imports {
				if f.importName(spec) == pkg.Name {
					return importPathOf(spec) + "." + expr.Sel.Name
				}
			}
		}
	}
	start, end := f.offset(expr.Pos()), f.offset(expr.End())
	return string(f.source[start:end])
}

// embeds returns what a struct embeds.
func (f *userFile) embeds(spec *ast.TypeSpec) []embedded {
	typ, ok := spec.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	var all []embedded
	for _, field := range typ.Fields.List {
		if len(field.Names) == 0 {
			all = append(all, embedded(strings.TrimPrefix(f.canonical(field.Type), "*")))
		}
	}
	return all
}

func (f *userFile) offset(pos token.Pos) int { return f.pkg.fset.Position(pos).Offset }

// line is the line in the file, whatever line directives say.
func (f *userFile) line(pos token.Pos) int { return f.pkg.fset.PositionFor(pos, false).Line }

// insertAfter adds text behind a declaration, and behind the comment that ends its line.
func (f *userFile) insertAfter(node ast.Node, text string) {
	end := node.End()
	line := f.line(end)
	for _, group := range f.syntax.Comments {
		for _, comment := range group.List {
			if comment.Pos() >= end && f.line(comment.Pos()) == line {
				end = comment.End()
				line = f.line(end)
			}
		}
	}
	f.insertions = append(f.insertions, insertion{f.offset(end), text})
}

// edited returns the file with everything that has been added to it.
func (f *userFile) edited() ([]byte, error) {
	f.insertImports()
	content := slices.Clone(f.source)
	newline := "\n"
	if bytes.Contains(content, []byte("\r\n")) {
		newline = "\r\n"
	}
	// From the end to the beginning, so that the offsets stay right; of two at one place, the later stays the later.
	for i, sorted := 0, sortedByPosition(f.insertions); i < len(sorted); {
		text := ""
		offset := sorted[i].offset
		for ; i < len(sorted) && sorted[i].offset == offset; i++ {
			text += sorted[i].text
		}
		content = slices.Insert(content, offset, []byte(strings.ReplaceAll(text, "\n", newline))...)
	}
	_, err := parser.ParseFile(token.NewFileSet(), f.path, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("cannot add to this file without breaking it, nothing has been written: %w", err)
	}
	return content, nil
}

// sortedByPosition orders insertions from the end of a file to its beginning.
func sortedByPosition(insertions []insertion) []insertion {
	sorted := slices.Clone(insertions)
	slices.SortStableFunc(sorted, func(a, b insertion) int { return cmp.Compare(b.offset, a.offset) })
	return sorted
}

// insertImports adds the imports that the new code needs and the file has not.
func (f *userFile) insertImports() {
	present := make(map[string]bool)
	for _, spec := range f.syntax.Imports {
		if name := f.importName(spec); name != "_" && name != "." {
			present[importPathOf(spec)] = true
		}
	}
	var specs []string
	for importPath, name := range f.imports.names {
		if present[importPath] {
			continue
		}
		spec := strconv.Quote(importPath)
		if name != lastElement(importPath) || name != f.imports.packageName(importPath) {
			spec = name + " " + spec
		}
		specs = append(specs, spec)
	}
	if len(specs) == 0 {
		return
	}
	slices.SortFunc(specs, func(a, b string) int { return strings.Compare(quoted(a), quoted(b)) })
	switch decl := f.importDeclaration(); {
	case decl == nil:
		f.insertAfter(f.syntax.Name, "\n\nimport (\n\t"+strings.Join(specs, "\n\t")+"\n)")
	case !decl.Lparen.IsValid():
		f.insertAfter(decl, "\nimport "+strings.Join(specs, "\nimport "))
	case len(decl.Specs) == 0:
		text := "\n\t" + strings.Join(specs, "\n\t") + "\n"
		f.insertions = append(f.insertions, insertion{f.offset(decl.Lparen) + 1, text})
	default:
		f.insertAfter(decl.Specs[len(decl.Specs)-1], "\n\t"+strings.Join(specs, "\n\t"))
	}
}

// importDeclaration returns the last import declaration, but one with parentheses rather than one without. That of
// import "C" is left alone: the comment above it is code.
func (f *userFile) importDeclaration() *ast.GenDecl {
	var found *ast.GenDecl
	for _, decl := range f.syntax.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.IMPORT {
			break
		}
		if len(decl.Specs) == 1 && importPathOf(decl.Specs[0].(*ast.ImportSpec)) == "C" {
			continue
		}
		if found == nil || decl.Lparen.IsValid() || !found.Lparen.IsValid() {
			found = decl
		}
	}
	return found
}

func (m *userMethod) line() int { return m.file.line(m.decl.Pos()) }

// signature returns the types of the parameters and results, in a form that does not depend on the file.
func (m *userMethod) signature() string {
	return m.types(m.decl.Type.Params) + m.types(m.decl.Type.Results)
}

func (m *userMethod) types(fields *ast.FieldList) string {
	var all []string
	if fields != nil {
		for _, field := range fields.List {
			for range max(1, len(field.Names)) {
				all = append(all, m.file.canonical(field.Type))
			}
		}
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// looksLikeRPC says whether a method may have implemented an RPC of the service: it is exported, takes a context, and
// has to do with messages of the service's packages, or with streams.
func (m *userMethod) looksLikeRPC(s *Service) bool {
	if !m.decl.Name.IsExported() {
		return false
	}
	signature := m.signature()
	if !strings.HasPrefix(signature, "(context.Context, ") {
		return false
	}
	return strings.Contains(signature, string(s.File.source.GoImportPath)+".") ||
		strings.Contains(signature, runtimePackage+".")
}

// wantedSignature is what signature returns of a method that implements an RPC.
func wantedSignature(m *Method) string {
	request, response := m.Request.canonical(), m.Response.canonical()
	parameters := []string{"context.Context", "*" + request}
	if m.StreamsRequests {
		parameters[1] = runtimePackage + ".RequestIterator[" + request + "]"
	}
	results := "(*" + response + ", error)"
	if m.StreamsResponses {
		parameters = append(parameters, runtimePackage+".ResponseStream["+response+"]")
		results = "(error)"
	}
	return "(" + strings.Join(parameters, ", ") + ")" + results
}
