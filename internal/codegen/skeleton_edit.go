package codegen

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// insertion is text that goes in front of the byte at offset.
type insertion struct {
	offset int
	text   string
}

// importSet returns the imports of the file as it is, to which what is added to it may add.
func (f *userFile) importSet(b *userBuild) *importSet {
	if f.imports != nil {
		return f.imports
	}
	f.imports = newImportSet(f.pkg.importPath, f.packageNames)
	f.imports.avoid(f.pkg.declared)
	for _, spec := range f.syntax.Imports {
		name := f.importName(b, spec)
		if name == "_" || name == "." {
			continue // What is needed from there has to be imported once more, under a name.
		}
		f.imports.taken[name] = true
		if importPath := importPathOf(spec); !slices.Contains(localNames, name) || f.isForSignatures(importPath) {
			f.imports.names[importPath] = name
		}
	}
	return f.imports
}

// isForSignatures says whether a package is only needed outside of bodies, where parameters don't hide its name.
func (f *userFile) isForSignatures(importPath string) bool {
	_, isMessages := f.packageNames[importPath]
	return isMessages || importPath == "context" || importPath == runtimePackage
}

// importName returns the name by which a file refers to an import.
func (f *userFile) importName(b *userBuild, spec *ast.ImportSpec) string {
	if name := b.tested.info.PkgNameOf(spec); name != nil {
		return name.Name()
	}
	if spec.Name != nil {
		return spec.Name.Name
	}
	return b.types.packageName(importPathOf(spec))
}

func (f *userFile) offset(pos token.Pos) int { return f.pkg.cache.fset.PositionFor(pos, false).Offset }

// line is the line in the file, whatever line directives say.
func (f *userFile) line(pos token.Pos) int { return f.pkg.cache.fset.PositionFor(pos, false).Line }

// insertAfter adds text behind a declaration, and behind the comments that end its line.
func (f *userFile) insertAfter(node ast.Node, text string) {
	end := f.offset(node.End())
	behind := f.skipComments(end)
	// A comment with more code on its line stays where it is, and the text goes before it.
	if rest := bytes.TrimLeft(f.source[behind:], " \t\r"); len(rest) == 0 || strings.ContainsRune("\n;)", rune(rest[0])) {
		end = behind
	}
	f.insertions = append(f.insertions, insertion{end, text})
}

// skipComments returns the offset behind the comments that follow an offset on its line. It reads the source: the
// parser drops carriage returns from comments, so that it does not know where they end.
func (f *userFile) skipComments(offset int) int {
	for {
		rest := bytes.TrimLeft(f.source[offset:], " \t")
		start := len(f.source) - len(rest)
		switch {
		case bytes.HasPrefix(rest, []byte("//")):
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			return start + len(bytes.TrimRight(line, "\r"))
		case bytes.HasPrefix(rest, []byte("/*")):
			text, _, _ := bytes.Cut(rest[len("/*"):], []byte("*/"))
			offset = start + len("/*") + len(text) + len("*/")
		default:
			return offset
		}
	}
}

// edited returns the file with everything that has been added to it.
func (f *userFile) edited() []byte {
	content := slices.Clone(f.source)
	newline := "\n"
	if f.isCRLF() {
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
	return content
}

// sortedByPosition orders insertions from the end of a file to its beginning.
func sortedByPosition(insertions []insertion) []insertion {
	sorted := slices.Clone(insertions)
	slices.SortStableFunc(sorted, func(a, b insertion) int { return cmp.Compare(b.offset, a.offset) })
	return sorted
}

// insertImports adds the imports that the new code needs and the file has not.
func (f *userFile) insertImports(b *userBuild) {
	present := make(map[string]bool)
	for _, spec := range f.syntax.Imports {
		if name := f.importName(b, spec); name != "_" && name != "." {
			importPath := importPathOf(spec)
			present[importPath] = present[importPath] || name == f.imports.names[importPath]
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
