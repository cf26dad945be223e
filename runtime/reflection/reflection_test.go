package reflection_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	alphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	_ "google.golang.org/grpc/reflection/grpc_testing" // files that are linked, and that no service leads to
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/reflection"
)

// The files of a service that is not linked into the process: service imports middle, which imports bottom.
const (
	bottomText = `name: "d/bottom.proto" package: "d" message_type { name: "Bottom" extension_range { start: 100 end: 200 } }`
	middleText = `name: "d/middle.proto" package: "d" dependency: "d/bottom.proto"
		message_type { name: "Middle"
			field { name: "bottom" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".d.Bottom" }
			extension { name: "inner" number: 120 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".d.Bottom" }
			enum_type { name: "Kind" value { name: "ONE" number: 1 } } }
		extension { name: "outer" number: 110 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".d.Bottom" }`
	serviceText = `name: "d/service.proto" package: "d" dependency: "d/middle.proto"
		service { name: "S" method { name: "M" input_type: ".d.Middle" output_type: ".d.Middle" } }`
)

var dynamicFiles = []string{"d/bottom.proto", "d/middle.proto", "d/service.proto"}

// dynamic is a service that is described by these files.
func dynamic(t *testing.T) runtime.Service {
	t.Helper()
	bottom := file(t, bottomText)
	middle := file(t, middleText, bottom)
	service := file(t, serviceText, middle)
	return runtime.Service{Name: "d.S", Descriptor: service.Services().Get(0)}
}

const (
	extended      = "grpc.testing.ToBeExtended" // of files that are linked
	extendedFile  = "reflection/grpc_testing/proto2.proto"
	extensionFile = "reflection/grpc_testing/proto2_ext.proto" // which imports the one above and the one below
	importedFile  = "reflection/grpc_testing/test.proto"
)

// TestRequests asks everything, of both versions: grpc-python's _reflection_servicer_test, and what is not in it.
func TestRequests(t *testing.T) {
	_, conn := serve(t, dynamic(t), runtime.Service{Name: "z.Undescribed"})
	files := []struct {
		name string
		ask  *request
		want []string // files
	}{
		{"FileByFilename", byFilename("d/middle.proto"), dynamicFiles[:2]},
		{"FileByFilename/OfNoImports", byFilename("d/bottom.proto"), dynamicFiles[:1]},
		{"FileByFilename/Linked", byFilename(extensionFile), []string{extendedFile, extensionFile, importedFile}},
		{"FileContainingSymbol/Service", bySymbol("d.S"), dynamicFiles},
		{"FileContainingSymbol/Method", bySymbol("d.S.M"), dynamicFiles},
		{"FileContainingSymbol/Message", bySymbol("d.Bottom"), dynamicFiles[:1]},
		{"FileContainingSymbol/Field", bySymbol("d.Middle.bottom"), dynamicFiles[:2]},
		{"FileContainingSymbol/Enum", bySymbol("d.Middle.Kind"), dynamicFiles[:2]},
		{"FileContainingSymbol/EnumValue", bySymbol("d.Middle.ONE"), dynamicFiles[:2]},
		{"FileContainingSymbol/Extension", bySymbol("d.outer"), dynamicFiles[:2]},
		{"FileContainingSymbol/Linked", bySymbol(extended), []string{extendedFile}},
		{"FileContainingExtension", byExtension("d.Bottom", 110), dynamicFiles[:2]},
		{"FileContainingExtension/Nested", byExtension("d.Bottom", 120), dynamicFiles[:2]},
		{"FileContainingExtension/Linked", byExtension(extended, 17), []string{extendedFile, extensionFile, importedFile}},
	}
	failures := []struct {
		name string
		ask  *request
		code codes.Code
		text string
	}{
		{"FileByFilename", byFilename("i-donut-exist"), codes.NotFound, "not found"},
		{"FileByFilename/Empty", byFilename(""), codes.NotFound, "not found"},
		{"FileContainingSymbol", bySymbol("i.donut.exist"), codes.NotFound, "not found"},
		{"FileContainingSymbol/NoName", bySymbol("..//"), codes.NotFound, "not found"},
		{"FileContainingSymbol/Undescribed", bySymbol("z.Undescribed"), codes.NotFound, "not found"},
		{"FileContainingExtension/NoMessage", byExtension("i.donut.exist", 55), codes.NotFound, "not found"},
		{"FileContainingExtension/NoExtension", byExtension("d.Bottom", 111), codes.NotFound, "not found"},
		{"AllExtensionNumbersOfType", numbersOf("i.donut.exist"), codes.NotFound, "not found"},
		{"AllExtensionNumbersOfType/NoMessage", numbersOf("d.S"), codes.NotFound, "not found"},
		{"Nothing", &request{}, codes.InvalidArgument, "invalid argument"},
	}
	numbers := map[string][]int32{"d.Bottom": {110, 120}, "d.Middle": nil, extended: {13, 17, 19, 23, 29}}
	for version, c := range clients(t, conn) {
		for _, tt := range files {
			t.Run(version+"/"+tt.name, func(t *testing.T) {
				answer := c.ask(tt.ask)
				wantEcho(t, answer, tt.ask)
				got := filesOf(t, answer)
				for _, name := range tt.want {
					if got[name] == nil {
						t.Errorf("%s is missing", name)
					}
				}
				if len(got) != len(tt.want) {
					t.Errorf("got %v, want %v", slices.Sorted(maps.Keys(got)), tt.want)
				}
			})
		}
		for _, tt := range failures {
			t.Run(version+"/Failure/"+tt.name, func(t *testing.T) {
				answer := c.ask(tt.ask)
				wantEcho(t, answer, tt.ask)
				wantFailure(t, answer, tt.code, tt.text)
			})
		}
		for message, want := range numbers {
			answer := c.ask(numbersOf(message))
			wantEcho(t, answer, numbersOf(message))
			got := answer.GetAllExtensionNumbersResponse()
			if got.GetBaseTypeName() != message || !slices.Equal(got.GetExtensionNumber(), want) {
				t.Errorf("%s: the extensions of %s are %v, want %v", version, message, got, want)
			}
		}
	}
}

