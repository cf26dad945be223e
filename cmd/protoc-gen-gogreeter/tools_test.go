package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// The module of a user, outside of this repository. Its implementation is written by the skeleton mode.
const (
	userProto = `syntax = "proto3";

package user.greeter;

option go_package = "example.com/user/greeterpb";

// Greets.
service Greeter {
  // Says hello.
  rpc SayHello(HelloRequest) returns (HelloReply);
  rpc Chat(stream HelloRequest) returns (stream HelloReply);
}

message HelloRequest {
  string name = 1;
}

message HelloReply {
  string message = 1;
}
`
	userMain = `package main

import (
	"example.com/user/greeter"
	"example.com/user/greeterpb"
	"github.com/gogreeter/gogreeter/runtime"
)

//go:generate protoc --go_out=. --go_opt=module=example.com/user --gogreeter_out=. --gogreeter_opt=module=example.com/user greeter.proto
//go:generate protoc --gogreeter_out=. --gogreeter_opt=skeleton=greeter greeter.proto

func main() {
	server := runtime.NewServer(runtime.ServerOptions{})
	if err := greeterpb.AddGreeterToServer(&greeter.Greeter{}, server); err != nil {
		panic(err)
	}
}
`
	bufGen = `version: v2
plugins:
  - local: protoc-gen-go
    out: .
    opt: module=example.com/user
  - local: protoc-gen-gogreeter
    out: .
    opt: module=example.com/user
  - local: protoc-gen-gogreeter
    out: .
    strategy: all
    opt: skeleton=greeter
`
)

// newUserModule makes the user's module, and the environment in which its commands find the plugins.
func newUserModule(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = codegentest.NewModule(t, "example.com/user")
	codegentest.WriteFile(t, filepath.Join(dir, "greeter.proto"), userProto)
	codegentest.WriteFile(t, filepath.Join(dir, "main.go"), userMain)
	if err := os.Mkdir(filepath.Join(dir, "greeter"), 0o777); err != nil {
		t.Fatal(err)
	}
	return dir, []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}
}

func needProtoc(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("protoc"); err != nil {
		codegentest.SkipOrFail(t, "protoc is not installed")
	}
}

func TestProtoc(t *testing.T) {
	needProtoc(t)
	dir, env := newUserModule(t)
	codegentest.Run(t, dir, env, "protoc", "--gogreeter_out=.", "--gogreeter_opt=paths=source_relative", "greeter.proto")
	code := codegentest.ReadFile(t, filepath.Join(dir, "greeter_gogreeter.pb.go"))
	if !strings.Contains(code, "type GreeterServicer interface {") {
		t.Error(code)
	}
}

func TestProtoc_ShowsErrors(t *testing.T) {
	needProtoc(t)
	dir, env := newUserModule(t)
	codegentest.WriteFile(t, filepath.Join(dir, "greeter.proto"), strings.Replace(userProto, "rpc Chat", "rpc say_hello", 1))
	cmd := exec.Command("protoc", "--gogreeter_out=.", "greeter.proto")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	output, err := cmd.CombinedOutput()
	want := "--gogreeter_out: greeter.proto:11:3: the method user.greeter.Greeter.say_hello and " +
		"the method user.greeter.Greeter.SayHello (greeter.proto:10:3) both become SayHello in Go"
	if err == nil || !strings.Contains(string(output), want) {
		t.Errorf("%v: %s\nwant %s", err, output, want)
	}
}

