package typecheck

import (
	"cmp"
	"go/ast"
	"go/types"
	goversion "go/version"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Checked is the user's package, checked with all bodies.
type Checked struct {
	Package *types.Package
	Info    *types.Info
	Files   []*ast.File
	Errors  []types.Error
	uses    []Use // what Uses has found
}

// Check checks the user's package with these files in it. If code is generated into that package, what is about to be
// counts, not what is there.
func (u *Universe) Check(importPath, goVersion string, files []*ast.File) *Checked {
	if generated := u.generated[importPath]; generated != nil {
		files = generated.combine(u.cache.Fset, files)
	}
	c := &Checked{Files: files, Info: &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object),
		Uses: make(map[*ast.Ident]types.Object), Implicits: make(map[ast.Node]types.Object),
		Scopes: make(map[ast.Node]*types.Scope),
	}}
	config := types.Config{
		Importer: u, FakeImportC: true, Sizes: u.sizes,
		Error: func(err error) {
			if err, ok := err.(types.Error); ok {
				c.Errors = append(c.Errors, err)
			}
		},
	}
	if goVersion != "" && goversion.Compare("go"+goVersion, runtime.Version()) <= 0 {
		config.GoVersion = "go" + goVersion
	}
	c.Package, _ = config.Check(importPath, u.cache.Fset, files, c.Info)
	return c
}

// NewErrors returns the errors of a package that it did not have before, in the order of the files.
func (c *Checked) NewErrors(before *Checked) []types.Error {
	known := make(map[string]int)
	for _, err := range before.Errors {
		known[ErrorKey(err)]++
	}
	var fresh []types.Error
	for _, err := range c.Errors {
		if key := ErrorKey(err); known[key] > 0 {
			known[key]--
			continue
		}
		fresh = append(fresh, err)
	}
	slices.SortStableFunc(fresh, func(a, b types.Error) int { return cmp.Compare(a.Pos, b.Pos) })
	return fresh
}

// ErrorKey is an error without what an edit may change although the error is the same: the position, and which of
// several methods is missing.
func ErrorKey(err types.Error) string {
	message, _, _ := strings.Cut(err.Msg, " does not implement ")
	return filepath.Base(err.Fset.PositionFor(err.Pos, false).Filename) + ": " + message
}