// TestRequests_Length bounds requests; one that is too long is not echoed, and does not end the RPC.
func TestRequests_Length(t *testing.T) {
	_, conn := serve(t)
	long := strings.Repeat("a", 600)
	bound := 512 - proto.Size(bySymbol(long)) + len(long)
	for version, c := range clients(t, conn) {
		for name, ask := range map[string]*request{
			"Symbol": bySymbol(long[:bound+1]), "Path": byFilename(long), "Extension": byExtension(long, 1), "Message": numbersOf(long),
			"Host":     {Host: long, MessageRequest: listServices().GetMessageRequest()},
			"Services": {MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: long}},
		} {
			answer := c.ask(ask)
			wantFailure(t, answer, codes.InvalidArgument, "the request is longer than 512 octets")
			if answer.GetOriginalRequest() != nil {
				t.Errorf("%s/%s: the answer is %v", version, name, answer)
			}
		}
		longest := bySymbol(long[:bound])
		answer := c.ask(longest)
		wantEcho(t, answer, longest)
		wantFailure(t, answer, codes.NotFound, "not found")
	}
}

// wantEcho fails unless an answer says what it answers, and nothing of a host.
func wantEcho(t *testing.T, answer *response, to *request) {
	t.Helper()
	if !proto.Equal(answer.GetOriginalRequest(), to) || answer.GetValidHost() != "" {
		t.Errorf("the answer to %v is %v", to, answer)
	}
}

// TestListServices_Live lists what the server has when it is asked, in order.
func TestListServices_Live(t *testing.T) {
	server, conn := serve(t)
	both := clients(t, conn)
	wantServices := func(want ...string) {
		t.Helper()
		for version, c := range both {
			var got []string
			for _, service := range c.ask(listServices()).GetListServicesResponse().GetService() {
				got = append(got, service.GetName())
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", version, got, want)
			}
		}
	}
	wantServices(reflection.ServiceName, reflection.ServiceNameAlpha)
	service := dynamic(t)
	if err := server.AddService(service); err != nil {
		t.Fatal(err)
	}
	wantServices("d.S", reflection.ServiceName, reflection.ServiceNameAlpha)
	filesOf(t, both["v1"].ask(bySymbol("d.S")))
	if err := server.RemoveService("d.S"); err != nil {
		t.Fatal(err)
	}
	wantServices(reflection.ServiceName, reflection.ServiceNameAlpha)
	wantFailure(t, both["v1"].ask(bySymbol("d.S")), codes.NotFound, "not found")
}

