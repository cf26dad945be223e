package source

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// Edit is what is to be added to a file.
type Edit struct {
	File    *File
	Imports *gofile.Imports // those of the file, and those that the new text needs

	names      map[*ast.ImportSpec]string // by which the file refers to its imports
	insertions []insertion
}

// insertion is text that goes in front of the byte at offset.
type insertion struct {
	offset int
	text   string
}

// NewEdit returns an edit of a file that adds nothing yet. The imports are none yet, and nameOf says by which name the
// file refers to one.
func NewEdit(file *File, imports *gofile.Imports, nameOf func(*ast.ImportSpec) string) *Edit {
	e := &Edit{File: file, Imports: imports, names: make(map[*ast.ImportSpec]string)}
	for _, spec := range file.Syntax.Imports {
		name := nameOf(spec)
		if name == "_" || name == "." {
			continue // What is needed from there has to be imported once more, under a name.
		}
		e.names[spec] = name
		imports.Keep(gofile.ImportPath(spec), name)
	}
	return e
}

// InsertAfter adds text behind a declaration, and behind the comments that end its line.
func (e *Edit) InsertAfter(node ast.Node, text string) {
	e.insertions = append(e.insertions, e.File.after(node, text))
}

func (f *File) after(node ast.Node, text string) insertion {
	end := f.offset(node.End())
	behind := f.skipComments(end)
	// A comment with more code on its line stays where it is, and the text goes before it.
	if rest := bytes.TrimLeft(f.Source[behind:], " \t\r"); len(rest) == 0 || strings.ContainsRune("\n;)", rune(rest[0])) {
		end = behind
	}
	return insertion{end, text}
}

// skipComments returns the offset behind the comments that follow an offset on its line. It reads the source: the
// parser drops carriage returns from comments, so that it does not know where they end.
func (f *File) skipComments(offset int) int {
	for {
		rest := bytes.TrimLeft(f.Source[offset:], " \t")
		start := len(f.Source) - len(rest)
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

// Content returns the file with everything that is added to it, and the imports that that needs.
func (e *Edit) Content() []byte {
	content := slices.Clone(e.File.Source)
	newline := "\n"
	if e.File.isCRLF() {
		newline = "\r\n"
	}
	// From the end to the beginning, so that the offsets stay right; of two at one place, the later stays the later.
	insertions := append(slices.Clone(e.insertions), e.importInsertions()...)
	slices.Reverse(insertions)
	slices.SortStableFunc(insertions, func(a, b insertion) int { return cmp.Compare(b.offset, a.offset) })
	for _, i := range insertions {
		content = slices.Insert(content, i.offset, []byte(strings.ReplaceAll(i.text, "\n", newline))...)
	}
	return content
}

// isCRLF says whether most lines of a file end as on Windows.
func (f *File) isCRLF() bool {
	return 2*bytes.Count(f.Source, []byte("\r\n")) > bytes.Count(f.Source, []byte("\n"))
}

// importInsertions adds the imports that the new text needs and the file has not.
func (e *Edit) importInsertions() []insertion {
	specs := e.Imports.Specs(func(importPath, name string) bool {
		for spec, present := range e.names {
			if present == name && gofile.ImportPath(spec) == importPath {
				return false
			}
		}
		return true
	})
	if len(specs) == 0 {
		return nil
	}
	f := e.File
	switch decl := f.importDeclaration(); {
	case decl == nil:
		return []insertion{f.after(f.Syntax.Name, "\n\nimport (\n\t"+strings.Join(specs, "\n\t")+"\n)")}
	case !decl.Lparen.IsValid():
		return []insertion{f.after(decl, "\nimport "+strings.Join(specs, "\nimport "))}
	case len(decl.Specs) == 0:
		return []insertion{{f.offset(decl.Lparen) + 1, "\n\t" + strings.Join(specs, "\n\t") + "\n"}}
	default:
		return []insertion{f.after(decl.Specs[len(decl.Specs)-1], "\n\t"+strings.Join(specs, "\n\t"))}
	}
}

// importDeclaration returns the last import declaration, but one with parentheses rather than one without. That of
// import "C" is left alone: the comment above it is code.
func (f *File) importDeclaration() *ast.GenDecl {
	var found *ast.GenDecl
	for _, decl := range f.Syntax.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.IMPORT {
			break
		}
		if len(decl.Specs) == 1 && gofile.ImportPath(decl.Specs[0].(*ast.ImportSpec)) == "C" {
			continue
		}
		if found == nil || decl.Lparen.IsValid() || !found.Lparen.IsValid() {
			found = decl
		}
	}
	return found
}
