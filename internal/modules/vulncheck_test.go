package modules

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// vulnerable is an entry of a vulnerability database, in the Open Source Vulnerability format, about a function of ours
// to call.
const vulnerable = `{
	"schema_version": "1.3.1", "id": "GO-0000-0001", "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
	"details": "made up", "database_specific": {"url": "https://example.com/GO-0000-0001"}, "affected": [{
		"package": {"name": "golang.org/x/net", "ecosystem": "Go"},
		"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
		"ecosystem_specific": {"imports": [{"path": "golang.org/x/net/http2/hpack", "symbols": ["NewDecoder"]}]}
	}]
}`

// TestVulncheck has tools/vulncheck.sh look at a program with databases that have something to say of it, have nothing
// to say, are not there, and cannot be reached: then nothing may look as if it had been checked.
func TestVulncheck(t *testing.T) {
	if !codegentest.RequirePeers() {
		t.Skip("builds govulncheck: set GOGREETER_REQUIRE_PEERS=1 to run this")
	}
	program := codegentest.NewModule(t, "example.com")
	codegentest.WriteFile(t, filepath.Join(program, "main.go"),
		"package main\n\nimport \"golang.org/x/net/http2/hpack\"\n\nfunc main() { hpack.NewDecoder(4096, nil) }\n")
	top := t.TempDir()
	codegentest.WriteFile(t, filepath.Join(top, "bin", "govulncheck"), "#!/bin/sh\nexec "+codegentest.Tool(t, "govulncheck")+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(top, "bin", "govulncheck"), 0o755); err != nil {
		t.Fatal(err)
	}
	bad, good := t.TempDir(), t.TempDir()
	codegentest.WriteFile(t, filepath.Join(bad, "GO-0000-0001.json"), vulnerable)
	codegentest.WriteFile(t, filepath.Join(good, "GO-0000-0001.json"), strings.Replace(vulnerable, "NewDecoder", "NewOther", 1))
	for _, tt := range []struct {
		name, database string
		code           int
		says           string
	}{
		{"Vulnerable", "file://" + bad, 1, "GO-0000-0001"},
		{"Clean", "file://" + good, 0, "No vulnerabilities found."},
		{"Missing", "file://" + filepath.Join(good, "missing"), 1, "missing"},
		{"Unreachable", "http://127.0.0.1:1", 3, "NOT CHECKED for known vulnerabilities"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sh", filepath.Join(codegentest.Root(t), "tools", "vulncheck.sh"), program)
			cmd.Dir = top
			cmd.Env = append(os.Environ(), "GOGREETER_VULNDB="+tt.database, "GOFLAGS=-mod=mod", "GOWORK=off")
			output, err := cmd.CombinedOutput()
			code := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			}
			if code != tt.code || !strings.Contains(string(output), tt.says) {
				t.Errorf("exit code %d, want %d; want %q in\n%s", code, tt.code, tt.says, output)
			}
		})
	}
}
