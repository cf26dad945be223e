package typecheck

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton/golist"
)

// Universe is the packages that the user's imports, as the type checker knows them in one build configuration. They are
// checked from source and without the bodies of functions: that needs no compiler, and goes on where one would not.
type Universe struct {
	arch      string
	sizes     types.Sizes
	listed    map[string]*golist.Package
	generated map[string]*Generated // by import path
	checked   map[string]*types.Package
	prints    map[string]string // what fingerprint has returned
	cache     *Cache
}

// New returns the packages of a build configuration, none of which has been read yet.
func New(c golist.Config, listed map[string]*golist.Package, generated map[string]*Generated, cache *Cache) *Universe {
	return &Universe{
		arch: c.GOARCH, sizes: types.SizesFor("gc", c.GOARCH), listed: listed, generated: generated,
		checked: make(map[string]*types.Package), prints: make(map[string]string), cache: cache,
	}
}

// IsGenerated says whether the plugin generates code into a package.
func (u *Universe) IsGenerated(importPath string) bool { return u.generated[importPath] != nil }

// Load returns a package, checked. One that cannot be found is an error, as it is for a compiler.
func (u *Universe) Load(importPath string) (*types.Package, error) {
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
	files := u.sources(importPath)
	if len(files) == 0 {
		return nil, fmt.Errorf("cannot find package %s", importPath)
	}
	u.checked[importPath] = nil // until it is there
	pkg := u.checkDeclarations(importPath, files)
	u.checked[importPath] = pkg
	if digest != "" {
		u.cache.packages[digest] = pkg
	}
	return pkg, nil
}

// checkDeclarations checks a package but for the bodies of its functions. The compiler will say what is wrong with it; what
// can be known of it, is.
func (u *Universe) checkDeclarations(importPath string, files []*ast.File) *types.Package {
	importing := u.listed[importPath]
	config := types.Config{
		Importer:         &neededImporter{u, importing, u.neededImports(importing, files)},
		IgnoreFuncBodies: true,
		FakeImportC:      true,
		Sizes:            u.sizes,
		Error:            func(error) {},
	}
	pkg, _ := config.Check(importPath, u.cache.Fset, files, nil)
	return pkg
}

// Around returns a universe in which a package, that no package here imports, is what the caller has made of it.
func (u *Universe) Around(importPath string, pkg *types.Package) *Universe {
	other := *u
	other.checked = maps.Clone(u.checked)
	other.checked[importPath] = pkg
	return &other
}

// Import implements types.Importer, for the user's package.
func (u *Universe) Import(importPath string) (*types.Package, error) { return u.Load(importPath) }

// fingerprint identifies a package by its files and those of all that it imports. It is empty if any of them may change:
// if they are neither of the standard library nor from the module cache.
func (u *Universe) fingerprint(importPath string) string {
	if importPath == "C" || importPath == "unsafe" {
		return importPath
	}
	if digest, ok := u.prints[importPath]; ok {
		return digest
	}
	u.prints[importPath] = "" // also for those in a circle
	listed := u.listed[importPath]
	if listed == nil || u.generated[importPath] != nil || !u.isFixed(listed) {
		return ""
	}
	hash := sha256.New()
	fmt.Fprintln(hash, u.arch, importPath, listed.Dir, listed.GoFiles, listed.CgoFiles)
	for _, imported := range listed.Imports {
		digest := u.fingerprint(listed.Resolve(imported))
		if digest == "" {
			return ""
		}
		fmt.Fprintln(hash, digest)
	}
	u.prints[importPath] = string(hash.Sum(nil))
	return u.prints[importPath]
}

func (u *Universe) isFixed(listed *golist.Package) bool {
	if listed.Standard || u.cache.Outputs != nil && (listed.Module == nil || !listed.Module.Main) {
		return true
	}
	return listed.Module != nil && !listed.Module.Main && (listed.Module.Replace == nil || listed.Module.Replace.Version != "")
}

// sources returns the files of a package: those on disk, but for what is generated now, and with that.
func (u *Universe) sources(importPath string) []*ast.File {
	var files []*ast.File
	if listed := u.listed[importPath]; listed != nil {
		for _, name := range append(slices.Clone(listed.GoFiles), listed.CgoFiles...) {
			if file := u.parse(filepath.Join(listed.Dir, name), u.isFixed(listed)); file != nil {
				files = append(files, file)
			}
		}
	}
	if generated := u.generated[importPath]; generated != nil {
		return generated.combine(u.cache.Fset, files)
	}
	if source, ok := fallbacks[importPath]; ok && len(files) == 0 {
		files = append(files, parseOwn(u.cache.Fset, importPath, source))
	}
	return files
}

// parse returns a file of another package, or nil if it is not Go.
func (u *Universe) parse(path string, isFixed bool) *ast.File {
	if file, ok := u.cache.parsed[path]; ok {
		return file
	}
	file, _ := parser.ParseFile(u.cache.Fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if isFixed {
		u.cache.parsed[path] = file
	}
	return file
}

// neededImports returns the import paths that declarations refer to, outside of the bodies of functions.
func (u *Universe) neededImports(importing *golist.Package, files []*ast.File) map[string]bool {
	needed := make(map[string]bool)
	for _, file := range files {
		used := usedQualifiers(file)
		for _, spec := range file.Imports {
			importPath := gofile.ImportPath(spec)
			name := u.PackageName(importing.Resolve(importPath))
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

// usedQualifiers returns the names before dots, some of which are those of packages.
func usedQualifiers(file *ast.File) map[string]bool {
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
	return used
}

// PackageName returns what a package calls itself, or what its import path suggests if that is not known.
func (u *Universe) PackageName(importPath string) string {
	if generated := u.generated[importPath]; generated != nil {
		return generated.Name
	}
	if listed := u.listed[importPath]; listed != nil && listed.Name != "" {
		return listed.Name
	}
	return path.Base(importPath)
}

// neededImporter loads what declarations refer to. In the place of what only bodies need there is an empty package:
// that spares most of what a server imports.
type neededImporter struct {
	*Universe
	importing *golist.Package
	needed    map[string]bool
}

// Import implements types.Importer.
func (i *neededImporter) Import(importPath string) (*types.Package, error) {
	resolved := i.importing.Resolve(importPath)
	if i.needed[importPath] {
		return i.Load(resolved)
	}
	pkg := types.NewPackage(resolved, i.PackageName(resolved))
	pkg.MarkComplete()
	return pkg, nil
}

// fallbacks stand in for packages that generated code needs, in a module that does not require theirs yet.
var fallbacks = map[string]string{
	gofile.RuntimePackage: "package runtime\n" +
		"type RequestIterator[Req any] interface{ Next() (*Req, error) }\n" +
		"type ResponseStream[Res any] interface{ Send(*Res) error }",
	"google.golang.org/grpc/codes": "package codes\n" +
		"type Code uint32\n" +
		"const Unimplemented Code = 12",
	"google.golang.org/grpc/status": "package status\n" +
		"import \"google.golang.org/grpc/codes\"\n" +
		"func Error(c codes.Code, msg string) error",
}
