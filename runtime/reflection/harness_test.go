package reflection_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/reflection"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// serve starts a server with reflection and some services, until the test ends.
func serve(t *testing.T, services ...runtime.Service) (*runtime.Server, *grpc.ClientConn) {
	t.Helper()
	return serveWith(t, runtime.ServerOptions{Workers: 1}, services...)
}

func serveWith(t *testing.T, options runtime.ServerOptions, services ...runtime.Service) (*runtime.Server, *grpc.ClientConn) {
	t.Helper()
	server, err := runtimetest.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range services {
		if err := server.AddService(service); err != nil {
			t.Fatal(err)
		}
	}
	if err := reflection.AddToServer(server.Server()); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Close()
	})
	return server.Server(), conn
}

type (
	request  = reflectionpb.ServerReflectionRequest
	response = reflectionpb.ServerReflectionResponse
)

// client asks on one stream.
type client struct{ ask func(*request) *response }

// clients returns one client for each version. That of v1alpha has its messages translated by their octets.
func clients(t *testing.T, conn *grpc.ClientConn) map[string]*client {
	t.Helper()
	v1, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	alpha, err := alphapb.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	translate := func(from, to proto.Message) {
		octets, err := proto.Marshal(from)
		fail(err)
		fail(proto.Unmarshal(octets, to))
	}
	return map[string]*client{
		"v1": {func(r *request) *response {
			t.Helper()
			fail(v1.Send(r))
			answer, err := v1.Recv()
			fail(err)
			return answer
		}},
		"v1alpha": {func(r *request) *response {
			t.Helper()
			//lint:ignore SA1019 it is deprecated, and in use
			theirs, ours := new(alphapb.ServerReflectionRequest), new(response)
			translate(r, theirs)
			fail(alpha.Send(theirs))
			answer, err := alpha.Recv()
			fail(err)
			translate(answer, ours)
			return ours
		}},
	}
}

func byFilename(name string) *request {
	return &request{MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: name}}
}

func bySymbol(name string) *request {
	return &request{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}}
}

func byExtension(message string, number int32) *request {
	return &request{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingExtension{
		FileContainingExtension: &reflectionpb.ExtensionRequest{ContainingType: message, ExtensionNumber: number},
	}}
}

func numbersOf(message string) *request {
	return &request{MessageRequest: &reflectionpb.ServerReflectionRequest_AllExtensionNumbersOfType{AllExtensionNumbersOfType: message}}
}

func listServices() *request {
	return &request{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
}

// wantFailure fails unless an answer is a failure.
func wantFailure(t *testing.T, answer *response, code codes.Code, text string) {
	t.Helper()
	failure := answer.GetErrorResponse()
	if failure == nil || failure.GetErrorCode() != int32(code) || failure.GetErrorMessage() != text {
		t.Errorf("the answer is %v, want %v %q", answer, code, text)
	}
}

// filesOf returns the files of an answer, by name, after a look at whether they are whole: that each import of one is there.
func filesOf(t *testing.T, answer *response) map[string]*descriptorpb.FileDescriptorProto {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, octets := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(octets, file); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, file)
		byName[file.GetName()] = file
	}
	if len(set.File) == 0 {
		t.Fatalf("there is no file in %v", answer)
	}
	if _, err := protodesc.NewFiles(set); err != nil {
		t.Errorf("the files are not whole: %v", err)
	}
	return byName
}

// file makes a file that is registered nowhere.
func file(t *testing.T, text string, imports ...protoreflect.FileDescriptor) protoreflect.FileDescriptor {
	t.Helper()
	described := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(text), described); err != nil {
		t.Fatal(err)
	}
	resolver := new(protoregistry.Files)
	for _, imported := range imports {
		if err := resolver.RegisterFile(imported); err != nil {
			t.Fatal(err)
		}
	}
	made, err := protodesc.NewFile(described, resolver)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