// TestListServices_Interceptors has interceptors look at the answer, and change it. It is a message like any other.
func TestListServices_Interceptors(t *testing.T) {
	pass := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		return next(ctx, call)
	}
	hide := func(ctx context.Context, call *runtime.ServerCall, next runtime.ServerNext) error {
		call.OnResponse(func(_ context.Context, response any) error {
			message := response.(proto.Message).ProtoReflect()
			list := message.Mutable(message.Descriptor().Fields().ByName("list_services_response")).Message()
			list.Mutable(list.Descriptor().Fields().ByName("service")).List().Truncate(1)
			return nil
		})
		return next(ctx, call)
	}
	for name, tt := range map[string]struct {
		interceptor runtime.ServerInterceptor
		want        []string
	}{
		"Passes": {pass, []string{reflection.ServiceName, reflection.ServiceNameAlpha}},
		"Hides":  {hide, []string{reflection.ServiceName}},
	} {
		_, conn := serveWith(t, runtime.ServerOptions{Interceptors: []runtime.ServerInterceptor{tt.interceptor}})
		for version, c := range clients(t, conn) {
			for range 2 {
				answer := c.ask(listServices())
				var got []string
				for _, service := range answer.GetListServicesResponse().GetService() {
					got = append(got, service.GetName())
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s, %s: got %v, want %v", name, version, got, tt.want)
				}
				wantEcho(t, answer, listServices())
			}
		}
	}
}

// TestItself describes the services of reflection as every other implementation does, though their files are not ours.
func TestItself(t *testing.T) {
	_, conn := serve(t)
	want := map[string]string{
		reflection.ServiceName:      reflectionpb.File_grpc_reflection_v1_reflection_proto.Path(),
		reflection.ServiceNameAlpha: alphapb.File_grpc_reflection_v1alpha_reflection_proto.Path(),
	}
	for version, c := range clients(t, conn) {
		for service, path := range want {
			files := filesOf(t, c.ask(bySymbol(service)))
			if files[path] == nil || len(files) != 1 {
				t.Errorf("%s: %s is described by %v", version, service, slices.Sorted(maps.Keys(files)))
			}
		}
	}
}

// TestDescriptors compares what we say of the services with what grpc-go's generated code says: the same, but for options.
func TestDescriptors(t *testing.T) {
	server, _ := serve(t)
	services := map[string]protoreflect.FileDescriptor{
		reflection.ServiceName:      reflectionpb.File_grpc_reflection_v1_reflection_proto,
		reflection.ServiceNameAlpha: alphapb.File_grpc_reflection_v1alpha_reflection_proto,
	}
	if n := len(server.Services()); n != len(services) {
		t.Errorf("the server has %d services", n)
	}
	for _, service := range server.Services() {
		name, theirs := service.Name, services[service.Name]
		ours := protodesc.ToFileDescriptorProto(service.Descriptor.ParentFile())
		want := protodesc.ToFileDescriptorProto(theirs)
		ours.Options, want.Options = nil, nil
		if !proto.Equal(ours, want) {
			t.Errorf("%s is\n%v\nwant\n%v", name, ours, want)
		}
	}
}

func TestNames(t *testing.T) {
	if reflection.ServiceName != reflectionpb.ServerReflection_ServiceDesc.ServiceName ||
		reflection.ServiceNameAlpha != alphapb.ServerReflection_ServiceDesc.ServiceName {
		t.Errorf("the services are called %s and %s", reflection.ServiceName, reflection.ServiceNameAlpha)
	}
}

// TestConflict serves two services whose files contradict each other: the first by name is believed.
func TestConflict(t *testing.T) {
	other := file(t, `name: "d/service.proto" package: "e" message_type { name: "X" }
		service { name: "S" method { name: "M" input_type: ".e.X" output_type: ".e.X" } }`)
	_, conn := serve(t, dynamic(t), runtime.Service{Name: "e.S", Descriptor: other.Services().Get(0)})
	c := clients(t, conn)["v1"]
	filesOf(t, c.ask(bySymbol("d.S")))
	wantFailure(t, c.ask(bySymbol("e.S")), codes.NotFound, "not found")
}

func TestAddToServer_Refuses(t *testing.T) {
	if err := reflection.AddToServer(nil); err == nil {
		t.Error("a server that is nil was taken")
	}
	server := runtime.NewServer(runtime.ServerOptions{})
	for i := range 2 {
		if err := reflection.AddToServer(server); (err != nil) != (i == 1) {
			t.Errorf("attempt %d: %v", i+1, err)
		}
	}
}

// TestAddToServer_ChangesNothing has a server with one of the services, of the application's own.
func TestAddToServer_ChangesNothing(t *testing.T) {
	for _, name := range []string{reflection.ServiceName, reflection.ServiceNameAlpha} {
		server := runtime.NewServer(runtime.ServerOptions{})
		if err := server.AddService(runtime.Service{Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := reflection.AddToServer(server); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := len(server.Services()); n != 1 {
			t.Errorf("%s: the server has %d services", name, n)
		}
	}
}
