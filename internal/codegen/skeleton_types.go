package codegen

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	goversion "go/version"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// universe is the packages that the user's imports, as the type checker knows them in one build configuration. They are
// checked from source and without the bodies of functions: that needs no compiler, and goes on where one would not.
type universe struct {
	arch    string
	sizes   types.Sizes
	listed  map[string]*goPackage
	added   map[string]*addedPackage // by import path
	checked map[string]*types.Package
	prints  map[string]string // what fingerprint has returned
	cache   *packageCache
}

// addedPackage is what a package will have beside, or in the place of, what is on disk: protoc writes the answers of
// plugins when all is over, so that it may lack what is generated now, or have it as it was.
type addedPackage struct {
	name     string // of the package, if it is not on disk
	files    []*ast.File
	declares map[string]bool
	messages []string // declared with nothing in them, unless they are on disk
}

// packageCache keeps the packages of the standard library and of other modules, which don't change under our hands.
type packageCache struct {
	fset     *token.FileSet
	packages map[string]*types.Package // by fingerprint: builds often share them
	parsed   map[string]*ast.File      // by path
	outputs  map[string][]byte         // of the go command; nil to ask it each time, since modules change
}

func newPackageCache() *packageCache {
	return &packageCache{fset: token.NewFileSet(), packages: make(map[string]*types.Package), parsed: make(map[string]*ast.File)}
}

// fallbacks stand in for packages that generated code needs, in a module that does not require theirs yet.
var fallbacks = map[string]string{
	runtimePackage: "package runtime\n" +
		"type RequestIterator[Req any] interface{ Next() (*Req, error) }\n" +
		"type ResponseStream[Res any] interface{ Send(*Res) error }",
	"google.golang.org/grpc/codes": "package codes\n" +
		"type Code uint32\n" +
		"const Unimplemented Code = 12",
	"google.golang.org/grpc/status": "package status\n" +
		"import \"google.golang.org/grpc/codes\"\n" +
		"func Error(c codes.Code, msg string) error",
}

// load returns a package, checked. One that cannot be found is an error, as it is for a compiler.
func (u *universe) load(importPath string) (*types.Package, error) {
	if importPath == "unsafe" {
		return types.Unsafe, nil
	}
	if pkg, ok := u.checked[importPath]; ok {
		if pkg == nil {
			return nil, fmt.Errorf("import cycle through %s", importPath)
		}
		return pkg, nil
	}
	digest := u.fingerprint(importPath)
	if pkg, ok := u.cache.packages[digest]; ok {
		return pkg, nil
	}
	u.checked[importPath] = nil // until it is there
	files := u.sources(importPath)
	if len(files) == 0 {
		delete(u.checked, importPath)
		return nil, fmt.Errorf("cannot find package %s", importPath)
	}
	config := types.Config{
		Importer:         &neededImporter{u, u.listed[importPath], u.neededImports(u.listed[importPath], files)},
		IgnoreFuncBodies: true,
		FakeImportC:      true,
		Sizes:            u.sizes,
		Error:            func(error) {}, // The compiler will say so; what can be known is.
	}
	pkg, _ := config.Check(importPath, u.cache.fset, files, nil)
	u.checked[importPath] = pkg
	if digest != "" {
		u.cache.packages[digest] = pkg
	}
	return pkg, nil
}

// around returns a universe in which a package, that no package here imports, is what the caller has made of it.
func (u *universe) around(importPath string, pkg *types.Package) *universe {
	other := *u
	other.checked = maps.Clone(u.checked)
	other.checked[importPath] = pkg
	return &other
}

