package skeleton

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/golist"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/source"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/typecheck"
)

// Generated is what the plugin generates into a package in the same run.
type Generated = typecheck.Generated

// Cache spares runs what they have in common; see NewCache.
type Cache = typecheck.Cache

// NewCache returns a cache with nothing in it.
func NewCache() *Cache { return typecheck.NewCache() }

// Package is a Go package as the user has it.
type Package struct {
	dir          string // as the user names it
	absolute     string
	importPath   string
	name         string
	goVersion    string            // that its module asks for
	packageNames map[string]string // of the packages that the plugin knows, by import path
	cache        *Cache
	files        []*source.File // those that a build has
	builds       []*build
	declared     map[string]bool // names at package level, in any build
	taken        map[string]bool // those, and the names that files give to imports
}

// build is the package in one build configuration.
type build struct {
	*source.Build
	listed        map[string]*golist.Package // with all that they import
	types         *typecheck.Universe        // of those that are listed
	plain, tested *typecheck.Checked         // as they are on disk: without tests, and with them
}

// Read reads the package in a directory as the go command sees it: the files, the build configurations that they are
// for, and, checked by types, what they declare. The plugin generates some packages, by import path, in the same run.
func Read(dir string, generated map[string]*Generated, packageNames map[string]string, cache *Cache) (*Package, error) {
	absolute, err := existingDirectory(dir)
	if err != nil {
		return nil, err
	}
	for _, g := range generated {
		if err := g.Parse(cache.Fset); err != nil {
			return nil, err
		}
	}
	command, err := golist.New(absolute, cache.Outputs)
	if err != nil {
		return nil, err
	}
	p := &Package{dir: dir, absolute: absolute, packageNames: packageNames, cache: cache}
	return p, errors.Join(p.read(command, generated), command.Close())
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

func (p *Package) read(command *golist.Command, generated map[string]*Generated) error {
	basis, err := command.Basis()
	if err != nil {
		return err
	}
	p.importPath, p.goVersion = basis.ImportPath, basis.GoVersion
	files, err := source.Read(p.absolute, p.dir)
	if err != nil {
		return err
	}
	for _, b := range source.FindBuilds(basis, files) {
		p.builds = append(p.builds, &build{Build: b, listed: make(map[string]*golist.Package)})
	}
	if err := p.parse(); err != nil {
		return err
	}
	if p.name, err = p.findName(); err != nil {
		return err
	}
	for _, b := range p.builds {
		if err := p.check(b, command, generated); err != nil {
			return err
		}
	}
	p.gatherNames()
	return nil
}

// parse parses the files of all builds.
func (p *Package) parse() error {
	for _, b := range p.builds {
		for _, file := range slices.Concat(b.Files, b.Tests, b.External) {
			if file.Syntax != nil {
				continue
			}
			if err := file.Parse(p.cache.Fset); err != nil {
				return err
			}
			p.files = append(p.files, file)
		}
	}
	return nil
}

// findName returns the name of the package: the one that its files have, or one made from the directory's.
func (p *Package) findName() (string, error) {
	var found *source.File
	for _, b := range p.builds {
		for _, file := range b.Files {
			if found != nil && file.PackageName != found.PackageName {
				return "", fmt.Errorf("%s is of package %s, and %s of package %s: mend that first, nothing has been written",
					found.Path, found.PackageName, file.Path, file.PackageName)
			}
			found = file
		}
	}
	if found != nil {
		return found.PackageName, nil
	}
	for _, file := range p.builds[0].Tests {
		return file.PackageName, nil
	}
	return packageName(filepath.Base(p.absolute)), nil
}

// packageName makes the name of a package of that of a directory.
func packageName(dir string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, dir)
	if !token.IsIdentifier(name) {
		return "servicer"
	}
	return name
}

// check has the go command find what a build imports, and checks its types.
func (p *Package) check(b *build, command *golist.Command, generated map[string]*Generated) error {
	paths := append(importsOf(syntaxOf(b.Files, b.Tests)), "context")
	for importPath, g := range generated {
		paths = append(append(paths, importPath), importsOf(g.Syntax)...)
	}
	if err := p.list(b, command, paths, importsOf(syntaxOf(b.External))); err != nil {
		return err
	}
	b.types = typecheck.New(b.Config, b.listed, generated, p.cache)
	b.plain = p.checkFiles(b, syntaxOf(b.Files))
	b.tested = b.plain
	if len(b.Tests) > 0 {
		b.tested = p.checkFiles(b, syntaxOf(b.Files, b.Tests))
	}
	return nil
}

