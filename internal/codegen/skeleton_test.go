package codegen

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// runSkeleton runs the skeleton mode on the case cardinalities, whose service has the methods Unary, Download, Upload
// and Chat, and writes what comes out, as protoc would.
func runSkeleton(t *testing.T, dir string, options ...string) (written map[string]string, reports string) {
	t.Helper()
	var log bytes.Buffer
	options = append(options, "skeleton="+dir)
	written = filesOf(respond(goldenCase{name: "cardinalities"}.request(t, options...), &log))
	for name, content := range written {
		if name != "error.txt" {
			codegentest.WriteFile(t, filepath.Join(dir, name), content)
		}
	}
	return written, strings.ReplaceAll(log.String(), dir+string(filepath.Separator), "")
}

func TestSkeleton_Compiles_AndStaysAsItIs(t *testing.T) {
	for _, options := range [][]string{nil, {"require_embedding=true"}} {
		t.Run(strings.Join(options, ","), func(t *testing.T) {
			module := codegentest.NewModule(t, "example.com")
			request := goldenCase{name: "cardinalities"}.request(t, append([]string{"paths=import"}, options...)...)
			writeFiles(t, module, messages(t, goldenCase{name: "cardinalities"}.request(t, "")))
			writeFiles(t, module, respond(request, &bytes.Buffer{}))

			dir := filepath.Join(module, "my-impl")
			written, reports := runSkeleton(t, dir, options...)
			if len(written) != 1 || !strings.Contains(written["cardinalities.go"], "package myimpl\n") {
				t.Errorf("written: %v", written)
			}
			if want := "cardinalities.go: Cardinalities is a new implementation of test.v1.Cardinalities to fill in\n"; reports != want {
				t.Errorf("reports:\n%swant:\n%s", reports, want)
			}
			codegentest.Run(t, module, nil, "go", "vet", "./...")

			if written, reports := runSkeleton(t, dir, options...); len(written) != 0 || reports != "" {
				t.Errorf("the second run writes %v and reports %q", written, reports)
			}
		})
	}
}

// TestSkeleton_InTheMessagesOwnPackage has nothing to import from there, and a fake in the package that is no one's to
// fill in.
func TestSkeleton_InTheMessagesOwnPackage(t *testing.T) {
	module := codegentest.NewModule(t, "example.com")
	c := goldenCase{name: "cardinalities"}
	writeFiles(t, module, messages(t, c.request(t, "")))
	writeFiles(t, module, respond(c.request(t, "parts=servicers+registrars+fakes"), &bytes.Buffer{}))
	dir := filepath.Join(module, "cardinalities")
	written, _ := runSkeleton(t, dir)
	if len(written) != 1 || !strings.Contains(written["cardinalities.go"], "(ctx context.Context, request *Request) (*Response, error) {") {
		t.Errorf("written: %v", written)
	}
	codegentest.Run(t, module, nil, "go", "vet", "./...")
	if written, _ := runSkeleton(t, dir); len(written) != 0 {
		t.Errorf("the second run writes %v", written)
	}
}

