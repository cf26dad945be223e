// Package codegentest holds what the tests of the generator share: modules outside this one, and the tools of others.
package codegentest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/gogreeter/gogreeter"

// RequirePeers says whether a test has to fail, rather than be skipped, when what it needs is not installed.
func RequirePeers() bool { return os.Getenv("GOGREETER_REQUIRE_PEERS") == "1" }

// SkipOrFail ends a test that lacks something: it is skipped, or fails if GOGREETER_REQUIRE_PEERS=1.
func SkipOrFail(t testing.TB, reason string) {
	t.Helper()
	if RequirePeers() {
		t.Fatal(reason)
	}
	t.Skip(reason + " (GOGREETER_REQUIRE_PEERS=1 makes this a failure)")
}

// Root returns the top directory of this repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module "+module+"\n") {
			return dir
		}
	}
	t.Fatal("there is no go.mod of " + module + " above the working directory")
	return ""
}

// NewModule makes a module outside this one, which uses this one as a user's does. It needs no network: what it
// requires is what this one requires, by the same sums.
func NewModule(t testing.TB, name string) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	root := Root(t)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	content := strings.Replace(string(mod), "module "+module, "module "+name, 1) +
		"\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + root + "\n"
	WriteFile(t, filepath.Join(dir, "go.mod"), content)
	WriteFile(t, filepath.Join(dir, "go.sum"), string(sum))
	return dir
}

// WriteFile writes a file, and the directories above it.
func WriteFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// ReadFile reads a file.
func ReadFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Run runs a command in a directory, outside of any workspace, with more environment. The test fails if the command
// does.
func Run(t testing.TB, dir string, env []string, name string, args ...string) (output string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off"), env...)
	combined, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, combined)
	}
	return string(combined)
}

// Tool builds a tool at the version in tools/go.mod, and returns the path of the program.
func Tool(t testing.TB, name string) (path string) {
	t.Helper()
	output := Run(t, Root(t), []string{"GOFLAGS="}, "go", "tool", "-modfile=tools/go.mod", "-n", name)
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return lines[len(lines)-1]
}