// list has the go command find packages that a build imports, and those that only its tests from outside do.
func (p *Package) list(b *build, command *golist.Command, paths, external []string) error {
	listed, err := command.Packages(b.Config, p.unlisted(b, slices.Concat(paths, external)))
	if err != nil {
		return err
	}
	maps.Copy(b.listed, listed)
	return p.checkCircle(b, paths)
}

// listMore is list for imports that code to be written has, which most often are listed already.
func (p *Package) listMore(b *build, paths []string) error {
	if len(p.unlisted(b, paths)) == 0 {
		return p.checkCircle(b, paths)
	}
	command, err := golist.New(p.absolute, p.cache.Outputs)
	if err != nil {
		return err
	}
	return errors.Join(p.list(b, command, paths, nil), command.Close())
}

// unlisted returns the import paths that the go command has not been asked about.
func (p *Package) unlisted(b *build, paths []string) []string {
	return slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(paths))), func(importPath string) bool {
		return importPath == p.importPath || b.listed[importPath] != nil || !isPlain(importPath)
	})
}

// checkCircle refuses imports of what imports this package.
func (p *Package) checkCircle(b *build, paths []string) error {
	if golist.IsReached(b.listed, paths, p.importPath) {
		return fmt.Errorf("what the package in %s imports, or would with an implementation in it, imports that package: "+
			"Go allows no such circle, name another directory; nothing has been written", p.dir)
	}
	return nil
}

// checkFiles checks the package with these files in it.
func (p *Package) checkFiles(b *build, files []*ast.File) *typecheck.Checked {
	return b.types.Check(p.importPath, p.goVersion, files)
}

// checkExternal checks the tests from outside against this package as it is in c. What they import may import it too.
// Nothing else depends on them, so that this can wait until something is to be written.
func (p *Package) checkExternal(b *build, c *typecheck.Checked) *typecheck.Checked {
	return b.types.Around(p.importPath, c.Package).Check(p.importPath+"_test", p.goVersion, syntaxOf(b.External))
}

func syntaxOf(lists ...[]*source.File) []*ast.File {
	var all []*ast.File
	for _, file := range slices.Concat(lists...) {
		all = append(all, file.Syntax)
	}
	return all
}

func importsOf(files []*ast.File) (paths []string) {
	for _, file := range files {
		for _, spec := range file.Imports {
			paths = append(paths, gofile.ImportPath(spec))
		}
	}
	return paths
}

// isPlain says whether an import path names one package to the go command, rather than all of a pattern, or none.
func isPlain(importPath string) bool {
	switch importPath {
	case "", "C", "all", "std", "cmd", "tool", "work":
		return false
	}
	return !strings.HasPrefix(importPath, ".") && !strings.HasPrefix(importPath, "/") && !strings.HasPrefix(importPath, "-") &&
		!strings.Contains(importPath, "...") && gofile.IsImportPath(importPath)
}

// gatherNames notes the names that new code must not declare, or give to what it imports.
func (p *Package) gatherNames() {
	p.declared, p.taken = make(map[string]bool), make(map[string]bool)
	for _, b := range p.builds {
		for _, name := range b.tested.Package.Scope().Names() {
			p.declared[name], p.taken[name] = true, true
		}
		for _, file := range b.tested.Files {
			if scope := b.tested.Info.Scopes[file]; scope != nil {
				for _, name := range scope.Names() {
					p.taken[name] = true
				}
			}
		}
	}
}

// imports returns the imports of a new file in the package: none yet.
func (p *Package) imports() *gofile.Imports {
	imports := gofile.NewImports(p.importPath, p.packageNames)
	imports.Avoid(p.declared)
	return imports
}

// fileOf returns the user's file that a position is in, or nil.
func (p *Package) fileOf(pos token.Pos) *source.File {
	name := p.cache.Fset.PositionFor(pos, false).Filename
	for _, file := range p.files {
		if file.Path == name {
			return file
		}
	}
	return nil
}

// hasFile says whether the directory has anything of that name.
func (p *Package) hasFile(name string) bool {
	_, err := os.Lstat(filepath.Join(p.absolute, name))
	return err == nil
}

// wanted returns the interface of a service's servicer, as the package sees it. It is nil if the package does not.
func (b *build) wanted(c *typecheck.Checked, s *Service) *types.Interface {
	pkg := c.Package
	if s.Package != pkg.Path() {
		var err error
		if pkg, err = b.types.Load(s.Package); err != nil {
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

// importName returns the name by which a file of the build refers to an import.
func (b *build) importName(spec *ast.ImportSpec) string {
	if name := b.tested.Info.PkgNameOf(spec); name != nil {
		return name.Name()
	}
	if spec.Name != nil {
		return spec.Name.Name
	}
	return b.types.PackageName(gofile.ImportPath(spec))
}
