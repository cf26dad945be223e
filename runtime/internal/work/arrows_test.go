package work

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// below is what the paths of the runtime's internal packages begin with.
const below = "github.com/gogreeter/gogreeter/runtime/internal/"

// TestArrows checks what the package builds on: the standard library, the order of locks, and the memory that workers lend
// their tasks. It must know nothing of connections, HTTP/2, gRPC, or accounts.
func TestArrows(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		files++
		for _, imported := range file.Imports {
			path, _ := strconv.Unquote(imported.Path.Value)
			if path == "net" || strings.HasPrefix(path, "net/") ||
				strings.Contains(path, ".") && path != below+"buffer" && path != below+"locks" {
				t.Errorf("%s imports %s", entry.Name(), path)
			}
		}
	}
	if files < 4 {
		t.Errorf("only %d files were found", files)
	}
}
