package modules

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// suites are the targets of the Makefile that run a package of tests by tools/suite.sh, with its directory.
var suites = map[string]string{
	"parity":      "interop/parity",
	"h2spec":      "interop/h2spec",
	"conformance": "interop/conformance",
	"interop":     "interop/grpcinterop",
	"restarts":    "interop/restarts",
	"faults":      "interop/faults",
	"attacks":     "runtime/internal/attack",
}

const (
	generated = "example/helloworld/helloworld_gogreeter.pb.go"
	small     = "runtime/interceptor/validate" // a module that is quick to build
)

var damage = flag.Bool("damage", false, "damage copies of the tree, and have the checks fail on them")

// TestChecks_Fail damages a copy of the tree, in each way that a check is there for, and runs the check: it has to fail,
// and say why. A check that passes whatever the tree is like is worse than none.
func TestChecks_Fail(t *testing.T) {
	top := newCopy(t)
	type testCase struct {
		name   string
		damage func(c *treeCopy)
		run    string // arguments of make, or a program
		says   string // the reason; empty: it has to pass
	}
	tests := []testCase{
		{"Generated", func(c *treeCopy) {}, "demo checkgenerate", ""},
		{"StaleGenerated", func(c *treeCopy) { c.write(generated, c.read(generated)+"\n// stale\n") }, ".ci/run", generated + " is not what is generated now"},
		{"StaleGenerated_BehindDemo", func(c *treeCopy) { c.write(generated, c.read(generated)+"\n// stale\n") }, "demo checkgenerate", generated + " is not what is generated now"},
		{"CheckThatMends", func(c *treeCopy) { c.write("tools/checkgenerate.sh", "echo >>README.md\n") }, ".ci/run", "make checkgenerate has changed the tree"},
		{"MissingGenerated", func(c *treeCopy) { c.remove(generated) }, "checkgenerate", generated + " is missing"},
		{"FormerlyGenerated", func(c *treeCopy) { c.write("example/helloworld/old.pb.go", "package helloworld\n") }, "checkgenerate", "old.pb.go is generated no more"},
		{"NothingGenerated", func(c *treeCopy) {
			c.write("buf.gen.yaml", "version: v2\nplugins: [{local: [\"sh\", \"-c\", \"cat >/dev/null\"], out: .}]\n")
		}, "checkgenerate", "nothing was generated"},

		{"Compatible", func(c *treeCopy) {}, "breaking", ""},
		{"Breaking", func(c *treeCopy) {
			const file = "runtime/options/gogreeter/options.proto"
			c.write(file, strings.Replace(c.read(file), "executor = 1;", "executor = 7;", 1))
		}, "breaking", `Previously present field "1"`},
		{"Breaking_NothingPromised", func(c *treeCopy) { c.remove("tools/promised/gogreeter/options.proto") }, "breaking", "had no .proto files"},

		{"TestDoesNotCompile", func(c *treeCopy) { c.write(small+"/broken_test.go", "package validate\n\nvar x int = \"\"\n") }, "test MODULES=" + small, "broken_test.go:3"},
		{"TestFails", func(c *treeCopy) {
			c.write(small+"/fails_test.go", "package validate\n\nimport \"testing\"\n\nfunc TestFails(t *testing.T) { t.Fail() }\n")
		}, "test MODULES=" + small, "--- FAIL: TestFails"},
		{"NoPackages", func(c *treeCopy) {}, "test MODULES=docs/plots", "no packages"},

		{"Fuzzed", func(c *treeCopy) {}, "fuzz T=5x FUZZ=./runtime/internal/excerpt/...", ""},
		{"FuzzFails", func(c *treeCopy) {
			c.write("docs/fuzz_test.go", "package docs\n\nimport \"testing\"\n\nfunc FuzzFails(f *testing.F) { f.Fuzz(func(t *testing.T, _ []byte) { t.Error(\"found\") }) }\n")
		}, "fuzz T=5x FUZZ=./docs", "--- FAIL: FuzzFails"},
		{"FuzzDoesNotCompile", func(c *treeCopy) { c.write("docs/broken_test.go", "package docs\n\nvar x int = \"\"\n") }, "fuzz T=5x FUZZ=./docs", "broken_test.go:3"},
		{"FuzzListFails", func(c *treeCopy) { c.write("docs/other.go", "package other\n") }, "fuzz T=5x", "found packages"},
		{"NoFuzzTarget", func(c *treeCopy) {}, "fuzz T=5x FUZZ=./docs", "there is no fuzz target"},

		{"Lint_InAPathWithASpace", func(c *treeCopy) {}, "lint MODULES=" + small, ""},
		{"Unformatted", func(c *treeCopy) { c.write(small+"/x.go", "package validate\n\n\n\nvar  x = 1\n") }, "lint MODULES=", "run gofumpt on:"},
		{"Staticcheck", func(c *treeCopy) { c.write(small+"/x.go", "package validate\n\nfunc unused() {}\n") }, "lint MODULES=" + small, "U1000"},
		{"Platforms", func(c *treeCopy) { c.write("docs/only_plan9.go", "package docs\n\nvar x int = \"\"\n") }, "platforms PLATFORMS=plan9/amd64", "only_plan9.go:3"},
		{"NoModules", func(c *treeCopy) { c.remove("go.mod") }, "checkmodules MODULES=.", "go.mod"},

		{"LocksOutOfOrder", func(c *treeCopy) {
			const file, outer, inner = "runtime/deadlines.go", "d.looking.Lock()\n\tdefer d.looking.Unlock()\n", "d.mu.Lock()\n\tdefer d.mu.Unlock()\n"
			c.write(file, strings.Replace(c.read(file), outer+"\t"+inner, inner+"\t"+outer, 1))
		}, "lockorder ONLY=^TestDeadlines", "holds locks.Alone takes locks.Long"},

		{"SuiteDoesNotCompile", func(c *treeCopy) { c.write("interop/faults/broken_test.go", "package faults\n\nvar x int = \"\"\n") }, "faults", "broken_test.go:3"},
		{"SuiteWithoutTestFiles", func(c *treeCopy) { c.removeTests("interop/restarts") }, "restarts", "FAIL: no test has run"},
		{"SuiteThatIsSkipped", func(c *treeCopy) {
			c.removeTests("interop/restarts")
			c.write("interop/restarts/x_test.go", "package restarts\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Skip() }\n")
		}, "restarts", "FAIL: no test of"},
		{"SuiteFails", func(c *treeCopy) {
			c.removeTests("interop/restarts")
			c.write("interop/restarts/x_test.go", "package restarts\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\nfunc TestY(t *testing.T) { t.Fail() }\n")
		}, "restarts", "--- FAIL: TestY"},
		{"SuiteEndsEarly", func(c *treeCopy) {
			c.removeTests("interop/restarts")
			c.write("interop/restarts/x_test.go", "package restarts\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestX(t *testing.T) { os.Exit(0) }\n")
		}, "restarts", "FAIL"},
	}
	for target, dir := range suites {
		tests = append(tests, testCase{"EmptySuite_" + target, func(c *treeCopy) {
			c.removeTests(dir)
			flags := "\n\nimport \"flag\"\n\nvar _, _ = flag.String(\"kinds\", \"\", \"\"), flag.String(\"search\", \"\", \"\")\n" // of make attacks
			c.write(dir+"/x_test.go", "package "+filepath.Base(dir)+flags)
		}, target, "FAIL: no test of"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &treeCopy{t, top}
			defer c.restore()
			tt.damage(c)
			output, code := c.run(tt.run)
			switch {
			case tt.says == "" && code != 0:
				t.Errorf("exit code %d on a tree that is as it should be:\n%s", code, output)
			case tt.says != "" && code == 0:
				t.Errorf("it has passed:\n%s", output)
			case !strings.Contains(output, tt.says):
				t.Errorf("it has failed, and does not say %q:\n%s", tt.says, output)
			}
		})
	}
}

