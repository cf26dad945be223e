package codegen

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"go/format"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
)

// corpusVariable names a file with a CodeGeneratorRequest in it, compressed with gzip if its name ends in .gz: the more
// .proto files of other people, the better.
const corpusVariable = "GOGREETER_CORPUS"

// brokenPackages are those whose messages alone are no Go code: protoc-gen-go declares a name twice in them.
var brokenPackages = map[string]bool{
	"cloud.google.com/go/containeranalysis/apiv1beta1/containeranalysispb": true,
}

// raceEnabled says whether the race detector is on.
var raceEnabled bool

// withoutRaceDetector runs the test in another process if the race detector is on: with it, the corpus takes ten times
// as long and as much memory, and finds no more than the goldens do. It says whether it did.
func withoutRaceDetector(t *testing.T) bool {
	t.Helper()
	if !raceEnabled || os.Getenv(corpusVariable) == "" {
		return false
	}
	t.Log(codegentest.Run(t, ".", []string{"GOFLAGS="}, "go", "test", "-v", "-run", "^"+t.Name()+"$", "."))
	return true
}

func readCorpus(t *testing.T) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	path := os.Getenv(corpusVariable)
	if path == "" {
		t.Skipf("%s names no file with a CodeGeneratorRequest", corpusVariable)
	}
	file, err := os.Open(path)
	if err != nil {
		codegentest.SkipOrFail(t, fmt.Sprintf("%s: %v", corpusVariable, err))
	}
	defer file.Close()
	var reader io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if reader, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(content, request); err != nil {
		t.Fatal(err)
	}
	return request
}

// TestCorpus generates for every file of the corpus: all of it is formatted and type-checks, alone and beside what
// protoc-gen-go-grpc generates.
func TestCorpus(t *testing.T) {
	if withoutRaceDetector(t) {
		return
	}
	request := readCorpus(t)
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	packages := newCorpusPackages(t, plugin)
	tests := []struct {
		name, parameter string
		withGRPC        bool
	}{
		{"with fakes", "parts=servicers+registrars+fakes", false},
		{"embedding required", "parts=servicers+registrars+fakes,require_embedding=true", false},
		{"in packages of their own", "parts=servicers+registrars+fakes,package_suffix=rpc", false},
		{"beside grpc-go", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request.Parameter = proto.String(test.parameter)
			response := respond(request, io.Discard)
			if response.Error != nil {
				t.Fatal(response.GetError())
			}
			checkFormat(t, response.File)
			files := response.File
			if test.withGRPC {
				files = append(files, generateGRPC(t, request)...)
			}
			packages.check(t, files, brokenPackages)
			t.Logf("%d files", len(response.File))
		})
	}
}

// TestCorpus_SameBytes_WhateverTheOrder generates for the corpus twice, the second time in another order.
func TestCorpus_SameBytes_WhateverTheOrder(t *testing.T) {
	if withoutRaceDetector(t) {
		return
	}
	request := readCorpus(t)
	first := marshal(t, respond(request, io.Discard))
	rand.Shuffle(len(request.FileToGenerate), func(i, j int) {
		request.FileToGenerate[i], request.FileToGenerate[j] = request.FileToGenerate[j], request.FileToGenerate[i]
	})
	if second := marshal(t, respond(request, io.Discard)); !bytes.Equal(first, second) {
		t.Error("the second response is another one")
	}
}

// checkFormat finds files that gofmt would change.
func checkFormat(t *testing.T, files []*pluginpb.CodeGeneratorResponse_File) {
	t.Helper()
	var wait sync.WaitGroup
	for part := range 4 {
		wait.Go(func() {
			for i := part; i < len(files); i += 4 {
				content := []byte(files[i].GetContent())
				formatted, err := format.Source(content)
				if err != nil || !bytes.Equal(formatted, content) {
					t.Errorf("%s is not formatted: %v", files[i].GetName(), err)
				}
			}
		})
	}
	wait.Wait()
}

// generateGRPC runs protoc-gen-go-grpc, at the version in tools/go.mod.
func generateGRPC(t *testing.T, request *pluginpb.CodeGeneratorRequest) []*pluginpb.CodeGeneratorResponse_File {
	t.Helper()
	cmd := exec.Command(codegentest.Tool(t, "protoc-gen-go-grpc"))
	cmd.Stdin = bytes.NewReader(marshalRequest(t, request))
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("protoc-gen-go-grpc: %v", err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil || response.Error != nil {
		t.Fatal(err, response.GetError())
	}
	return response.File
}

func marshalRequest(t *testing.T, request *pluginpb.CodeGeneratorRequest) []byte {
	t.Helper()
	content, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