// fingerprint identifies a package by its files and those of all that it imports. It is empty if any of them may change:
// if they are neither of the standard library nor from the module cache.
func (u *universe) fingerprint(importPath string) string {
	if importPath == "C" || importPath == "unsafe" {
		return importPath
	}
	if digest, ok := u.prints[importPath]; ok {
		return digest
	}
	u.prints[importPath] = "" // also for those in a circle
	listed := u.listed[importPath]
	if listed == nil || u.added[importPath] != nil || !u.isFixed(listed) {
		return ""
	}
	hash := sha256.New()
	fmt.Fprintln(hash, u.arch, importPath, listed.Dir, listed.GoFiles, listed.CgoFiles)
	for _, imported := range listed.Imports {
		digest := u.fingerprint(listed.resolve(imported))
		if digest == "" {
			return ""
		}
		fmt.Fprintln(hash, digest)
	}
	u.prints[importPath] = string(hash.Sum(nil))
	return u.prints[importPath]
}

func (u *universe) isFixed(listed *goPackage) bool {
	if listed.Standard || u.cache.outputs != nil && (listed.Module == nil || !listed.Module.Main) {
		return true
	}
	return listed.Module != nil && !listed.Module.Main && (listed.Module.Replace == nil || listed.Module.Replace.Version != "")
}

// sources returns the files of a package: those on disk, but for what is generated now, and with that.
func (u *universe) sources(importPath string) []*ast.File {
	var files []*ast.File
	if listed := u.listed[importPath]; listed != nil {
		for _, name := range append(slices.Clone(listed.GoFiles), listed.CgoFiles...) {
			if file := u.parse(filepath.Join(listed.Dir, name), u.isFixed(listed)); file != nil {
				files = append(files, file)
			}
		}
	}
	if added := u.added[importPath]; added != nil {
		return added.combine(u.cache.fset, files)
	}
	if source, ok := fallbacks[importPath]; ok && len(files) == 0 {
		files = append(files, parseOwn(u.cache.fset, importPath, source))
	}
	return files
}

// parse returns a file of another package, or nil if it is not Go.
func (u *universe) parse(path string, isFixed bool) *ast.File {
	if file, ok := u.cache.parsed[path]; ok {
		return file
	}
	file, _ := parser.ParseFile(u.cache.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if isFixed {
		u.cache.parsed[path] = file
	}
	return file
}

// combine puts what is generated now before the files on disk, which lose what is generated again.
func (a *addedPackage) combine(fset *token.FileSet, onDisk []*ast.File) []*ast.File {
	declared := make(map[string]bool)
	files := slices.Clone(a.files)
	for _, file := range onDisk {
		if ast.IsGenerated(file) {
			file = without(file, a.declares)
		}
		maps.Copy(declared, declarations(file))
		files = append(files, file)
	}
	source := "package " + a.name + "\n"
	for _, message := range a.messages {
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
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				names[decl.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names[name.Name] = true
					}
				case *ast.TypeSpec:
					names[spec.Name.Name] = true
				}
			}
		}
	}
	delete(names, "_")
	return names
}

// without returns a copy of a file that lacks the declarations of some names, and the methods of such types.
func without(file *ast.File, names map[string]bool) *ast.File {
	trimmed := *file
	trimmed.Decls = nil
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if name := decl.Name.Name; decl.Recv == nil && names[name] || decl.Recv != nil && names[receiverType(decl)] {
				continue
			}
			trimmed.Decls = append(trimmed.Decls, decl)
		case *ast.GenDecl:
			kept := *decl
			kept.Specs = slices.DeleteFunc(slices.Clone(decl.Specs), func(spec ast.Spec) bool {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					return slices.ContainsFunc(spec.Names, func(name *ast.Ident) bool { return names[name.Name] })
				case *ast.TypeSpec:
					return names[spec.Name.Name]
				}
				return false
			})
			if len(kept.Specs) > 0 {
				trimmed.Decls = append(trimmed.Decls, &kept)
			}
		}
	}
	return &trimmed
}

