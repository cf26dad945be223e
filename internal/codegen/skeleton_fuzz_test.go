package codegen

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// skeletonPieces are what FuzzSkeletonEdit makes files of, beside text of its own. A file gets somewhere if its first
// piece is a package clause, and one of the others an assertion.
var skeletonPieces = []string{
	"package impl", "\n", ";", " ", "\r\n", "\t", "// words\n", "/* words */", "/* two\nlines */", "//line a.go:1\n", "/*line b.go:3:1*/",
	"//go:build linux\n\n", "//go:noinline\n", "//go:embed x\n", "\ufeff", "§",
	"import \"context\"", "import pb \"example.com/cardinalities\"", "import \"example.com/cardinalities\"", "import (\n\t\"context\"\n", "import (", ")", "\"context\"",
	"\"example.com/cardinalities\"", ". \"fmt\"", "_ \"embed\"", "import \"C\"", "runtime \"context\"", "import status \"io\"",
	"type Impl struct{}", "type Impl struct{ s int }", "type (\n\tImpl struct{}\n\tOther struct{ Impl }\n)", "type Impl struct{ pb.UnimplementedCardinalitiesServicer }",
	"type Impl[T any] struct{}", "type Impl = int",
	"var _ pb.CardinalitiesServicer = (*Impl)(nil)", "var _ cardinalities.CardinalitiesServicer = &Impl{}", "var status, runtime int",
	"func (s *Impl) Unary(ctx context.Context, request *pb.Request) (*pb.Response, error) { return nil, nil }",
	"func (Impl) Download() {\n\t// nothing\n}", "func (*Impl) Upload()", "func (_ *Impl) helper() { _ = `raw\n\nstring` }", "func (s Impl) Chat() {", "}",
	"func helper() {}", "const a = iota", "var text = `\n// no comment\n`",
}

// FuzzSkeletonEdit has the skeleton mode complete a file of a user's, of which nothing may be lost: text is only added,
// each declaration and comment stays as it was, and a second run finds nothing to do.
func FuzzSkeletonEdit(f *testing.F) {
	seed := func(pieces ...string) {
		var script []byte
		text := ""
		for _, piece := range pieces {
			i := slices.Index(skeletonPieces, piece)
			if i < 0 {
				i = len(skeletonPieces)
				text += piece + "§"
			}
			script = append(script, byte(i))
		}
		f.Add(script, text)
	}
	const (
		pkg, lf    = "package impl", "\n"
		imports    = "import (\n\t\"context\"\n"
		pbImport   = "import pb \"example.com/cardinalities\""
		structType = "type Impl struct{}"
		assertion  = "var _ pb.CardinalitiesServicer = (*Impl)(nil)"
		unary      = "func (s *Impl) Unary(ctx context.Context, request *pb.Request) (*pb.Response, error) { return nil, nil }"
	)
	seed(pkg, lf, imports, ")", lf, pbImport, lf, structType, lf, assertion, lf, unary, " ", "/* two\nlines */", lf, "// words\n")
	seed(pkg, ";", "import \"context\"", ";", pbImport, ";", structType, ";", assertion, ";", unary)
	seed("// words\n", pkg, "/* words */", lf, pbImport, lf, assertion, lf, "type (\n\tImpl struct{}\n\tOther struct{ Impl }\n)")
	seed("\ufeff", pkg, "\r\n", "import (", ")", "\r\n", pbImport, "\r\n", assertion, "\r\n", structType, "\r\n")
	seed("//go:build linux\n\n", pkg, lf, "import \"C\"", lf, pbImport, lf, structType, lf, assertion, lf, unary, lf, "//line a.go:1\n", unary, "// words\n", "func helper() {}")
	seed(pkg, lf, pbImport, lf, "import status \"io\"", lf, "var status, runtime int", lf, structType, lf, assertion, lf,
		"func (_ *Impl) helper() { _ = `raw\n\nstring` }", "/*line b.go:3:1*/", lf, "func (s *Impl) Other() {} // ends")
	f.Fuzz(func(t *testing.T, script []byte, text string) {
		if source := skeletonSource(script, text); len(source) < 20_000 {
			completeSkeleton(t, source)
		}
	})
}

// skeletonSource makes a file of pieces. Of the text, each part up to a § is one.
func skeletonSource(script []byte, text string) string {
	var source strings.Builder
	for _, i := range script {
		if int(i) < len(skeletonPieces) {
			source.WriteString(skeletonPieces[i])
			continue
		}
		var piece string
		piece, text, _ = strings.Cut(text, "§")
		source.WriteString(piece)
	}
	return source.String()
}

func completeSkeleton(t *testing.T, source string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "impl.go")
	codegentest.WriteFile(t, path, source)
	written, _ := runSkeleton(t, dir)
	if message := written["error.txt"]; message != "" {
		if len(written) > 1 || codegentest.ReadFile(t, path) != source {
			t.Errorf("an error, and files: %v", written)
		}
		if !strings.Contains(message, dir) {
			t.Errorf("the error does not name the file: %s", message)
		}
		if strings.Contains(message, "without breaking it") {
			t.Errorf("%s\nof\n%s", message, source)
		}
		return
	}
	if edited, ok := written["impl.go"]; ok {
		checkAdded(t, source, edited)
	}
	if again, _ := runSkeleton(t, dir); len(again) > 0 && !declaresTwice(t, source) {
		t.Errorf("the second run writes %v\nafter the first has made\n%s\nof\n%s", again, written, source)
	}
}

// declaresTwice says whether a file declares a type twice. The compiler refuses it, and which one has the methods is open.
func declaresTwice(t *testing.T, source string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "impl.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]bool)
	twice := false
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.TypeSpec); ok {
			twice = twice || declared[spec.Name.Name]
			declared[spec.Name.Name] = true
		}
		return true
	})
	return twice
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
