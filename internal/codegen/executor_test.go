package codegen

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gogreeter/gogreeter/internal/codegen/codegentest"
	methodoptions "github.com/gogreeter/gogreeter/runtime/options"
)

// TestExecutor_UndecodedOption has the request decoded without our option being known.
func TestExecutor_UndecodedOption(t *testing.T) {
	c := goldenCase{name: "executors"}
	content, err := os.ReadFile(filepath.Join(c.dir(), "request.binpb"))
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{}
	if err := (proto.UnmarshalOptions{Resolver: new(protoregistry.Types)}).Unmarshal(content, request); err != nil {
		t.Fatal(err)
	}
	for _, method := range methodsOf(request) {
		if proto.HasExtension(method.Options, methodoptions.E_Method) {
			t.Fatalf("the option of %s is decoded", method.GetName())
		}
	}
	for name, want := range c.want(t) {
		if got := filesOf(respond(request, io.Discard))[name]; got != want {
			t.Errorf("%s: %s", name, firstDifference(want, got))
		}
	}
}

// TestExecutor_AmongOptionsOfOthers has an option beside ours that nobody here knows.
func TestExecutor_AmongOptionsOfOthers(t *testing.T) {
	request := goldenCase{name: "executors"}.request(t)
	for _, method := range methodsOf(request) {
		method.Options.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 72295728, protowire.VarintType), 1))
	}
	for name, content := range filesOf(respond(request, io.Discard)) {
		if n := strings.Count(content, ".WithExecutor("); n != 3 {
			t.Errorf("%s has %d executors, want 3:\n%s", name, n, content)
		}
	}
}

// TestExecutor_OfTheFuture has a method want an executor that there is not yet.
func TestExecutor_OfTheFuture(t *testing.T) {
	request := goldenCase{name: "executors"}.request(t)
	proto.SetExtension(methodsOf(request)[0].Options, methodoptions.E_Method, &methodoptions.MethodOptions{Executor: 77})
	want := "executors.proto:12:5: the method test.v1.Executors.Inline wants the executor 77, which this version of " +
		"protoc-gen-gogreeter does not know: update the plugin, or take the option (gogreeter.method).executor away"
	if got := respond(request, io.Discard).GetError(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func methodsOf(request *pluginpb.CodeGeneratorRequest) []*descriptorpb.MethodDescriptorProto {
	for _, file := range request.ProtoFile {
		if file.GetName() == request.FileToGenerate[0] {
			return file.Service[0].Method
		}
	}
	return nil
}

// TestExecutor_Behavior runs executorTest, below, against what is generated for the case executors.
func TestExecutor_Behavior(t *testing.T) {
	dir := codegentest.NewModule(t, "example.com")
	c := goldenCase{name: "executors"}
	writeFiles(t, dir, messages(t, c.request(t, "")))
	writeFiles(t, dir, respond(c.request(t, "parts=servicers+registrars+fakes"), io.Discard))
	codegentest.WriteFile(t, filepath.Join(dir, "executors", "executor_test.go"), executorTest)
	codegentest.Run(t, dir, nil, "go", "test", "./executors")
}

// executorTest is a test of the generated package, on a server.
const executorTest = `package executors

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"io"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime"
)

func TestExecutors(t *testing.T) {
	inline := make(map[string]bool)
	note := func(method string) func(context.Context, *Request) (*Response, error) {
		return func(context.Context, *Request) (*Response, error) {
			inline[method] = strings.Contains(string(debug.Stack()), ".(*inlineRunner).run(")
			return &Response{}, nil
		}
	}
	called, release := make(chan bool), make(chan bool)
	server := runtime.NewServer(runtime.ServerOptions{Workers: 1})
	err := AddExecutorsToServer(&FakeExecutorsServicer{
		InlineFunc: note("Inline"), UnboundedFunc: note("Unbounded"), UnspecifiedFunc: note("Unspecified"),
		SilentFunc: func(context.Context, *Request) (*Response, error) {
			called <- true
			<-release
			return &Response{}, nil
		},
	}, server)
	if err != nil {
		t.Fatal(err)
	}
	port, err := server.AddInsecurePort("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	call := func(method string) {
		request, err := http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d/test.v1.Executors/%s", port, method), bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("TE", "trailers")
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if status := response.Trailer.Get("grpc-status"); status != "0" {
			t.Errorf("%s: status %q", method, status)
		}
	}
	call("Unspecified")
	done := make(chan bool)
	go func() {
		call("Silent")
		close(done)
	}()
	<-called // the only worker is taken
	call("Inline")
	call("Unbounded")
	close(release)
	<-done
	transport.CloseIdleConnections()
	<-server.Stop(0)
	if len(inline) != 3 || !inline["Inline"] || inline["Unbounded"] || inline["Unspecified"] {
		t.Errorf("inline: %v", inline)
	}
}
`
