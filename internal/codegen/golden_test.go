package codegen

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "compile the .proto files in testdata again, and write what is generated as what is expected")

// goldenCase is a directory in testdata. It holds .proto files; the request that they compile to, request.binpb; the
// options, one to a line, in options.txt; and in want/ either the files that must come out, or error.txt.
type goldenCase struct {
	name    string
	options []string
}

func (c goldenCase) dir() string { return filepath.Join("testdata", c.name) }

func goldenCases(t *testing.T) []goldenCase {
	t.Helper()
	dirs, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, dir := range dirs {
		if dir.Name() == "fuzz" || dir.Name() == "skeleton" {
			continue // the go command's: what fuzzing has found; and the cases of TestSkeletonCorpus
		}
		options, err := os.ReadFile(filepath.Join("testdata", dir.Name(), "options.txt"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		cases = append(cases, goldenCase{dir.Name(), strings.Fields(string(options))})
	}
	return cases
}

// request returns the case's request, with other options than its own if there are any.
func (c goldenCase) request(t *testing.T, options ...string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir(), "request.binpb"))
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(content, request); err != nil {
		t.Fatal(err)
	}
	if options == nil {
		options = c.options
	}
	request.Parameter = proto.String(strings.Join(options, ","))
	return request
}

// want returns the expected files by name. A name ends in .golden on disk, so that no tool takes it for a Go file.
func (c goldenCase) want(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	root := filepath.Join(c.dir(), "want")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		files[strings.TrimSuffix(filepath.ToSlash(name), ".golden")] = string(content)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

func TestGoldens(t *testing.T) {
	if *update {
		updateGoldens(t)
	}
	for _, c := range goldenCases(t) {
		t.Run(c.name, func(t *testing.T) {
			want := c.want(t)
			got := filesOf(respond(c.request(t), io.Discard))
			for name := range want {
				if _, ok := got[name]; !ok {
					t.Errorf("%s has not been generated", name)
				}
			}
			for name, content := range got {
				if strings.HasSuffix(name, "_gogreeter.pb.go") || strings.HasSuffix(name, "_gogreeter_fake.pb.go") {
					if !strings.Contains(content, ".GeneratedCodeVersion2\n") {
						t.Errorf("%s compiles with a runtime that is too old for it", name)
					}
				}
				if strings.Contains("\n"+content, "\n//go:build") {
					t.Errorf("%s has a build constraint", name)
				}
				if content != want[name] {
					t.Errorf("%s is not as expected (go test -update rewrites what is expected):\n%s", name, firstDifference(want[name], content))
				}
			}
		})
	}
}

// filesOf returns what a response holds, by name; an error counts as a file.
func filesOf(response *pluginpb.CodeGeneratorResponse) map[string]string {
	files := make(map[string]string)
	if response.Error != nil {
		files["error.txt"] = response.GetError() + "\n"
	}
	for _, file := range response.File {
		files[file.GetName()] = file.GetContent()
	}
	return files
}

func firstDifference(want, got string) string {
	wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; i < max(len(wantLines), len(gotLines)); i++ {
		var w, g string
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if w != g {
			return "- " + w + "\n+ " + g
		}
	}
	return ""
}

// TestGenerate_SameBytes_WhateverTheOrder generates each case several times, with the files in another order each time.
func TestGenerate_SameBytes_WhateverTheOrder(t *testing.T) {
	for _, c := range goldenCases(t) {
		request := c.request(t)
		want := marshal(t, respond(request, io.Discard))
		for range 5 {
			rand.Shuffle(len(request.FileToGenerate), func(i, j int) {
				request.FileToGenerate[i], request.FileToGenerate[j] = request.FileToGenerate[j], request.FileToGenerate[i]
			})
			if got := marshal(t, respond(request, io.Discard)); !bytes.Equal(got, want) {
				t.Errorf("%s: the order %v gives another response", c.name, request.FileToGenerate)
			}
		}
	}
}

func marshal(t *testing.T, response *pluginpb.CodeGeneratorResponse) []byte {
	t.Helper()
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// updateGoldens compiles the .proto files with buf, and saves what comes out if it compiles.
func updateGoldens(t *testing.T) {
	for _, c := range goldenCases(t) {
		compileProtos(t, c)
	}
	testGoldensCompile(t) // What does not compile is not saved: the goldens stay as they are.
	if t.Failed() {
		t.FailNow()
	}
	for _, c := range goldenCases(t) {
		root := filepath.Join(c.dir(), "want")
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
		for name, content := range filesOf(respond(c.request(t), io.Discard)) {
			if strings.HasSuffix(name, ".go") {
				name += ".golden"
			}
			path := filepath.Join(root, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func compileProtos(t *testing.T, c goldenCase) {
	t.Helper()
	target := filepath.Join(c.dir(), "request.binpb")
	if !isOlder(target, c.dir()) {
		return
	}
	// In a workspace of the case and of our own options, which it may import.
	dir := path.Join("internal/codegen", filepath.ToSlash(c.dir()))
	config := fmt.Sprintf(`{"version": "v2", "modules": [{"path": %q}, {"path": "runtime/options"}]}`, dir)
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "buf", "build", dir, "--config", config,
		"--as-file-descriptor-set", "-o", "-")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOWORK=off") // with which there is no -modfile
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %v", c.name, cmd, err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(output, set); err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{ProtoFile: set.File}
	for _, file := range set.File {
		if !strings.HasPrefix(file.GetName(), "google/") && !strings.HasPrefix(file.GetName(), "gogreeter/") {
			request.FileToGenerate = append(request.FileToGenerate, file.GetName())
		}
	}
	slices.Sort(request.FileToGenerate)
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// isOlder says whether a file is older than some .proto file in a directory, or is not there at all.
func isOlder(target, dir string) bool {
	info, err := os.Stat(target)
	if err != nil {
		return true
	}
	older := false
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".proto") {
			if source, err := entry.Info(); err == nil && source.ModTime().After(info.ModTime()) {
				older = true
			}
		}
		return nil
	})
	return older
}
