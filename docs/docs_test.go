// Package docs has no code of its own; its tests build what the documents show.
package docs

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are those whose Go code has to build.
var documents = []string{"../README.md", "coming-from-grpc-python.md", "operation.md"}

// imports are the packages that code in the documents may use without importing them.
var imports = []string{
	"context", "crypto/tls", "errors", "fmt", "io", "log", "log/slog", "net", "net/http", "os", "os/exec", "os/signal", "strings", "sync", "syscall", "testing",
	"testing/synctest", "time", "google.golang.org/grpc/codes", "google.golang.org/grpc/credentials",
	"google.golang.org/grpc/status", "google.golang.org/genproto/googleapis/rpc/errdetails",
	"github.com/gogreeter/gogreeter/example/helloworld", "github.com/gogreeter/gogreeter/runtime",
	"github.com/gogreeter/gogreeter/runtime/authcontext", "github.com/gogreeter/gogreeter/runtime/handover",
	"github.com/gogreeter/gogreeter/runtime/health",
	"github.com/gogreeter/gogreeter/runtime/interceptor", "github.com/gogreeter/gogreeter/runtime/reflection",
	"github.com/gogreeter/gogreeter/runtime/runtimetest",
}

// known are the declarations that such code may take for granted.
var known = map[string]string{
	"ctx":     "var ctx context.Context",
	"server":  "var server *runtime.Server",
	"config":  "var config *tls.Config",
	"request": "var request *helloworld.HelloRequest",
	"greeter": "type greeter struct{ helloworld.UnimplementedGreeterServicer }",
}

// TestGoCode_Builds puts each block of Go code into a package of its own and builds it. A block is a file, or
// declarations, or statements; errors name the line in the document.
func TestGoCode_Builds(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{} // files that are not there, and where their content is
	packages := []string{}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range goBlocks(string(text)) {
			dir := filepath.Join(root, "docs", fmt.Sprintf("%s_%d", strings.TrimSuffix(filepath.Base(document), ".md"), b.line))
			content := filepath.Join(t.TempDir(), "block.go")
			if err := os.WriteFile(content, []byte(b.file(t, document)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay[filepath.Join(dir, "block.go")] = content
			packages = append(packages, dir)
		}
	}
	if len(packages) < 20 {
		t.Errorf("there are only %d blocks of Go code; have they been found?", len(packages))
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlayFile, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-buildvcs=false", "-overlay", overlayFile, "-o", os.DevNull}, packages...)
	if output, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Errorf("go build: %v\n%s", err, output)
	}
}

// block is a block of Go code in a document.
type block struct {
	line int // of its first line, counted from 1
	code string
}

// goBlocks returns the blocks that are fenced as Go code.
func goBlocks(text string) (blocks []block) {
	var current *block
	for i, line := range strings.Split(text, "\n") {
		switch {
		case current == nil && strings.TrimSpace(line) == "```go":
			current = &block{line: i + 2}
		case current != nil && strings.TrimSpace(line) == "```":
			blocks, current = append(blocks, *current), nil
		case current != nil:
			current.code += line + "\n"
		}
	}
	return blocks
}

// file returns the block as a file that can be built.
func (b *block) file(t *testing.T, document string) string {
	t.Helper()
	position := fmt.Sprintf("//line %s:%d\n", document, b.line)
	if strings.HasPrefix(b.code, "package ") {
		return position + b.code
	}
	declarations := b.code
	parsed, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+declarations, parser.SkipObjectResolution)
	if err != nil {
		use := ""
		if strings.Contains(b.code, "server := ") {
			use = "_ = server\n"
		}
		declarations = "func _() error {\n" + position + b.code + "\n" + use + "return nil\n}\n"
		parsed, err = parser.ParseFile(token.NewFileSet(), "", "package p\n"+declarations, parser.SkipObjectResolution)
	} else {
		declarations = position + declarations
	}
	if err != nil {
		t.Errorf("%s:%d: %v", document, b.line, err)
		return "package p\n"
	}
	declared := declaredNames(parsed)
	extra := ""
	for name, declaration := range known {
		if !declared[name] && regexp.MustCompile(`\b`+name+`\b`).MatchString(b.code) {
			extra += declaration + "\n"
		}
	}
	header := "package p\n"
	for _, path := range imports {
		if regexp.MustCompile(`\b` + filepath.Base(path) + `\.`).MatchString(b.code + extra) {
			header += fmt.Sprintf("import %q\n", path)
		}
	}
	return header + extra + declarations
}

// declaredNames returns the names that a file declares at its top level.
func declaredNames(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names[s.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names[name.Name] = true
					}
				}
			}
		}
	}
	return names
}
