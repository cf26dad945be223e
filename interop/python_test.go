package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/example/helloworld"
	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
)

func TestExampleServers_AnswerGRPCPython(t *testing.T) {
	python := needPython(t)
	descriptors := writeDescriptors(t)
	cases := []struct {
		script, server string
		flags          []string
	}{
		{"greeter.py", "greeter_server", nil},
		{"slow_greeter.py", "greeter_server", []string{"-delay", "1h"}},
		{"route_guide.py", "route_guide_server", nil},
		{"companions.py", "route_guide_server", nil},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		for _, c := range cases {
			t.Run(c.script, func(t *testing.T) {
				server := startServer(t, c.server, append(tr.serverFlags(), c.flags...)...)
				runPython(t, python, c.script, append(tr.clientFlags(), "-addr", server.address, "-descriptors", descriptors))
			})
		}
	})
}

func TestFacts_ReachGRPCPython(t *testing.T) {
	python := needPython(t)
	descriptors := writeDescriptors(t)
	overTransports(t, func(t *testing.T, tr transport) {
		address := serveFacts(t, tr, newFacts(), quiet)
		runPython(t, python, "facts.py", append(tr.clientFlags(), "-addr", address, "-descriptors", descriptors))
	})
}

// runPython runs a script of testdata and makes a subtest of each result it prints.
func runPython(t *testing.T, python, script string, arguments []string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("testdata", script)}, arguments...)...)
	command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &complaints)
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if len(lines) < 2 {
		t.Fatalf("%s has run %d tests: %s", script, len(lines), output)
	}
	for _, line := range lines {
		var result struct{ Test, Failure string }
		if err := json.Unmarshal([]byte(line), &result); err != nil {
			t.Fatalf("%s printed %q: %v", script, line, err)
		}
		t.Run(result.Test, func(t *testing.T) {
			if result.Failure != "" {
				t.Error(result.Failure)
			}
		})
	}
}

// writeDescriptors writes the FileDescriptorSet of the examples, and of health and reflection as grpc-go has them, from
// which Python makes the messages.
func writeDescriptors(t *testing.T) string {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(new(helloworld.HelloRequest).ProtoReflect().Descriptor().ParentFile()),
		protodesc.ToFileDescriptorProto(new(routeguide.Point).ProtoReflect().Descriptor().ParentFile()),
		protodesc.ToFileDescriptorProto(healthpb.File_grpc_health_v1_health_proto),
		protodesc.ToFileDescriptorProto(reflectionpb.File_grpc_reflection_v1_reflection_proto),
		protodesc.ToFileDescriptorProto(alphapb.File_grpc_reflection_v1alpha_reflection_proto),
	}}
	encoded, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "descriptors.binpb")
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