// TestProtoc_SkeletonElsewhere has protoc write into another directory than the skeleton's: what a user writes, there or
// here, stays.
func TestProtoc_SkeletonElsewhere(t *testing.T) {
	needProtoc(t)
	dir, env := newUserModule(t)
	const mine = "package internal\n\n// mine\n"
	codegentest.WriteFile(t, filepath.Join(dir, "sk", "internal", "greeter.go"), mine)
	run := func(in string, args ...string) (string, error) {
		cmd := exec.Command("protoc", args...)
		cmd.Dir, cmd.Env = filepath.Join(dir, in), append(os.Environ(), append(env, "GOFLAGS=-mod=mod", "GOWORK=off")...)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	skeleton := []string{"--gogreeter_out=sk/internal", "--gogreeter_opt=skeleton=sk/internal/shop", "greeter.proto"}
	output, err := run("", skeleton...)
	want := "there is no directory " + filepath.Join(dir, "sk", "internal", "shop") + ": DIR is seen from " + dir
	if err == nil || !strings.Contains(output, want) {
		t.Errorf("without the directory: %v: %s\nwant %s", err, output, want)
	}
	written := filepath.Join(dir, "sk", "internal", "shop", "greeter.go")
	if err := os.Mkdir(filepath.Dir(written), 0o777); err != nil {
		t.Fatal(err)
	}
	if output, err := run("", skeleton...); err != nil {
		t.Fatal(output)
	}
	edited := strings.ReplaceAll(codegentest.ReadFile(t, written), "// TODO: implement", "// Mine:")
	codegentest.WriteFile(t, written, edited)
	if output, err := run("", skeleton...); err != nil || output != "" {
		t.Errorf("again: %v: %s", err, output)
	}
	output, err = run("sk", "-I", "..", "--gogreeter_out=internal", "--gogreeter_opt=skeleton=sk/internal/shop", "greeter.proto")
	if err == nil || !strings.Contains(output, "DIR is seen from "+filepath.Join(dir, "sk")) {
		t.Errorf("from another directory: %v: %s", err, output)
	}
	if now := codegentest.ReadFile(t, written); now != edited {
		t.Errorf("the implementation has changed:\n%s", now)
	}
	if now := codegentest.ReadFile(t, filepath.Join(dir, "sk", "internal", "greeter.go")); now != mine {
		t.Errorf("a file of that name in protoc's directory has changed:\n%s", now)
	}
}

// TestGoGenerate generates, builds, and generates again, in a module outside of this repository.
func TestGoGenerate(t *testing.T) {
	needProtoc(t)
	dir, env := newUserModule(t)
	testGenerateAndBuild(t, dir, env, "go", "generate", "./...")
}

func TestBuf(t *testing.T) {
	if !codegentest.RequirePeers() {
		t.Skip("builds buf, which takes minutes the first time: set GOGREETER_REQUIRE_PEERS=1 to run this")
	}
	buf := codegentest.Tool(t, "buf")
	dir, env := newUserModule(t)
	codegentest.WriteFile(t, filepath.Join(dir, "buf.gen.yaml"), bufGen)
	testGenerateAndBuild(t, dir, env, buf, "generate")
}

// TestBuf_Clean has buf delete its output directory before each run, which the skeleton is not in.
func TestBuf_Clean(t *testing.T) {
	if !codegentest.RequirePeers() {
		t.Skip("builds buf, which takes minutes the first time: set GOGREETER_REQUIRE_PEERS=1 to run this")
	}
	buf := codegentest.Tool(t, "buf")
	dir, env := newUserModule(t)
	codegentest.WriteFile(t, filepath.Join(dir, "buf.gen.yaml"), strings.NewReplacer(
		"version: v2\n", "version: v2\nclean: true\n", "out: .\n    opt", "out: gen\n    opt", "out: .\n    strategy", "out: gen\n    strategy",
		"module=example.com/user", "paths=source_relative,Mgreeter.proto=example.com/user/gen",
		"skeleton=greeter", "skeleton=greeter,Mgreeter.proto=example.com/user/gen",
	).Replace(bufGen))
	codegentest.WriteFile(t, filepath.Join(dir, "main.go"),
		strings.Replace(userMain, `"example.com/user/greeterpb"`, `greeterpb "example.com/user/gen"`, 1))
	testGenerateAndBuild(t, dir, env, buf, "generate")
}

// inlineProto is userProto with an option of ours.
func inlineProto() string {
	return strings.NewReplacer(
		"\noption go_package", "\nimport \"gogreeter/options.proto\";\n\noption go_package",
		"SayHello(HelloRequest) returns (HelloReply);",
		"SayHello(HelloRequest) returns (HelloReply) {\n    option (gogreeter.method).executor = INLINE;\n  }",
	).Replace(userProto)
}

// TestProtoc_MethodOption finds options.proto in the module of gogreeter, as docs/generator.md says.
func TestProtoc_MethodOption(t *testing.T) {
	needProtoc(t)
	dir, env := newUserModule(t)
	codegentest.WriteFile(t, filepath.Join(dir, "any.proto"), `syntax = "proto3"; import "google/protobuf/descriptor.proto";`)
	if err := exec.Command("protoc", "-I", dir, "-o", os.DevNull, "any.proto").Run(); err != nil {
		codegentest.SkipOrFail(t, "protoc has no google/protobuf/descriptor.proto, which is part of libprotobuf-dev")
	}
	codegentest.WriteFile(t, filepath.Join(dir, "greeter.proto"), inlineProto())
	codegentest.WriteFile(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \"example.com/user/greeterpb\"\n\n"+
		"//go:generate sh -c \"protoc -I . -I `go list -m -f '{{.Dir}}' github.com/gogreeter/gogreeter`/runtime/options "+
		"--go_out=. --go_opt=module=example.com/user --gogreeter_out=. --gogreeter_opt=module=example.com/user greeter.proto\"\n\n"+
		"func main() {}\n")
	codegentest.Run(t, dir, env, "go", "generate", "./...")
	wantInline(t, dir, env)
}

// TestBuf_MethodOption has a copy of options.proto in the workspace, and the configuration of docs/generator.md, in managed
// mode and without it.
func TestBuf_MethodOption(t *testing.T) {
	if !codegentest.RequirePeers() {
		t.Skip("builds buf, which takes minutes the first time: set GOGREETER_REQUIRE_PEERS=1 to run this")
	}
	buf := codegentest.Tool(t, "buf")
	const options = "gogreeter/options.proto"
	workspace, inputs, _ := strings.Cut(recipe(t, "# buf.yaml\n"), "# buf.gen.yaml, behind its plugins\n")
	plugins, _, _ := strings.Cut(bufGen, "  - local: protoc-gen-gogreeter\n    out: .\n    strategy: all\n")
	for name, more := range map[string]string{"Plain": "", "Managed": recipe(t, "# buf.gen.yaml, in managed mode\n")} {
		t.Run(name, func(t *testing.T) {
			dir, env := newUserModule(t)
			codegentest.WriteFile(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \"example.com/user/greeterpb\"\n\nfunc main() {}\n")
			if err := os.Remove(filepath.Join(dir, "greeter.proto")); err != nil {
				t.Fatal(err)
			}
			// Where managed mode puts the Go package.
			codegentest.WriteFile(t, filepath.Join(dir, "proto", "greeterpb", "greeter.proto"), inlineProto())
			codegentest.WriteFile(t, filepath.Join(dir, "third_party", options),
				codegentest.ReadFile(t, filepath.Join(codegentest.Root(t), "runtime", "options", options)))
			codegentest.WriteFile(t, filepath.Join(dir, "buf.yaml"), workspace)
			codegentest.WriteFile(t, filepath.Join(dir, "buf.gen.yaml"), plugins+inputs+more)
			codegentest.Run(t, dir, env, buf, "generate")
			wantInline(t, dir, env)
		})
	}
}

// recipe returns the block of docs/generator.md that begins with a line.
func recipe(t *testing.T, line string) string {
	t.Helper()
	document := codegentest.ReadFile(t, filepath.Join(codegentest.Root(t), "docs", "generator.md"))
	_, block, ok := strings.Cut(document, "```yaml\n"+line)
	block, _, closed := strings.Cut(block, "```\n")
	if !ok || !closed {
		t.Fatalf("docs/generator.md has no block that begins with %q", line)
	}
	return block
}

func wantInline(t *testing.T, dir string, env []string) {
	t.Helper()
	code := codegentest.ReadFile(t, filepath.Join(dir, "greeterpb", "greeter_gogreeter.pb.go"))
	if !strings.Contains(code, "runtime.UnaryUnary(servicer.SayHello).WithExecutor(runtime.Inline),") {
		t.Error(code)
	}
	codegentest.Run(t, dir, env, "go", "build", "-o", os.DevNull, "./...")
}

func testGenerateAndBuild(t *testing.T, dir string, env []string, command string, args ...string) {
	t.Helper()
	first := codegentest.Run(t, dir, env, command, args...)
	if !strings.Contains(first, "Greeter is a new implementation of user.greeter.Greeter to fill in") {
		t.Errorf("the first run does not report the skeleton: %s", first)
	}
	codegentest.Run(t, dir, env, "go", "build", "-o", os.DevNull, "./...")
	codegentest.Run(t, dir, env, "go", "vet", "./...")

	skeleton := filepath.Join(dir, "greeter", "greeter.go")
	before := codegentest.ReadFile(t, skeleton)
	codegentest.Run(t, dir, env, command, args...)
	if after := codegentest.ReadFile(t, skeleton); after != before {
		t.Errorf("the second run changes the skeleton:\n%s", after)
	}

	grown := strings.Replace(userProto, "  rpc Chat", "  // Says goodbye.\n  rpc SayBye(HelloRequest) returns (HelloReply);\n  rpc Chat", 1)
	codegentest.WriteFile(t, filepath.Join(dir, "greeter.proto"), grown)
	third := codegentest.Run(t, dir, env, command, args...)
	if !strings.Contains(third, "added SayBye to Greeter") {
		t.Errorf("the third run does not report the new method: %s", third)
	}
	after := codegentest.ReadFile(t, skeleton)
	if !strings.HasPrefix(after, strings.TrimSuffix(before, "\n")) || strings.Count(after, "SayBye(") != 1 {
		t.Errorf("the third run does not just add the new method:\n%s", after)
	}
	codegentest.Run(t, dir, env, "go", "build", "-o", os.DevNull, "./...")
}
