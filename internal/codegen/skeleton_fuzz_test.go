package codegen

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
	"github.com/gogreeter/gogreeter/internal/codegen/skeleton"
)

// fuzzPieces are what FuzzSkeletonEdit makes packages of, by groups: of most of them a package has one. What the first
// of each group makes is an ordinary implementation.
var fuzzPieces = [][]string{
	{"package impl", "//go:build linux\n\npackage impl", "// Package impl.\npackage impl // by me", "\ufeffpackage impl", "/* a */ package /* b */ impl /* c\nd */"},
	{"\n", ";", "\r\n", " // words\n", "\n\n//go:generate true\n"},
	{
		"import \"context\"\nimport pb \"example.com/corpus/shop\"\n", "import (\n\t\"context\"\n\n\tpb \"example.com/corpus/shop\" // messages\n)\n",
		"import (\"context\"; pb \"example.com/corpus/shop\")\n", "import (\n)\nimport (\n\t\"context\"\n\tpb \"example.com/corpus/shop\"; \"io\"\n)\nvar _ io.Reader\n",
		"import . \"context\"\nimport context \"context\"\nimport pb \"example.com/corpus/shop\"\nvar _ Context\n",
		"// int x;\nimport \"C\"\nimport \"context\"\nimport pb \"example.com/corpus/shop\"\nvar _ C.int\n",
		"import \"context\"\nimport status \"example.com/corpus/shop\"\nimport pb \"example.com/corpus/shop\"\nvar _ status.Item\n",
		"import \"context\"\nimport pb \"example.com/corpus/shop\"\nimport s \"google.golang.org/grpc/status\"\nimport ctx \"google.golang.org/grpc/codes\"\nvar _, _ = s.Error, ctx.OK\n",
		"import context \"context\"\nimport pb \"example.com/corpus/nowhere\"\n",
	},
	{
		"type Impl struct{}", "type Impl struct{ s int }", "type Impl int", "type Impl func()", "type (\n\tImpl struct{}\n\tOther struct{ Impl }\n)",
		"type Impl struct{ pb.UnimplementedShopServicer }", "type Impl struct{ pb.ShopServicer }", "type Impl struct{ Watch int }", "type Impl struct{ base }",
		"type Impl struct{ *base; pb.UnimplementedShopServicer }", "type Impl struct{ generic[int]; next pb.ShopServicer }", "type Impl = base", "type Impl struct{ missing }",
		"type Impl struct{ pb.UnimplementedShopServicer; pb.UnimplementedStockServicer }", "type Impl struct{ base; other }", "type Impl interface{ pb.ShopServicer }",
	},
	{"\n", ";", " // of Impl\n", " /* two\nlines */ ", ";/* of what follows */ "},
	{
		"var _ pb.ShopServicer = (*Impl)(nil)", "var _ pb.ShopServicer = Impl{}", "var (\n\t_ pb.ShopServicer = new(Impl)\n\t_ pb.StockServicer = new(Impl)\n)",
		"func New() pb.ShopServicer { return &Impl{} }", "var _ = pb.AddShopToServer(&Impl{}, nil)", "var _ pb.StockServicer = (*Impl)(nil)", "",
		"var _ pb.ClashServicer = (*Impl)(nil); var _ pb.ShopServicer = (*Impl)(nil)",
	},
	{"\n", ";", "\r\n", "\n\n\n", " /* x */\n"},
	{
		"func (i *Impl) Get(ctx context.Context, request *pb.Item) (*pb.Item, error) { return nil, nil }", "",
		"func (Impl) Get(context.Context, *pb.Item) (r *pb.Item, err error) { return }", "func (request *Impl) Get(context.Context, *pb.Item) (r *pb.Item, err error) { return }",
		"func (status *Impl) Get() {}", "func ((*Impl)) Gone(ctx context.Context, request *pb.Item) (*pb.Item, error) { return nil, nil }",
		"func (i Impl) private() { _ = `raw\n\n`\n//line x.go:1\n }", "func (i *Impl) Get(ctx context.Context, request *pb.Item) (*pb.Item, error) { return undefined }",
	},
	{"\n", " // words", " /* two\nlines */", ";", " /* two\nlines */ func behind() {}\n", "\n//go:noinline\nfunc behind() {}\n"},
	{
		"", "var status, runtime = 1, 2\n", "type base struct{}\n\nfunc (*base) Get(context.Context, *pb.Item) (r *pb.Item, err error) { return }\n",
		"type base = inner\n\ntype inner struct{}\n\nfunc (inner) Watch() {}\n", "type generic[T any] struct{ t T }\n\nfunc (generic[T]) Get(context.Context, *pb.Item) (r *pb.Item, err error) { return }\n",
		"type error interface{ Error() string }\n", "var nil = 1\n", "type base struct{ *Impl }\n", "func init() { _ = undefined }\n", "type Impl struct{}\n",
		"type Shop, ShopServicer int\n", "type Second struct{ pb.UnimplementedShopServicer; first *Impl }\n", "func codes() { // open\n}\n", "const a = iota",
		"type base struct{}\n\nfunc (base) Get(context.Context, *pb.Item) (r *pb.Item, err error) { return }\n\ntype other struct{ base }\n",
	},
	{ // a test
		"", "package impl\n\nvar codes, runtime int\n", "package impl_test\n", "package impl\n\nfunc (Impl) Watch() {}\n", "package impl\n\nfunc {",
		"package impl_test\n\nimport \"example.com/corpus/impl\"\n\ntype both struct {\n\timpl.Impl\n\tother\n}\n\ntype other struct{}\n\nfunc (other) Watch() {}\n\nvar _ = both.Watch\n",
		"package impl_test\n\nimport . \"example.com/corpus/impl\"\n\ntype Shop = Impl\n\nfunc (Impl) Watch() {}\n",
	},
	{ // another file
		"", "package impl\n\nfunc helper() {}\n", "//go:build ignore\n\npackage main\n", "package impl\n\nvar _ = helper\n", "//go:build x\n\npackage impl\n\nvar status = 1\n", "//go:build x\n\npackage impl\n\nfunc (*Impl) Watch() {}\n", "package other\n",
	},
}