// treeCopy is a copy of the tree to damage.
type treeCopy struct {
	*testing.T
	top string
}

// newCopy copies the tree as it is, committed or not, into a repository of its own in a path with a space.
func newCopy(t *testing.T) (top string) {
	t.Helper()
	if !*damage {
		t.Skip("builds much: make checkchecks runs this")
	}
	root := codegentest.Root(t)
	top = filepath.Join(t.TempDir(), "a copy")
	for _, file := range strings.Split(git(t, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, file))
		if file == "" || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		codegentest.WriteFile(t, filepath.Join(top, file), string(content))
	}
	for _, tool := range []string{"buf", "gofumpt", "staticcheck"} {
		program(t, filepath.Join(top, "bin", tool), "exec '"+codegentest.Tool(t, tool)+"' \"$@\"")
	}
	program(t, filepath.Join(top, "bin", "stubs", "apt-get"), "exit 0") // for .ci/run: it is not the peers that are tested
	git(t, top, "init", "-q")
	git(t, top, "add", "-A")
	git(t, top, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "the tree")
	return top
}

func program(t *testing.T, path, script string) {
	t.Helper()
	codegentest.WriteFile(t, path, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "safe.directory=*"}, args...)...)
	cmd.Dir = dir
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return string(output)
}

func (c *treeCopy) read(file string) string {
	c.Helper()
	return codegentest.ReadFile(c.T, filepath.Join(c.top, file))
}

