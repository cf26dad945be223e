package source

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// File is a Go file of the user's, as it was read.
type File struct {
	Name        string
	Path        string // as the user names the directory
	Source      []byte
	PackageName string
	IsTest      bool
	IsGenerated bool
	Syntax      *ast.File // once Parse has been called

	onDisk        string   // absolute path
	constraints   []string // its go:build lines, or those of the time before them
	usesCgo       bool
	isConstrained bool // to some builds, perhaps
	fset          *token.FileSet
}

// Read reads the Go files in a directory, which the user has named otherwise, up to their imports. It leaves out
// directories, locks and backups of such names.
func Read(dir, named string) ([]*File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*File
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		} else if err != nil || !info.Mode().IsRegular() {
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		file := newFile(name, source)
		file.Path, file.onDisk = filepath.Join(named, name), filepath.Join(dir, name)
		files = append(files, file)
	}
	return files, nil
}

func newFile(name string, source []byte) *File {
	f := &File{Name: name, Path: name, Source: source, IsTest: strings.HasSuffix(name, "_test.go")}
	f.readHead()
	return f
}

// readHead reads what says to which builds of which package a file belongs.
func (f *File) readHead() {
	f.isConstrained = f.mayBeConstrained()
	syntax, _ := parser.ParseFile(token.NewFileSet(), f.Name, f.Source, parser.ParseComments|parser.ImportsOnly)
	if syntax == nil || syntax.Name == nil {
		return
	}
	f.PackageName = syntax.Name.Name
	f.usesCgo = slices.ContainsFunc(syntax.Imports, func(spec *ast.ImportSpec) bool { return gofile.ImportPath(spec) == "C" })
	for _, group := range syntax.Comments {
		for _, comment := range group.List {
			if comment.Pos() < syntax.Package && (constraint.IsGoBuild(comment.Text) || constraint.IsPlusBuild(comment.Text)) {
				f.constraints = append(f.constraints, comment.Text)
			}
		}
	}
}

// mayBeConstrained says whether the file may be for some builds only: by its name, a constraint, or because it uses cgo.
// Most files are not, and there are many builds to try.
func (f *File) mayBeConstrained() bool {
	nowhere := build.Context{GOOS: "none", GOARCH: "none", Compiler: "gc", OpenFile: func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package p\n")), nil
	}}
	byName, err := nowhere.MatchFile(filepath.Dir(f.Path), f.Name)
	return !byName || err != nil || bytes.Contains(f.Source, []byte("//go:build")) ||
		bytes.Contains(f.Source, []byte("+build")) || bytes.Contains(f.Source, []byte(`"C"`)) || bytes.Contains(f.Source, []byte("`C`"))
}

// Parse parses the file. Tests may be broken: they are not written to, and what can be known of them is.
func (f *File) Parse(fset *token.FileSet) error {
	syntax, err := parser.ParseFile(fset, f.Path, f.Source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil && !f.IsTest {
		return fmt.Errorf("mend this file first, nothing has been written: %w", err)
	}
	f.fset, f.Syntax, f.IsGenerated = fset, syntax, ast.IsGenerated(syntax)
	return nil
}

// Line is the line in the file, whatever line directives say.
func (f *File) Line(pos token.Pos) int { return f.fset.PositionFor(pos, false).Line }

func (f *File) offset(pos token.Pos) int { return f.fset.PositionFor(pos, false).Offset }