// TestSkeleton_NewMethods_CompileInAnyFile adds to files of all sorts. The mark § in a source stands where text is
// to be inserted; all else has to stay byte by byte.
func TestSkeleton_NewMethods_CompileInAnyFile(t *testing.T) {
	const (
		download = "\n\n// One request, many responses.\nfunc (s *Impl) Download(ctx context.Context, request *cardinalities.Request, replies runtime.ResponseStream[cardinalities.Response]) error {\n" +
			"\t// TODO: implement Download.\n\treturn status.Error(codes.Unimplemented, \"Method not implemented!\")\n}"
		rest = "\n\n// Many requests, one response.\nfunc (s *Impl) Upload(ctx context.Context, requests runtime.RequestIterator[cardinalities.Request]) (*cardinalities.Response, error) {\n" +
			"\t// TODO: implement Upload.\n\treturn nil, status.Error(codes.Unimplemented, \"Method not implemented!\")\n}" +
			"\n\n// Chat handles the RPC /test.v1.Cardinalities/Chat.\nfunc (s *Impl) Chat(ctx context.Context, requests runtime.RequestIterator[cardinalities.Request], replies runtime.ResponseStream[cardinalities.Response]) error {\n" +
			"\t// TODO: implement Chat.\n\treturn status.Error(codes.Unimplemented, \"Method not implemented!\")\n}"
		newImports = "\n\t\"github.com/gogreeter/gogreeter/runtime\"\n\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\""
		unary      = "func (s *Impl) Unary(ctx context.Context, request *cardinalities.Request) (*cardinalities.Response, error) { return nil, nil }"
		assertion  = "var _ cardinalities.CardinalitiesServicer = (*Impl)(nil)\n"
	)
	rename := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	tests := []struct {
		name    string
		source  string // with a § wherever something is inserted
		inserts []string
		other   string // another file of the package
	}{
		{
			name: "odd formatting and comments stay",
			source: "package impl\n\nimport (\n  \"context\"   // why\n  \"example.com/cardinalities\"§\n)\n" +
				"type Impl struct {\n  x,y int }\n\n" + assertion + unary + "  /* spans\n   lines */§\n\n// last words",
			inserts: []string{newImports, download + rest},
		},
		{
			name: "line directives",
			source: "package impl\n\nimport (\n\t\"context\"\n\t\"example.com/cardinalities\"§\n)\n\ntype Impl struct{}\n\n" + assertion + unary +
				"§\n\nfunc helper() {\n//line made.go:11\n\t_ = 1 // the same line as that of Unary, so it says\n}\n",
			inserts: []string{newImports, download + rest},
		},
		{
			name:    "no newline at the end",
			source:  "package impl\n\nimport (\"context\"; \"example.com/cardinalities\"§)\n\ntype Impl struct{}\n\n" + assertion + unary + "§",
			inserts: []string{newImports, download + rest},
		},
		{
			name:    "imports without parentheses",
			source:  "package impl\n\nimport \"context\"\nimport \"example.com/cardinalities\" // pb§\n\ntype Impl struct{}\n\n" + assertion + unary + "§\n",
			inserts: []string{rename(newImports, "\n\t", "\nimport "), download + rest},
		},
		{
			name:   "no imports and a type without methods",
			source: "// Package impl.\npackage impl // by me§\n\ntype Impl struct{ s int }§\n\nfunc helper() {}\n",
			other:  "package impl\n\nimport \"example.com/cardinalities\"\n\n" + assertion,
			inserts: []string{
				"\n\nimport (\n\t\"context\"\n\t\"example.com/cardinalities\"" + newImports + "\n)",
				"\n\n// One request, one response.\n" +
					rename(unary, "{ return nil, nil }", "{\n\t// TODO: implement Unary.\n\treturn nil, status.Error(codes.Unimplemented, \"Method not implemented!\")\n}") + download + rest,
			},
		},
		{
			name:   "an import declaration with nothing in it",
			source: "package impl\n\nimport (§)\n\ntype Impl struct{}§\n",
			other:  "package impl\n\nimport \"example.com/cardinalities\"\n\n" + assertion,
			inserts: []string{
				"\n\t\"context\"\n\t\"example.com/cardinalities\"" + newImports + "\n",
				"\n\n// One request, one response.\n" +
					rename(unary, "{ return nil, nil }", "{\n\t// TODO: implement Unary.\n\treturn nil, status.Error(codes.Unimplemented, \"Method not implemented!\")\n}") + download + rest,
			},
		},
		{
			name:    "windows line ends",
			source:  crlf("package impl\n\nimport (\n\t\"context\"\n\t\"example.com/cardinalities\"§\n)\n\ntype Impl struct{}\n\n" + assertion + unary + "§\n"),
			inserts: []string{crlf(newImports), crlf(download + rest)},
		},
		{
			name: "names that the file has given to packages",
			source: "package impl\n\nimport (\n\tctx \"context\"\n\tpb \"example.com/cardinalities\"\n\tgg \"github.com/gogreeter/gogreeter/runtime\"§\n)\n\ntype Impl struct{ gg.Options }\n\n" +
				rename(assertion, "cardinalities.", "pb.") + rename(unary, "cardinalities.", "pb.", "context.", "ctx.", "(s ", "(me ") + "§\n",
			inserts: []string{
				"\n\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\"",
				rename(download+rest, "cardinalities.", "pb.", "context.", "ctx.", "(s ", "(me ", "runtime.", "gg."),
			},
		},
		{
			name:   "names that the package has given to other things",
			source: "package impl\n\nimport (\n\t\"context\"\n\t\"example.com/cardinalities\"§\n)\n\ntype Impl struct{}\n\n" + assertion + unary + "§\n",
			other:  "package impl\n\nvar status, runtime = 1, 2\n",
			inserts: []string{
				rename(newImports, "\t\"github", "\truntime1 \"github", "\t\"google.golang.org/grpc/status", "\tstatus1 \"google.golang.org/grpc/status"),
				rename(download+rest, "runtime.", "runtime1.", "status.", "status1."),
			},
		},
		{
			name:    "found by the base that it embeds, in the file with its methods",
			source:  "package impl\n\nimport (\n\t\"context\"\n\t\"example.com/cardinalities\"§\n)\n\n" + unary + "§\n",
			other:   "package impl\n\nimport . \"fmt\"\nimport \"example.com/cardinalities\"\n\nvar _ = Sprint\n\ntype Impl struct{ cardinalities.UnimplementedCardinalitiesServicer }\n",
			inserts: []string{newImports, download + rest},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			module := codegentest.NewModule(t, "example.com")
			dir := filepath.Join(module, "impl")
			codegentest.WriteFile(t, filepath.Join(dir, "impl.go"), strings.ReplaceAll(test.source, "§", ""))
			if test.other != "" {
				codegentest.WriteFile(t, filepath.Join(dir, "zz_other.go"), test.other)
			}
			written, _ := runSkeleton(t, dir)
			want := test.source
			for _, insert := range test.inserts {
				want = strings.Replace(want, "§", insert, 1)
			}
			if len(written) != 1 || written["impl.go"] != want {
				t.Fatalf("written: %v\nwant:\n%s", written, want)
			}
			writeFiles(t, module, messages(t, goldenCase{name: "cardinalities"}.request(t, "")))
			writeFiles(t, module, respond(goldenCase{name: "cardinalities"}.request(t, ""), &bytes.Buffer{}))
			codegentest.Run(t, module, nil, "go", "build", "./...")
			if written, _ := runSkeleton(t, dir); len(written) != 0 {
				t.Errorf("the second run writes %v", written)
			}
		})
	}
}

