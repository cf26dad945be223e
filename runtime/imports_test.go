package runtime

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSource_ImportsPointDownwards holds the layers: a package below the runtime imports the packages that are listed for it,
// and no other of this module. Nor does it import anything of gRPC's, protobuf's or x/net's, unless that is listed. Package
// h2test is for tests only.
func TestSource_ImportsPointDownwards(t *testing.T) {
	const module, below = "github.com/gogreeter/gogreeter/", "github.com/gogreeter/gogreeter/runtime/internal/"
	allowed := map[string][]string{
		"http2":  {"budget", "buffer", "clock", "fields", "locks", "socket"},
		"fields": {"excerpt", "golang.org/x/net/http2/hpack"},
		"wire": {
			"buffer", "excerpt", "fields", "google.golang.org/grpc/codes", "google.golang.org/grpc/status",
			"google.golang.org/protobuf/proto",
		},
		"budget":   {"locks"},
		"work":     {"buffer", "locks"},
		"buffer":   {"locks"},
		"socket":   {"buffer", "locks"},
		"logtext":  {"excerpt"},
		"ports":    {"logtext", "socket"},
		"h2test":   {"golang.org/x/net/http2", "golang.org/x/net/http2/hpack"},
		"carrier":  {"google.golang.org/grpc/codes", "google.golang.org/grpc/status"},
		"servicer": {"google.golang.org/grpc/peer"},
		"protocol": {"fields", "wire", "google.golang.org/grpc/peer"},
	}
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		in, restricted := strings.CutPrefix(filepath.ToSlash(filepath.Dir(file)), "internal/")
		seen[in] = true
		for _, spec := range source.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			check(t, err)
			listed := slices.ContainsFunc([]string{module, "google.golang.org/", "golang.org/x/net/"}, func(prefix string) bool {
				return strings.HasPrefix(imported, prefix)
			})
			if imported == below+"h2test" || restricted && listed && !slices.Contains(allowed[in], strings.TrimPrefix(imported, below)) {
				t.Errorf("%s imports %s", file, imported)
			}
		}
		return nil
	})
	check(t, err)
	for name := range allowed {
		if !seen[name] {
			t.Errorf("there is no package %s", name)
		}
	}
}
