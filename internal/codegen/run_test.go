package codegen

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

func TestRun_BrokenPipes(t *testing.T) {
	var stderr bytes.Buffer
	if code := Run(nil, iotest.ErrReader(io.ErrClosedPipe), io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "cannot read the request from stdin") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
	stderr.Reset()
	if code := Run(nil, strings.NewReader(""), brokenWriter{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "cannot write the response to stdout") {
		t.Errorf("exit code %d, stderr %q", code, &stderr)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzRun feeds arbitrary requests to the plugin. Whatever it makes of them, stdout holds a response or nothing.
func FuzzRun(f *testing.F) {
	requests, err := filepath.Glob("testdata/*/request.binpb")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range requests {
		request, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(request) < 2_000 { // The long ones keep the fuzzer from getting anywhere.
			f.Add(request)
		}
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		if mentionsFiles(request) {
			return
		}
		var stdout, stderr bytes.Buffer
		code := Run(nil, bytes.NewReader(request), &stdout, &stderr)
		if (code == 0) != (stderr.Len() == 0) || (code == 0) != (stdout.Len() > 0) {
			t.Errorf("exit code %d, %d bytes on stdout, stderr %q", code, stdout.Len(), &stderr)
		}
		if err := proto.Unmarshal(stdout.Bytes(), &pluginpb.CodeGeneratorResponse{}); err != nil {
			t.Error(err)
		}
	})
}

// mentionsFiles says whether a request might make the plugin read files: those are not the fuzzer's to choose.
func mentionsFiles(request []byte) bool {
	return bytes.Contains(request, []byte("skeleton")) || bytes.Contains(request, []byte("template_dir"))
}
