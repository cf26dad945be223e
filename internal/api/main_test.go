package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// TestAPI_IsListed compares what the published modules export with what api/*.txt says.
func TestAPI_IsListed(t *testing.T) {
	top := codegentest.Root(t)
	listed, err := filepath.Glob(filepath.Join(top, "api", "*.txt"))
	if err != nil || len(listed) != len(modules) {
		t.Errorf("api has %q, %v; the modules are %v", listed, err, modules)
	}
	for file, module := range modules {
		have, err := list(filepath.Join(top, module))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSpace(codegentest.ReadFile(t, filepath.Join(top, "api", file))), "\n")
		for _, line := range want {
			if !slices.Contains(have, line) {
				t.Errorf("api/%s: this is gone, and breaks its users; if that is meant, make api:\n%s", file, line)
			}
		}
		for _, line := range have {
			if !slices.Contains(want, line) {
				t.Errorf("api/%s: this is new; if that is meant, make api:\n%s", file, line)
			}
		}
	}
}

// TestList has each kind of declaration, and what is no part of an API.
func TestList(t *testing.T) {
	const source = `package p

import "io"

const C = 7
const c = 8

var V io.Reader

func F[T any](t T, more ...int) (n int, err error) { return 0, nil }

type (
	Struct struct {
		Field  func(S Slice) error
		hidden int
		Embedded
	}
	Embedded struct{}
	Slice    []string
	Open     interface{ M(n int) bool }
	Sealed   interface{ m() }
	Alias    = map[string]io.Writer
	Generic[K comparable, V any] struct{ Map map[K]V }
	hidden struct{ Field int }
)

func (Embedded) Promoted()    {}
func (s *Struct) Pointer()    {}
func (s Slice) Value() string { return "" }
func (s Slice) hidden()       {}
func (g *Generic[K, V]) Get(k K) V { return g.Map[k] }
`
	want := []string{
		"const C untyped int = 7",
		"func F[T any](t T, more ...int) (n int, err error)",
		"method (*Generic) Get(k K) V",
		"method (*Struct) Pointer()",
		"method (Embedded) Promoted()",
		"method (Slice) Value() string",
		"method (Struct) Promoted()",
		"type Alias = map[string]io.Writer",
		"type Embedded struct",
		"type Generic struct, Map map[K]V",
		"type Generic[K comparable, V any] struct",
		"type Open interface",
		"type Open interface, M(n int) bool",
		"type Sealed interface",
		"type Sealed interface, unexported methods",
		"type Slice []string",
		"type Struct struct",
		"type Struct struct, Embedded Embedded",
		"type Struct struct, Field func(S Slice) error",
		"var V io.Reader",
	}
	l := &lister{}
	l.list(check(t, source))
	slices.Sort(l.lines)
	for i := range want {
		want[i] = "pkg p, " + want[i]
	}
	if !slices.Equal(l.lines, want) {
		t.Errorf("listed are\n%s\nwant\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}

	nothing := &lister{}
	if nothing.list(check(t, "package p\n\nfunc f() {}\n")); !slices.Equal(nothing.lines, []string{"pkg p, exports nothing"}) {
		t.Errorf("of a package that exports nothing, listed is %q", nothing.lines)
	}
}

func check(t *testing.T, source string) *types.Package {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importer.ForCompiler(files, "source", nil)}
	pkg, err := config.Check("p", files, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func TestIsPublic(t *testing.T) {
	for path, want := range map[string]bool{
		root + "/runtime":                true,
		root + "/runtime/health":         true,
		root + "/runtime/internal/http2": false,
		root + "/internal/api":           false,
		root + "/example/helloworld":     false,
		root + "/runtime/internals":      true,
	} {
		if got := isPublic(path); got != want {
			t.Errorf("%s: got %v", path, got)
		}
	}
}
