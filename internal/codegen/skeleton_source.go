package codegen

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// userPackage is the Go package that the skeleton mode writes to, as the user has it.
type userPackage struct {
	dir        string // as the user names it
	absolute   string
	importPath string
	name       string
	goVersion  string // that its module asks for
	cache      *packageCache
	files      []*userFile // those that a build has
	builds     []*userBuild
	declared   map[string]bool // names at package level, in any build
	taken      map[string]bool // those, and the names that files give to imports
}

// userFile is a file of the user's, which is only ever added to.
type userFile struct {
	name        string
	path        string // as the user names the directory
	source      []byte
	packageName string
	constraints []string // its go:build lines, or those of the time before them
	syntax      *ast.File
	usesCgo     bool
	isTest      bool
	isGenerated bool

	isConstrained bool // to some builds, perhaps

	pkg          *userPackage
	packageNames map[string]string // of the packages in the request, by import path
	imports      *importSet        // nil until something is written
	insertions   []insertion
}

// readUserPackage reads the package in a directory as the go command sees it: the files, the build configurations that
// they are for, and, checked by types, what they declare.
func readUserPackage(dir string, added map[string]*addedPackage, packageNames map[string]string, cache *packageCache) (*userPackage, error) {
	absolute, err := existingDirectory(dir)
	if err != nil {
		return nil, err
	}
	command, err := newGoCommand(absolute, cache.outputs)
	if err != nil {
		return nil, err
	}
	pkg := &userPackage{dir: dir, absolute: absolute, cache: cache}
	return pkg, errors.Join(pkg.read(command, added, packageNames), command.close())
}

// existingDirectory says where a directory is. One that is not there is a mistake: protoc and buf run the plugin where
// they were run, and from elsewhere the implementation would be written a second time.
func existingDirectory(dir string) (absolute string, err error) {
	absolute, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
		working, _ := os.Getwd()
		return "", fmt.Errorf("there is no directory %s: DIR is seen from %s, where protoc or buf runs; "+
			"name it from there, or make it if there is no implementation yet (mkdir -p %s); nothing has been written",
			absolute, working, dir)
	}
	return absolute, nil
}

func (p *userPackage) read(command *goCommand, added map[string]*addedPackage, packageNames map[string]string) error {
	basis, err := command.basis()
	if err != nil {
		return err
	}
	p.importPath, p.goVersion = basis.importPath, basis.goVersion
	files, err := p.readFiles(packageNames)
	if err != nil {
		return err
	}
	p.builds = findBuilds(basis.build, basis.matching, files)
	if err := p.parse(); err != nil {
		return err
	}
	if p.name, err = p.findName(); err != nil {
		return err
	}
	for _, b := range p.builds {
		if err := p.check(b, command, added); err != nil {
			return err
		}
	}
	p.gatherNames()
	return nil
}

// readFiles reads the Go files in the directory, and no directories, locks and backups of such names.
func (p *userPackage) readFiles(packageNames map[string]string) ([]*userFile, error) {
	entries, err := os.ReadDir(p.absolute)
	if err != nil {
		return nil, err
	}
	var files []*userFile
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
			continue
		}
		if info, err := os.Stat(filepath.Join(p.absolute, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		} else if err != nil || !info.Mode().IsRegular() {
			continue
		}
		source, err := os.ReadFile(filepath.Join(p.absolute, name))
		if err != nil {
			return nil, err
		}
		file := &userFile{
			name: name, path: filepath.Join(p.dir, name), source: source, isTest: strings.HasSuffix(name, "_test.go"),
			pkg: p, packageNames: packageNames,
		}
		file.readHead()
		files = append(files, file)
	}
	return files, nil
}

// readHead reads what says to which builds of which package a file belongs.
func (f *userFile) readHead() {
	f.isConstrained = f.mayBeConstrained()
	syntax, _ := parser.ParseFile(token.NewFileSet(), f.name, f.source, parser.ParseComments|parser.ImportsOnly)
	if syntax == nil || syntax.Name == nil {
		return
	}
	f.packageName = syntax.Name.Name
	f.usesCgo = slices.ContainsFunc(syntax.Imports, func(spec *ast.ImportSpec) bool { return importPathOf(spec) == "C" })
	for _, group := range syntax.Comments {
		for _, comment := range group.List {
			if comment.Pos() < syntax.Package && (constraint.IsGoBuild(comment.Text) || constraint.IsPlusBuild(comment.Text)) {
				f.constraints = append(f.constraints, comment.Text)
			}
		}
	}
}