func TestSkeleton_Reports(t *testing.T) {
	const source = `package impl

import (
	"context"

	pb "example.com/cardinalities"
	"github.com/gogreeter/gogreeter/runtime"
)

type Impl struct{}

var _ pb.CardinalitiesServicer = (*Impl)(nil)

func (i *Impl) Unary(ctx context.Context, request pb.Request) (*pb.Response, error) { return nil, nil }

func (i *Impl) Download(context.Context, *pb.Request, runtime.ResponseStream[pb.Response]) error { return nil }

func (i *Impl) Upload(ctx context.Context, requests runtime.RequestIterator[pb.Request]) (r *pb.Response, err error) { return }

func (i *Impl) Chat(_ context.Context, _ runtime.RequestIterator[pb.Request], _ runtime.ResponseStream[pb.Response]) error { return nil }

func (i *Impl) Gone(ctx context.Context, request *pb.Request) (*pb.Response, error) { return nil, nil }

func (i *Impl) Close() error { return nil }

func (i *Impl) helper(ctx context.Context, request *pb.Request) {}
`
	dir := t.TempDir()
	codegentest.WriteFile(t, filepath.Join(dir, "impl.go"), source)
	written, reports := runSkeleton(t, dir)
	if len(written) != 0 {
		t.Errorf("written: %v", written)
	}
	want := `impl.go:14: Impl.Unary has not the signature of test.v1.Cardinalities.Unary, which is now (ctx context.Context, request *cardinalities.Request) (*cardinalities.Response, error)
impl.go:22: Impl.Gone: the service test.v1.Cardinalities has no such method any more; remove it or make it unexported
`
	if reports != want {
		t.Errorf("reports:\n%swant:\n%s", reports, want)
	}
}