// FuzzSkeletonEdit has the skeleton mode complete packages of a user's, of which nothing may be lost. Text is only added;
// what type-checked before does so afterwards, in every build and with the tests, and no new mistake comes to the others;
// a second run finds nothing to do.
func FuzzSkeletonEdit(f *testing.F) {
	f.Add([]byte{}, "")
	for group, pieces := range fuzzPieces {
		for i := range pieces {
			script := make([]byte, group+1)
			script[group] = byte(i)
			f.Add(script, "")
		}
	}
	f.Add([]byte{0, 0, 0, 255}, "type Impl[T any] struct{}")
	f.Add([]byte{1, 1, 2, 1, 4, 2, 2, 2, 2, 1, 1, 1}, "")
	module := newCorpusModule(f)
	writeCorpusPackages(f, module)
	dir := filepath.Join(module, "impl")
	codegentest.WriteFile(f, filepath.Join(dir, "impl.go"), "package impl\n")
	cache := sharedCache.Remembering()
	// What all packages need is there before the first: the fuzzer takes ten seconds for a deadlock.
	for _, source := range []string{fuzzPieces[2][0], fuzzPieces[2][5]} {
		codegentest.WriteFile(f, filepath.Join(dir, "impl.go"), "package impl\n"+source)
		codegentest.WriteFile(f, filepath.Join(dir, "zz.go"), "//go:build x || windows\n\npackage impl\n")
		if _, err := prepareSkeleton(dir, cache, "services=corpus.Shop+corpus.Stock"); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, script []byte, text string) {
		sources := fuzzSources(script, text)
		if all := strings.Join(sources[:], "\n"); len(all) < 10_000 && strings.Count(all, "go:build") < 3 {
			completeSkeleton(t, dir, sources, cache)
		}
	})
}

