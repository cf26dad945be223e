package codegen

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// corpusPackages is the Go packages of a request with nothing in them but the names that protoc-gen-go declares. That
// is all that generated code sees of messages, and takes a hundredth of the time that real messages take.
type corpusPackages struct {
	fset        *token.FileSet
	names       map[string]string   // import path -> package name
	source      map[string]string   // import path -> a file that declares what protoc-gen-go does
	messages    map[string][]string // import path -> names of messages
	descriptors map[string][]string // import path -> names of file descriptors

	mu       sync.Mutex // guards what follows
	imported map[string]*types.Package
	compiled types.Importer // of packages that exist
}

func newCorpusPackages(t *testing.T, plugin *protogen.Plugin) *corpusPackages {
	t.Helper()
	p := &corpusPackages{
		fset:        token.NewFileSet(),
		names:       make(map[string]string),
		source:      make(map[string]string),
		messages:    make(map[string][]string),
		descriptors: make(map[string][]string),
		imported:    make(map[string]*types.Package),
	}
	text := make(map[string]*strings.Builder)
	for _, file := range plugin.Files {
		importPath := string(file.GoImportPath)
		p.names[importPath] = string(file.GoPackageName)
		b := text[importPath]
		if b == nil {
			b = &strings.Builder{}
			fmt.Fprintf(b, "package %s\n\nimport \"google.golang.org/protobuf/reflect/protoreflect\"\n\n", file.GoPackageName)
			text[importPath] = b
		}
		forEachPeerName(file, func(name, kind string, descriptor protoreflect.Descriptor) {
			switch {
			case name == "" || kind == "service" || kind == "method" || strings.HasSuffix(name, "_builder"):
			case kind == "file":
				p.descriptors[importPath] = append(p.descriptors[importPath], name)
				fmt.Fprintf(b, "var %s protoreflect.FileDescriptor\n", name)
			case kind == "message":
				p.messages[importPath] = append(p.messages[importPath], name)
				fmt.Fprintf(b, "type %s struct{}\n", name)
			default:
				fmt.Fprintf(b, "var %s int\n", name)
			}
		})
	}
	for importPath, b := range text {
		p.source[importPath] = b.String()
	}
	p.compiled = compiledImporter(t, p.fset)
	return p
}

// compiledImporter imports what generated code imports beside messages, from what the compiler has made of it.
func compiledImporter(t *testing.T, fset *token.FileSet) types.Importer {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export",
		"context", "errors", "iter", "slices", "sync", "google.golang.org/grpc", "google.golang.org/grpc/codes", "google.golang.org/grpc/status",
		"google.golang.org/protobuf/reflect/protoreflect", gofile.RuntimePackage)
	cmd.Dir = codegentest.Root(t)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	exports := make(map[string]string)
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var pkg struct{ ImportPath, Export string }
		if err := decoder.Decode(&pkg); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[pkg.ImportPath] = pkg.Export
	}
	return importer.ForCompiler(fset, "gc", func(importPath string) (io.ReadCloser, error) {
		if exports[importPath] == "" {
			return nil, fmt.Errorf("no such package: %s", importPath)
		}
		return os.Open(exports[importPath])
	})
}

// Import implements types.Importer.
func (p *corpusPackages) Import(importPath string) (*types.Package, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pkg, ok := p.imported[importPath]; ok {
		return pkg, nil
	}
	name, ok := p.names[importPath]
	if !ok {
		return p.compiled.Import(importPath)
	}
	reflection, err := p.compiled.Import("google.golang.org/protobuf/reflect/protoreflect")
	if err != nil {
		return nil, err
	}
	pkg := types.NewPackage(importPath, name)
	for _, message := range p.messages[importPath] {
		object := types.NewTypeName(token.NoPos, pkg, message, nil)
		types.NewNamed(object, types.NewStruct(nil, nil), nil)
		pkg.Scope().Insert(object)
	}
	for _, descriptor := range p.descriptors[importPath] {
		typ := reflection.Scope().Lookup("FileDescriptor").Type()
		pkg.Scope().Insert(types.NewVar(token.NoPos, pkg, descriptor, typ))
	}
	pkg.MarkComplete()
	p.imported[importPath] = pkg
	return pkg, nil
}

// check type-checks files, each package together with the declarations of its messages. The packages in broken may
// fail; that they do is checked, so that the list does not outlive its reason.
func (p *corpusPackages) check(t *testing.T, files []*pluginpb.CodeGeneratorResponse_File, broken map[string]bool) {
	t.Helper()
	packages := make(map[string][]*pluginpb.CodeGeneratorResponse_File)
	for _, file := range files {
		importPath := path.Dir(file.GetName())
		packages[importPath] = append(packages[importPath], file)
	}
	work := make(chan string)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for importPath := range work {
				err := p.checkPackage(importPath, packages[importPath])
				if (err != nil) != broken[importPath] {
					t.Errorf("%s: %v", importPath, err)
				}
			}
		})
	}
	for _, importPath := range slices.Sorted(maps.Keys(packages)) {
		work <- importPath
	}
	close(work)
	wait.Wait()
}

func (p *corpusPackages) checkPackage(importPath string, files []*pluginpb.CodeGeneratorResponse_File) error {
	var parsed []*ast.File
	parse := func(name, content string) error {
		file, err := parser.ParseFile(p.fset, name, content, parser.SkipObjectResolution)
		parsed = append(parsed, file)
		return err
	}
	if source, ok := p.source[importPath]; ok {
		if err := parse(importPath+"/messages.go", source); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := parse(file.GetName(), file.GetContent()); err != nil {
			return err
		}
	}
	config := types.Config{Importer: p}
	_, err := config.Check(importPath, p.fset, parsed, nil)
	return err
}
