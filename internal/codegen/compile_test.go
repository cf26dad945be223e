package codegen

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/pluginpb"
)

// TestGoldens_Compile builds and vets what is generated for each case, together with the messages.
func TestGoldens_Compile(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	testGoldensCompile(t)
}

func testGoldensCompile(t *testing.T) {
	dir := newModule(t, "example.com")
	for _, c := range goldenCases(t) {
		// The directory of a file must be that of its import path here.
		var options []string
		for _, option := range c.options {
			if !strings.HasPrefix(option, "paths=") && !strings.HasPrefix(option, "module=") {
				options = append(options, option)
			}
		}
		if options == nil {
			options = []string{""}
		}
		request := c.request(t, options...)
		response := respond(request, io.Discard)
		if response.Error != nil {
			continue
		}
		writeFiles(t, dir, response)
		writeFiles(t, dir, messages(t, request))
	}
	runIn(t, dir, "go", "build", "./...")
	runIn(t, dir, "go", "vet", "./...")
}

// messages generates what protoc-gen-go would.
func messages(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	plugin, err := protogen.Options{ParamFunc: func(name, value string) error { return nil }}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range plugin.Files {
		if file.Generate {
			internal_gengo.GenerateFile(plugin, file)
		}
	}
	plugin.SupportedFeatures = supportedFeatures
	response := plugin.Response()
	if response.Error != nil {
		t.Fatal(response.GetError())
	}
	return response
}

func writeFiles(t *testing.T, dir string, response *pluginpb.CodeGeneratorResponse) {
	t.Helper()
	for _, file := range response.File {
		name := strings.TrimPrefix(file.GetName(), "example.com/")
		if name == file.GetName() {
			t.Fatalf("%s: the test cases belong into example.com", name)
		}
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), file.GetContent())
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// newModule makes a module outside this one, which uses this one as a user's would. It needs no network: what it
// requires is what this one requires, by the same sums.
func newModule(t *testing.T, name string) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Replace(string(mod), "module "+runtimeModule, "module "+name, 1) +
		"\nrequire " + runtimeModule + " v0.0.0\n\nreplace " + runtimeModule + " => " + root + "\n"
	writeFile(t, filepath.Join(dir, "go.mod"), content)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "go.sum"), string(sum))
	return dir
}

// runIn runs a command in a directory, and fails the test if the command does.
func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, output)
	}
	return string(output)
}
