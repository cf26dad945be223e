package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// bin is a directory with the plugin, and with protoc-gen-go beside it.
var bin string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "gogreeter"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", bin, ".", "google.golang.org/protobuf/cmd/protoc-gen-go")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, output)
		return 1
	}
	return m.Run()
}

// run runs the plugin.
func run(stdin []byte, args ...string) (stdout, stderr string, exitCode int) {
	cmd := exec.Command(filepath.Join(bin, "protoc-gen-gogreeter"), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// request is a request for a service that needs no import.
func request(parameter string) []byte {
	file := &descriptorpb.FileDescriptorProto{
		Name:    proto.String("greeter.proto"),
		Package: proto.String("test"),
		Syntax:  proto.String("proto3"),
		Options: &descriptorpb.FileOptions{GoPackage: proto.String("example.com/greeter")},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Message"),
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Greeter"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name:       proto.String("SayHello"),
				InputType:  proto.String(".test.Message"),
				OutputType: proto.String(".test.Message"),
			}},
		}},
	}
	content, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{"greeter.proto"},
		Parameter:      proto.String(parameter),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		panic(err)
	}
	return content
}

func TestPlugin_WritesNothingButTheResponse(t *testing.T) {
	tests := []struct {
		name, parameter string
		wantFile        string
		wantError       string
	}{
		{"file", "", "example.com/greeter/greeter_gogreeter.pb.go", ""},
		{"unknown option", "colour=red", "", `unknown option "colour"`},
		{"bad value", "paths=sideways", "", "sideways"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, exitCode := run(request(test.parameter))
			if exitCode != 0 || stderr != "" {
				t.Errorf("exit code %d, stderr %q; want 0 and nothing", exitCode, stderr)
			}
			response := &pluginpb.CodeGeneratorResponse{}
			if err := proto.Unmarshal([]byte(stdout), response); err != nil {
				t.Fatal(err)
			}
			if len(response.ProtoReflect().GetUnknown()) > 0 {
				t.Error("stdout holds more than a response")
			}
			if !strings.Contains(response.GetError(), test.wantError) || (test.wantError == "") != (response.Error == nil) {
				t.Errorf("error %q, want %q", response.GetError(), test.wantError)
			}
			if test.wantFile != "" && (len(response.File) != 1 || response.File[0].GetName() != test.wantFile) {
				t.Errorf("files %v, want %s", response.File, test.wantFile)
			}
			if response.GetMinimumEdition() != int32(descriptorpb.Edition_EDITION_PROTO2) ||
				response.GetMaximumEdition() != int32(descriptorpb.Edition_EDITION_2024) {
				t.Errorf("editions %d to %d", response.GetMinimumEdition(), response.GetMaximumEdition())
			}
		})
	}
}

func TestPlugin_ByHand(t *testing.T) {
	tests := []struct {
		name       string
		stdin      string
		args       []string
		wantStdout string
		wantStderr string
		wantCode   int
	}{
		{"help", "", []string{"--help"}, "package_suffix=SUFFIX", "", 0},
		{"short help", "", []string{"-h"}, "template_dir=DIR", "", 0},
		{"version", "", []string{"--version"}, "protoc-gen-gogreeter ", "", 0},
		{"unknown argument", "", []string{"greeter.proto"}, "", `unknown argument "greeter.proto"`, 1},
		{"no request", "what is this?", nil, "", "holds no CodeGeneratorRequest", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, exitCode := run([]byte(test.stdin), test.args...)
			if !strings.Contains(stdout, test.wantStdout) || (test.wantStdout == "") != (stdout == "") {
				t.Errorf("stdout %q, want %q", stdout, test.wantStdout)
			}
			if !strings.Contains(stderr, test.wantStderr) || (test.wantStderr == "") != (stderr == "") {
				t.Errorf("stderr %q, want %q", stderr, test.wantStderr)
			}
			if exitCode != test.wantCode {
				t.Errorf("exit code %d, want %d", exitCode, test.wantCode)
			}
		})
	}
}