// parse parses the files of all builds. Tests may be broken: they are not written to, and what can be known of them is.
func (p *userPackage) parse() error {
	for _, b := range p.builds {
		for _, file := range slices.Concat(b.files, b.tests, b.external) {
			if file.syntax != nil {
				continue
			}
			syntax, err := parser.ParseFile(p.cache.fset, file.path, file.source, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil && !file.isTest {
				return fmt.Errorf("mend this file first, nothing has been written: %w", err)
			}
			file.syntax, file.isGenerated = syntax, ast.IsGenerated(syntax)
			p.files = append(p.files, file)
		}
	}
	return nil
}

// findName returns the name of the package: the one that its files have, or one made from the directory's.
func (p *userPackage) findName() (string, error) {
	var found *userFile
	for _, b := range p.builds {
		for _, file := range b.files {
			if found != nil && file.packageName != found.packageName {
				return "", fmt.Errorf("%s is of package %s, and %s of package %s: mend that first, nothing has been written",
					found.path, found.packageName, file.path, file.packageName)
			}
			found = file
		}
	}
	if found != nil {
		return found.packageName, nil
	}
	for _, file := range p.builds[0].tests {
		return file.packageName, nil
	}
	return packageNameFor(p.absolute), nil
}

// check has the go command find what a build imports, and checks its types.
func (p *userPackage) check(b *userBuild, command *goCommand, added map[string]*addedPackage) error {
	paths := map[string]bool{"context": true}
	for importPath, a := range added {
		paths[importPath] = true
		gatherImports(paths, a.files)
	}
	gatherImports(paths, p.syntaxOf(slices.Concat(b.files, b.tests)))
	inner := slices.Collect(maps.Keys(paths))
	gatherImports(paths, p.syntaxOf(b.external))
	maps.DeleteFunc(paths, func(importPath string, _ bool) bool { return importPath == p.importPath || !isPlain(importPath) })
	listed, err := command.packages(b, slices.Sorted(maps.Keys(paths)))
	if err != nil {
		return err
	}
	if isReached(listed, inner, p.importPath) {
		return fmt.Errorf("what the package in %s imports, or would with an implementation in it, imports that package: "+
			"Go allows no such circle, name another directory; nothing has been written", p.dir)
	}
	b.types = &universe{
		arch: b.goarch, sizes: types.SizesFor("gc", b.goarch), listed: listed, added: added,
		checked: make(map[string]*types.Package), prints: make(map[string]string), cache: p.cache,
	}
	b.plain = p.checkFiles(b, p.syntaxOf(b.files))
	b.tested = b.plain
	if len(b.tests) > 0 {
		b.tested = p.checkFiles(b, p.syntaxOf(slices.Concat(b.files, b.tests)))
	}
	return nil
}

// checkFiles checks the user's package with these files in it. If code is generated into that package, what is about
// to be counts, not what is there.
func (p *userPackage) checkFiles(b *userBuild, files []*ast.File) *checkedPackage {
	if added := b.types.added[p.importPath]; added != nil {
		files = added.combine(p.cache.fset, files)
	}
	return b.types.check(p.importPath, p.goVersion, files)
}

// checkExternal checks the tests from outside against this package as it is in c. What they import may import it too.
// Nothing else depends on them, so that this can wait until something is to be written.
func (p *userPackage) checkExternal(b *userBuild, c *checkedPackage) *checkedPackage {
	return b.types.around(p.importPath, c.pkg).check(p.importPath+"_test", p.goVersion, p.syntaxOf(b.external))
}

func (p *userPackage) syntaxOf(files []*userFile) []*ast.File {
	all := make([]*ast.File, 0, len(files))
	for _, file := range files {
		all = append(all, file.syntax)
	}
	return all
}

func gatherImports(paths map[string]bool, files []*ast.File) {
	for _, file := range files {
		for _, spec := range file.Imports {
			paths[importPathOf(spec)] = true
		}
	}
}

// isPlain says whether an import path names one package to the go command, rather than all of a pattern, or none.
func isPlain(importPath string) bool {
	switch importPath {
	case "", "C", "all", "std", "cmd", "tool", "work":
		return false
	}
	return !strings.HasPrefix(importPath, ".") && !strings.HasPrefix(importPath, "/") && !strings.HasPrefix(importPath, "-") &&
		!strings.Contains(importPath, "...") && !strings.Contains(importPath, "@") &&
		!strings.ContainsFunc(importPath, invalidInImportPath)
}

func importPathOf(spec *ast.ImportSpec) string {
	importPath, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return importPath
}

// gatherNames notes the names that new code must not declare, or give to what it imports.
func (p *userPackage) gatherNames() {
	p.declared, p.taken = make(map[string]bool), make(map[string]bool)
	for _, b := range p.builds {
		for _, name := range b.tested.pkg.Scope().Names() {
			p.declared[name], p.taken[name] = true, true
		}
		for _, file := range b.tested.files {
			if scope := b.tested.info.Scopes[file]; scope != nil {
				for _, name := range scope.Names() {
					p.taken[name] = true
				}
			}
		}
	}
}

// fileOf returns the user's file that a position is in, or nil.
func (p *userPackage) fileOf(pos token.Pos) *userFile {
	name := p.cache.fset.PositionFor(pos, false).Filename
	for _, file := range p.files {
		if file.path == name {
			return file
		}
	}
	return nil
}

// hasFile says whether the directory has anything of that name.
func (p *userPackage) hasFile(name string) bool {
	_, err := os.Lstat(filepath.Join(p.absolute, name))
	return err == nil
}

// isCRLF says whether most lines of a file end as on Windows.
func (f *userFile) isCRLF() bool {
	return 2*bytes.Count(f.source, []byte("\r\n")) > bytes.Count(f.source, []byte("\n"))
}