// fuzzSources makes the files of a package: an implementation, a test, and one more. Each byte of the script chooses a
// piece of a group; one that is out of range stands for text of its own, of which each § ends a piece.
func fuzzSources(script []byte, text string) (sources [3]string) {
	for group, pieces := range fuzzPieces {
		choice := 0
		if group < len(script) {
			choice = int(script[group])
		}
		piece := ""
		if choice < len(pieces) {
			piece = pieces[choice]
		} else {
			piece, text, _ = strings.Cut(text, "§")
		}
		sources[max(0, group-len(fuzzPieces)+3)] += piece
	}
	return sources
}

var fuzzNames = [3]string{"impl.go", "impl_test.go", "zz.go"}

func completeSkeleton(t *testing.T, dir string, sources [3]string, cache *skeleton.Cache) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	for i, name := range fuzzNames {
		if sources[i] != "" {
			codegentest.WriteFile(t, filepath.Join(dir, name), sources[i])
		}
	}
	before := readTree(t, dir)
	old, message := runAndCount(dir, cache)
	after := readTree(t, dir)
	if message != "" {
		compareTrees(t, before, after)
		if strings.Contains(message, "without breaking it") {
			t.Errorf("%s\nof\n%s", message, sources[0])
		}
		return
	}
	for name, source := range before {
		if strings.HasSuffix(name, "_test.go") && after[name] != source {
			t.Errorf("%s has changed", name)
		}
		if after[name] != source {
			checkAdded(t, source, after[name])
		}
	}
	now, message := runAndCount(dir, cache)
	if again := readTree(t, dir); message != "" || !maps.Equal(again, after) {
		t.Errorf("the second run: %s\nwrites %v\nafter the first has made\n%s\nof\n%s", message, again, after, sources)
	}
	for err, n := range now {
		if n > old[err] {
			t.Errorf("new: %s\nin\n%s\nof\n%s", err, after, sources)
		}
	}
}

// runAndCount runs the skeleton mode, and counts the mistakes that the type checker found before.
func runAndCount(dir string, cache *skeleton.Cache) (mistakes map[string]int, message string) {
	mistakes = make(map[string]int)
	plan, err := prepareSkeleton(dir, cache, "services=corpus.Shop+corpus.Stock")
	if err != nil {
		return mistakes, err.Error()
	}
	for _, mistake := range plan.Mistakes() {
		mistakes[mistake]++
	}
	if err := plan.Save(); err != nil {
		return mistakes, err.Error()
	}
	return mistakes, ""
}

// checkAdded compares a file with what became of it.
func checkAdded(t *testing.T, source, edited string) {
	t.Helper()
	rest := source
	for i := range len(edited) {
		if rest != "" && edited[i] == rest[0] {
			rest = rest[1:]
		}
	}
	if rest != "" {
		t.Errorf("what is left out begins with %q, of\n%s\nnow\n%s", rest, source, edited)
	}
	was, is := declarationsOf(t, source), declarationsOf(t, edited)
	for _, declaration := range was {
		i := slices.Index(is, declaration)
		if i < 0 {
			t.Fatalf("not there any more, or not in its place: %s\nof\n%s\nnow\n%s", declaration, source, edited)
		}
		is = is[i+1:]
	}
}

// declarationsOf returns the comments of a file and its declarations with the comments above them, in their order.
// Of declarations of imports it returns the imports.
func declarationsOf(t *testing.T, source string) (all []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "impl.go", source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	text := func(from, to token.Pos) string {
		return source[fset.PositionFor(from, false).Offset:fset.PositionFor(to, false).Offset]
	}
	var nodes []ast.Node
	for _, decl := range file.Decls {
		if imports, ok := decl.(*ast.GenDecl); ok && imports.Tok == token.IMPORT {
			for _, spec := range imports.Specs {
				nodes = append(nodes, spec)
			}
			continue
		}
		nodes = append(nodes, decl)
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			nodes = append(nodes, comment)
		}
	}
	slices.SortStableFunc(nodes, func(a, b ast.Node) int { return int(a.Pos() - b.Pos()) })
	for _, node := range nodes {
		from := node.Pos()
		switch node := node.(type) {
		case *ast.FuncDecl:
			if node.Doc != nil {
				from = node.Doc.Pos()
			}
		case *ast.GenDecl:
			if node.Doc != nil {
				from = node.Doc.Pos()
			}
		}
		all = append(all, text(from, node.End()))
	}
	return all
}
