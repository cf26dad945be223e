package conformance

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

var update = flag.Bool("update", false, "write conformancepb anew")

const (
	protos     = "connectrpc/conformance/v1/"
	importPath = "github.com/gogreeter/gogreeter/interop/conformance/conformancepb"
)

// files are those .proto files of the suite that a server under test needs.
var files = []string{protos + "config.proto", protos + "server_compat.proto", protos + "service.proto"}

// TestGenerated_IsWhatThePluginWrites compares conformancepb with what is generated now.
func TestGenerated_IsWhatThePluginWrites(t *testing.T) {
	into := "conformancepb"
	if !*update {
		into = t.TempDir()
	}
	generate(t, into)
	if *update {
		return
	}
	have, want := contents(t, "conformancepb"), contents(t, into)
	if len(want) != len(files)+1 {
		t.Errorf("%d files were generated, want %d", len(want), len(files)+1)
	}
	for name := range want {
		if have[name] != want[name] {
			t.Errorf("%s is not what is generated now; run go test ./conformance -run Generated -update", name)
		}
	}
}

// generate runs protoc-gen-go and protoc-gen-gogreeter on the .proto files in the suite's module.
func generate(t *testing.T, into string) {
	t.Helper()
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		peer.Missing(t, "protoc", "on Debian: apt-get install protobuf-compiler")
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "connectrpc.com/conformance").Output()
	if err != nil {
		t.Fatalf("where is connectrpc.com/conformance: %v", err)
	}
	options := "module=" + importPath
	for _, file := range files {
		options += ",M" + file + "=" + importPath
	}
	arguments := []string{
		"-I", filepath.Join(strings.TrimSpace(string(module)), "proto"),
		"--plugin=" + peer.Build(t, ".", "google.golang.org/protobuf/cmd/protoc-gen-go"),
		"--plugin=" + peer.Build(t, "../../cmd/protoc-gen-gogreeter"),
		"--go_out=" + into, "--go_opt=" + options, "--gogreeter_out=" + into, "--gogreeter_opt=" + options,
	}
	if output, err := exec.Command(protoc, append(arguments, files...)...).CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, output)
	}
}

// protocVersion is the line that depends on which protoc is installed.
var protocVersion = regexp.MustCompile(`(?m)^// \tprotoc .*\n`)

// contents returns the files of a directory, by name.
func contents(t *testing.T, directory string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = string(protocVersion.ReplaceAll(bytes.TrimSpace(text), nil))
	}
	return all
}
