package grpcinterop

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// patience bounds each case. It is no expectation.
const patience = 2 * time.Minute

// goCases are the cases of grpc-go's client that need no cloud credentials, and the flags they have beside their name.
// The soak tests are short, and allow an iteration any time: how fast anything is, is not looked at here.
var goCases = []struct {
	name  string
	flags []string
}{
	{name: "empty_unary"},
	{name: "large_unary"},
	{name: "client_streaming"},
	{name: "server_streaming"},
	{name: "ping_pong"},
	{name: "empty_stream"},
	{name: "timeout_on_sleeping_server"},
	{name: "cancel_after_begin"},
	{name: "cancel_after_first_response"},
	{name: "status_code_and_message"},
	{name: "special_status_message"},
	{name: "custom_metadata"},
	{name: "unimplemented_method"},
	{name: "unimplemented_service"},
	{name: "pick_first_unary"},
	{name: "rpc_soak", flags: soak("40")},
	{name: "channel_soak", flags: soak("40")},
	{name: "orca_per_rpc", flags: reportingLoad},
	{name: "orca_oob", flags: reportingLoad},
}

func soak(iterations string) []string {
	return []string{
		"-soak_iterations", iterations, "-soak_num_threads", "4", "-soak_overall_timeout_seconds", "100",
		"-soak_per_iteration_max_acceptable_latency_ms", "100000",
	}
}

var reportingLoad = []string{"-service_config_json", `{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`}

func TestServer_PassesEveryCase_OfGRPCGo(t *testing.T) {
	client := peer.Build(t, ".", "google.golang.org/grpc/interop/client")
	overTransports(t, func(t *testing.T, address, ca string) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		flags := []string{"-server_host", host, "-server_port", port}
		if ca != "" {
			flags = append(flags, "-use_tls", "-use_test_ca", "-ca_file", ca)
		}
		passed := 0
		for _, c := range goCases {
			t.Run(c.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				command := exec.CommandContext(ctx, client, append(append([]string{"-test_case", c.name}, c.flags...), flags...)...)
				if output, err := command.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, output)
				} else {
					passed++
				}
			})
		}
		t.Logf("grpc-go's client: %d cases, %d passed", len(goCases), passed)
	})
}

func TestServer_PassesEveryCase_OfGRPCPython(t *testing.T) {
	python := peer.Python(t)
	descriptors := writeDescriptors(t)
	overTransports(t, func(t *testing.T, address, ca string) {
		arguments := []string{filepath.Join("testdata", "interop.py"), "-addr", address, "-descriptors", descriptors}
		if ca != "" {
			arguments = append(arguments, "-tls-ca", ca)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		command := exec.CommandContext(ctx, python, arguments...)
		command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+filepath.Join("..", "testdata"))
		var complaints bytes.Buffer
		command.Stderr = &complaints
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &complaints)
		}
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		passed := 0
		if len(lines) != pythonCases {
			t.Errorf("interop.py has played %d cases, want %d", len(lines), pythonCases)
		}
		for _, line := range lines {
			var result struct{ Test, Failure string }
			if err := json.Unmarshal([]byte(line), &result); err != nil {
				t.Fatalf("interop.py printed %q: %v", line, err)
			}
			t.Run(strings.TrimPrefix(result.Test, "test_"), func(t *testing.T) {
				if result.Failure != "" {
					t.Error(result.Failure)
				} else {
					passed++
				}
			})
		}
		t.Logf("grpc-python's client: %d cases, %d passed", len(lines), passed)
	})
}

// pythonCases is how many cases testdata/interop.py has.
const pythonCases = 22

// overTransports plays against two servers, one over h2c and one over TLS, for which ca is the certificate to trust.
func overTransports(t *testing.T, play func(t *testing.T, address, ca string)) {
	server := peer.BuildServer(t, "interop_server")
	t.Run("h2c", func(t *testing.T) { play(t, peer.Serve(t, server), "") })
	t.Run("TLS", func(t *testing.T) {
		certFile, keyFile := peer.Certificate(t)
		play(t, peer.Serve(t, server, "-tls-cert", certFile, "-tls-key", keyFile), certFile)
	})
}

// writeDescriptors writes the FileDescriptorSet from which Python makes the messages.
func writeDescriptors(t *testing.T) string {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	for _, message := range []proto.Message{&pb.Empty{}, &pb.SimpleRequest{}} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(message.ProtoReflect().Descriptor().ParentFile()))
	}
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