func TestSkeleton_LeavesAlone(t *testing.T) {
	const head = "package impl\n\nimport (\n\t\"context\"\n\n\tpb \"example.com/cardinalities\"\n\t\"github.com/gogreeter/gogreeter/runtime\"\n)\n\n"
	methods := func(typ string) string {
		return strings.ReplaceAll(`
func (*T) Unary(context.Context, *pb.Request) (*pb.Response, error) { return nil, nil }
func (*T) Download(context.Context, *pb.Request, runtime.ResponseStream[pb.Response]) error { return nil }
func (*T) Upload(context.Context, runtime.RequestIterator[pb.Request]) (*pb.Response, error) { return nil, nil }
func (*T) Chat(context.Context, runtime.RequestIterator[pb.Request], runtime.ResponseStream[pb.Response]) error { return nil }
`, "T)", typ+")")
	}
	tests := []struct{ name, source string }{
		{"a wrapper of any servicer", head + "type W struct{ pb.CardinalitiesServicer }\n\nvar _ pb.CardinalitiesServicer = W{}\n\nvar _ = context.Background\nvar _ runtime.Registrar\n"},
		{"a type with a base of the same package", head + "type base struct{}\n" + methods("base") + "\ntype Impl struct{ *base }\n\nvar _ pb.CardinalitiesServicer = new(Impl)\n"},
		{"a second implementation around the first", head + "type A struct{ first *B }\n\nvar _ pb.CardinalitiesServicer = (*A)(nil)\n\ntype B struct{}\n\nvar _ pb.CardinalitiesServicer = (*B)(nil)\n" + methods("B")},
		{"an assertion in a list", head + "type B struct{}\n\nvar (\n\t_ pb.CardinalitiesServicer = &B{}\n)\n" + methods("B")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			codegentest.WriteFile(t, filepath.Join(dir, "impl.go"), test.source)
			if written, reports := runSkeleton(t, dir); len(written) != 0 || reports != "" {
				t.Errorf("written: %v\nreported: %s", written, reports)
			}
		})
	}
}

func TestSkeleton_Errors(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a file that does not parse", map[string]string{"a.go": "package impl\nfunc {"}, "mend this file first"},
		{"both names are taken", map[string]string{"a.go": "package impl\n\ntype Cardinalities, CardinalitiesServicer int\n"}, "mend this file first"},
		{"both names are taken by types", map[string]string{"a.go": "package impl\n\nvar Cardinalities, CardinalitiesServicer int\n"}, "rename=test.v1.Cardinalities:NAME"},
		{
			"both files are there",
			map[string]string{"cardinalities.go": "package impl\n", "cardinalities_servicer.go": "package impl\n"},
			"declare in it which type is the servicer: var _ cardinalities.CardinalitiesServicer = (*YourType)(nil)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range test.files {
				codegentest.WriteFile(t, filepath.Join(dir, name), content)
			}
			written, _ := runSkeleton(t, dir)
			if len(written) != 1 || !strings.Contains(written["error.txt"], test.want) {
				t.Errorf("%v, want an error with %q", written, test.want)
			}
			for name, content := range test.files {
				if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(now) != content {
					t.Errorf("%s has been touched", name)
				}
			}
		})
	}
}

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"Greeter": "greeter", "HTTPGreeter": "http_greeter", "GreeterV1": "greeter_v1", "RouteGuide": "route_guide",
		"A_B": "a_b", "Foo_Linux": "foo_linux_servicer", "MyTest": "my_test_servicer", "Foo_": "foo",
		"Foo_Linux_": "foo_linux_servicer", "FooRiscv": "foo_riscv_servicer", "Windows": "windows", "FooUnix": "foo_unix",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%q) = %q, want %q", name, got, want)
		}
	}
}
