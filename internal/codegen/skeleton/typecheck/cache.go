package typecheck

import (
	"go/ast"
	"go/token"
	"go/types"
)

// Cache keeps the packages of the standard library and of other modules, which don't change under our hands.
type Cache struct {
	Fset     *token.FileSet
	Outputs  map[string][]byte         // of the go command; nil to ask it each time, since modules change
	packages map[string]*types.Package // by fingerprint: builds often share them
	parsed   map[string]*ast.File      // by path
}

// NewCache returns a cache with nothing in it.
func NewCache() *Cache {
	return &Cache{Fset: token.NewFileSet(), packages: make(map[string]*types.Package), parsed: make(map[string]*ast.File)}
}

// Remembering returns the cache for modules that stay as they are: it keeps what the go command says of them, too.
func (c *Cache) Remembering() *Cache {
	other := *c
	other.Outputs = make(map[string][]byte)
	return &other
}