func (c *treeCopy) write(file, content string) {
	c.Helper()
	codegentest.WriteFile(c.T, filepath.Join(c.top, file), content)
}

func (c *treeCopy) remove(file string) {
	c.Helper()
	if err := os.Remove(filepath.Join(c.top, file)); err != nil {
		c.Fatal(err)
	}
}

func (c *treeCopy) removeTests(dir string) {
	c.Helper()
	files, err := filepath.Glob(filepath.Join(c.top, dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		c.Fatalf("%s has no tests to remove: %v", dir, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *treeCopy) restore() {
	git(c.T, c.top, "reset", "-q", "--hard")
	git(c.T, c.top, "clean", "-q", "-f", "-d")
}

// run runs make, or a program of the tree.
func (c *treeCopy) run(command string) (output string, code int) {
	c.Helper()
	args := append([]string{"make"}, strings.Fields(command)...)
	if strings.HasPrefix(command, ".") {
		args = []string{"bash", command}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = c.top
	environment := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return regexp.MustCompile(`^(MAKEFLAGS|MFLAGS|MAKELEVEL|T|FUZZ|GOFLAGS|GOGREETER_\w+)=`).MatchString(entry)
	})
	cmd.Env = append(environment, "GOWORK=", // that of the copy
		"PATH="+filepath.Join(c.top, "bin", "stubs")+string(os.PathListSeparator)+os.Getenv("PATH"))
	combined, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.Fatal(err)
	}
	return string(combined), cmd.ProcessState.ExitCode()
}

// TestCI_RunsEveryCheck has .ci/run call each suite, and each target that CONTRIBUTING.md has a developer call before a
// commit, or that nothing else runs.
func TestCI_RunsEveryCheck(t *testing.T) {
	top := codegentest.Root(t)
	ci := codegentest.ReadFile(t, filepath.Join(top, ".ci", "run"))
	makefile := codegentest.ReadFile(t, filepath.Join(top, "Makefile"))
	separate := regexp.MustCompile(`(?m)^SUITES := /interop/\((.*)\)`).FindStringSubmatch(makefile)
	if separate == nil {
		t.Fatal("the Makefile has no SUITES")
	}
	targets := []string{
		"checkgenerate", "breaking", "lint-proto", "checkmodules", "demo", "test", "lint", "platforms", "lockorder", "fuzz", "soak", "vulncheck",
		"checkchecks",
	}
	for _, dir := range strings.Split(separate[1], "|") {
		target := ""
		for name, of := range suites {
			if of == "interop/"+dir {
				target = name
			}
		}
		if target == "" {
			t.Errorf("make test leaves interop/%s out, and no target runs it", dir)
		}
		targets = append(targets, target)
	}
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^(for target in|check|sh tools/|\twith_git=).*\b` + target + `\b`).MatchString(ci) {
			t.Errorf(".ci/run does not run make %s", target)
		}
		if !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("there is no target %s", target)
		}
	}
}
