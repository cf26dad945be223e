// Package modules has no code of its own; its tests look after what the modules of this repository require.
package modules

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

const root = "github.com/gogreeter/gogreeter"

// allowed is all that the root module may require, which is what comes into the module graph of every user.
var allowed = []string{
	"github.com/klauspost/compress", // gzip, a third of the time of compress/flate; it requires nothing
	"golang.org/x/net",              // HPACK
	"golang.org/x/sys",
	"golang.org/x/text",                         // for golang.org/x/net
	"google.golang.org/genproto/googleapis/rpc", // for package status of grpc
	"google.golang.org/grpc",                    // codes, metadata, peer, status
	"google.golang.org/protobuf",
}

// shared are the modules of which every module of ours that requires them has the same version. The tools are on their
// own: nothing of them gets into a program of ours.
var shared = []string{
	"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/grpc", "google.golang.org/protobuf",
}

// module is what `go mod edit -json` prints, as far as it matters here.
type module struct {
	dir     string // seen from the top
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
	Tool []struct{ Path string }
}

func modules(t *testing.T) []module {
	t.Helper()
	top := codegentest.Root(t)
	var all []module
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		if entry.Name() != "go.mod" {
			return nil
		}
		output, err := exec.Command("go", "mod", "edit", "-json", path).Output()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		m := module{}
		if err := json.Unmarshal(output, &m); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if m.dir, err = filepath.Rel(top, filepath.Dir(path)); err != nil {
			return err
		}
		m.dir = filepath.ToSlash(m.dir)
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 || all[0].dir == all[1].dir {
		t.Fatalf("found the modules %v", all)
	}
	return all
}

// TestRoot_RequiresLittle bounds what using gogreeter brings along.
func TestRoot_RequiresLittle(t *testing.T) {
	for _, m := range modules(t) {
		if m.Module.Path != root {
			continue
		}
		for _, r := range m.Require {
			if !slices.Contains(allowed, r.Path) {
				t.Errorf("the root module requires %s; what needs it belongs into a module of its own", r.Path)
			}
		}
		if len(m.Replace) > 0 || len(m.Tool) > 0 {
			t.Error("the root module replaces modules, or has tools")
		}
		return
	}
	t.Error("there is no root module")
}

// TestModules_Agree finds modules that would be tested with another version than the root is.
func TestModules_Agree(t *testing.T) {
	versions := make(map[string]module)
	at := make(map[string]string)
	for _, m := range modules(t) {
		if m.dir == "tools" {
			continue
		}
		for _, r := range m.Require {
			if !slices.Contains(shared, r.Path) {
				continue
			}
			if first, ok := versions[r.Path]; ok && at[r.Path] != r.Version {
				t.Errorf("%s: %s requires %s, and %s requires %s", r.Path, m.dir, r.Version, first.dir, at[r.Path])
			}
			versions[r.Path], at[r.Path] = m, r.Version
		}
	}
	if len(versions) != len(shared) {
		t.Errorf("found the versions %v of %v", at, shared)
	}
}

// published are the modules that others require: a replace would not hold for those.
var published = []string{root, root + "/runtime/interceptor/validate"}

// TestModules_AreInTheWorkspace has go.work bring together the modules that see each other as they are here, and modules that
// are apart replace the root.
func TestModules_AreInTheWorkspace(t *testing.T) {
	output, err := exec.Command("go", "work", "edit", "-json", filepath.Join(codegentest.Root(t), "go.work")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var workspace struct {
		Use     []struct{ DiskPath string }
		Replace []any
	}
	if err := json.Unmarshal(output, &workspace); err != nil || len(workspace.Replace) > 0 {
		t.Fatalf("go.work replaces %v, %v", workspace.Replace, err)
	}
	used := make(map[string]bool)
	for _, use := range workspace.Use {
		used[strings.TrimPrefix(use.DiskPath, "./")] = true
	}
	found := 0
	for _, m := range modules(t) {
		if apart := m.dir == "tools" || m.dir == "interop"; used[m.dir] == apart {
			t.Errorf("is %s in go.work? %v", m.dir, used[m.dir])
		}
		if slices.Contains(published, m.Module.Path) {
			found++
			if len(m.Replace) > 0 {
				t.Errorf("%s is published, and replaces %v", m.dir, m.Replace)
			}
		}
	}
	if found != len(published) {
		t.Errorf("found %d of the published modules %v", found, published)
	}
}

// TestModules_ReplaceOurselvesOnly has each module use the root that lies above it, and nothing else that has no
// version.
func TestModules_ReplaceOurselvesOnly(t *testing.T) {
	for _, m := range modules(t) {
		up := strings.Repeat("../", strings.Count(m.dir, "/")+1)
		for _, r := range m.Replace {
			if !strings.HasPrefix(r.Old.Path, root) || r.New.Version != "" || !strings.HasPrefix(r.New.Path+"/", up) {
				t.Errorf("%s replaces %s by %s %s", m.dir, r.Old.Path, r.New.Path, r.New.Version)
			}
		}
	}
}

// TestModules_AreTested has the Makefile know all modules.
func TestModules_AreTested(t *testing.T) {
	makefile := codegentest.ReadFile(t, filepath.Join(codegentest.Root(t), "Makefile"))
	list := regexp.MustCompile(`(?m)^MODULES := (.*)$`).FindStringSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile has no MODULES")
	}
	listed := append(strings.Fields(list[1]), "tools")
	for _, m := range modules(t) {
		if !slices.Contains(listed, m.dir) {
			t.Errorf("the Makefile does not test %s", m.dir)
		}
	}
}

// TestTools_ArePinned has what is run, in make and in CI, come from tools/go.mod, and the images of containers have a tag.
func TestTools_ArePinned(t *testing.T) {
	top := codegentest.Root(t)
	var tools []string
	for _, m := range modules(t) {
		if m.dir == "tools" {
			for _, tool := range m.Tool {
				tools = append(tools, tool.Path)
			}
		}
	}
	unpinned := regexp.MustCompile(`go (install|run|get)\b.*@|npx |pip3? install|curl |wget |^FROM(?: --\S+)* [^:]+$`)
	files := []string{"Makefile", ".ci/run", "Dockerfile", "buf.gen.yaml", "example/demo.sh"}
	scripts, err := filepath.Glob(filepath.Join(top, "tools", "*.sh"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("tools has the scripts %v, %v", scripts, err)
	}
	for _, script := range scripts {
		files = append(files, "tools/"+filepath.Base(script))
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for number, line := range strings.Split(string(text), "\n") {
			if unpinned.MatchString(line) && line != "FROM scratch" {
				t.Errorf("%s:%d: no version is pinned by %q", file, number+1, line)
			}
			if _, built, ok := strings.Cut(line, "$(TOOLS) "); ok && file == "Makefile" {
				if fields := strings.Fields(strings.ReplaceAll(built, "-v ", "")); !slices.Contains(tools, fields[0]) {
					t.Errorf("%s:%d: %s is no tool of tools/go.mod", file, number+1, fields[0])
				}
			}
		}
	}
}
