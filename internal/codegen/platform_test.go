package codegen

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
)

// TestReportPlatforms generates for .proto files by various names.
func TestReportPlatforms(t *testing.T) {
	for name, want := range map[string]string{
		"dir/x_windows.proto": "dir/x_windows.proto: protoc-gen-go writes its messages to x_windows.pb.go, which Go builds for " +
			"windows only because of its name: elsewhere the code of its services does not compile. Give the .proto file another name\n",
		"x_linux_test.proto": "x_linux_test.proto: protoc-gen-go writes its messages to x_linux_test.pb.go, which Go builds for " +
			"linux only because of its name: elsewhere the code of its services does not compile. Give the .proto file another name\n",
		"windows.proto": "", "x_test.proto": "", "x_windows_.proto": "", "x_unix.proto": "", "xwindows.proto": "",
	} {
		request := goldenCase{name: "cardinalities"}.request(t)
		request.FileToGenerate[0] = name
		request.ProtoFile[len(request.ProtoFile)-1].Name = proto.String(name)
		var reports bytes.Buffer
		if response := respond(request, &reports); response.Error != nil || len(response.File) == 0 {
			t.Fatal(response.GetError())
		}
		if got := reports.String(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