// neededImports returns the import paths that declarations refer to, outside of the bodies of functions.
func (u *universe) neededImports(importing *goPackage, files []*ast.File) map[string]bool {
	needed := make(map[string]bool)
	for _, file := range files {
		used := make(map[string]bool)
		ast.Inspect(file, func(node ast.Node) bool {
			if selector, ok := node.(*ast.SelectorExpr); ok {
				if name, ok := selector.X.(*ast.Ident); ok {
					used[name.Name] = true
				}
			}
			_, isBody := node.(*ast.BlockStmt)
			return !isBody
		})
		for _, spec := range file.Imports {
			importPath := importPathOf(spec)
			name := u.packageName(importing.resolve(importPath))
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if name == "." || used[name] {
				needed[importPath] = true
			}
		}
	}
	return needed
}

// packageName returns what a package calls itself, or what its import path suggests if no one knows.
func (u *universe) packageName(importPath string) string {
	if added := u.added[importPath]; added != nil {
		return added.name
	}
	if listed := u.listed[importPath]; listed != nil && listed.Name != "" {
		return listed.Name
	}
	return lastElement(importPath)
}

// resolve returns the path of the package that is meant by an import: the standard library has copies of others.
func (p *goPackage) resolve(importPath string) string {
	if p != nil {
		if mapped, ok := p.ImportMap[importPath]; ok {
			return mapped
		}
	}
	return importPath
}

// neededImporter loads what declarations refer to. In the place of what only bodies need there is an empty package:
// that spares most of what a server imports.
type neededImporter struct {
	*universe
	importing *goPackage
	needed    map[string]bool
}

// Import implements types.Importer.
func (i *neededImporter) Import(importPath string) (*types.Package, error) {
	resolved := i.importing.resolve(importPath)
	if i.needed[importPath] {
		return i.load(resolved)
	}
	pkg := types.NewPackage(resolved, i.packageName(resolved))
	pkg.MarkComplete()
	return pkg, nil
}

// checkedPackage is the user's package, checked with all bodies.
type checkedPackage struct {
	pkg    *types.Package
	info   *types.Info
	files  []*ast.File
	errors []types.Error
	used   []use // what uses has found
}

// Import implements types.Importer, for the user's package.
func (u *universe) Import(importPath string) (*types.Package, error) { return u.load(importPath) }

// check checks the user's package.
func (u *universe) check(importPath, goVersion string, files []*ast.File) *checkedPackage {
	c := &checkedPackage{files: files, info: &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object),
		Uses: make(map[*ast.Ident]types.Object), Implicits: make(map[ast.Node]types.Object),
		Scopes: make(map[ast.Node]*types.Scope),
	}}
	config := types.Config{
		Importer: u, FakeImportC: true, Sizes: u.sizes,
		Error: func(err error) {
			if err, ok := err.(types.Error); ok {
				c.errors = append(c.errors, err)
			}
		},
	}
	if goVersion != "" && goversion.Compare("go"+goVersion, runtime.Version()) <= 0 {
		config.GoVersion = "go" + goVersion
	}
	c.pkg, _ = config.Check(importPath, u.cache.fset, files, c.info)
	return c
}

// newErrors returns the errors of a package that it did not have before, in the order of the files.
func (c *checkedPackage) newErrors(before *checkedPackage) []types.Error {
	known := make(map[string]int)
	for _, err := range before.errors {
		known[errorKey(err)]++
	}
	var fresh []types.Error
	for _, err := range c.errors {
		if key := errorKey(err); known[key] > 0 {
			known[key]--
			continue
		}
		fresh = append(fresh, err)
	}
	slices.SortStableFunc(fresh, func(a, b types.Error) int { return cmp.Compare(a.Pos, b.Pos) })
	return fresh
}

// errorKey is an error without what an edit may change although the error is the same: the position, and which of
// several methods is missing.
func errorKey(err types.Error) string {
	message, _, _ := strings.Cut(err.Msg, " does not implement ")
	return filepath.Base(err.Fset.PositionFor(err.Pos, false).Filename) + ": " + message
}
