package codegen

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// TestGoldens_Compile builds and vets what is generated for each case, together with the messages.
func TestGoldens_Compile(t *testing.T) {
	testGoldensCompile(t)
}

// TestGoldens_Staticcheck runs staticcheck, at the version in tools/go.mod, on what is generated for each case.
func TestGoldens_Staticcheck(t *testing.T) {
	if !codegentest.RequirePeers() {
		t.Skip("builds staticcheck: set GOGREETER_REQUIRE_PEERS=1 to run this")
	}
	dir := writeGoldens(t)
	staticcheck := codegentest.Tool(t, "staticcheck")
	codegentest.Run(t, dir, nil, staticcheck, "-checks=all,-ST1000,-ST1003,-ST1016", "./...")
}

func testGoldensCompile(t *testing.T) {
	dir := writeGoldens(t)
	codegentest.Run(t, dir, nil, "go", "build", "./...")
	codegentest.Run(t, dir, nil, "go", "vet", "./...")
}

// writeGoldens writes what is generated for each case, and the messages, into a module.
func writeGoldens(t *testing.T) (dir string) {
	t.Helper()
	dir = codegentest.NewModule(t, "example.com")
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
		response := respond(c.request(t, options...), io.Discard)
		if response.Error != nil {
			continue
		}
		writeFiles(t, dir, response)
		writeFiles(t, dir, messages(t, c.request(t, options...)))
	}
	return dir
}

// messages generates what protoc-gen-go would.
func messages(t testing.TB, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
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
		codegentest.WriteFile(t, filepath.Join(dir, filepath.FromSlash(name)), file.GetContent())
	}
}
