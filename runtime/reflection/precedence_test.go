package reflection_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gogreeter/gogreeter/runtime"
)

// oursText is a file that has the path of one that is linked, and some of its names.
const oursText = `name: "` + extendedFile + `" package: "grpc.testing"
	message_type { name: "ToBeExtended" extension_range { start: 10 end: 31 }
		field { name: "ours" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 } }
	extension { name: "our_bar" number: 17 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".grpc.testing.ToBeExtended" }
	extension { name: "our_new" number: 18 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".grpc.testing.ToBeExtended" }
	service { name: "Ours" method { name: "M" input_type: ".grpc.testing.ToBeExtended" output_type: ".grpc.testing.ToBeExtended" } }`

// TestPrecedence serves a service whose file contradicts one that is linked. What is served is what clients have to know.
func TestPrecedence(t *testing.T) {
	_, conn := serve(t, runtime.Service{Name: "grpc.testing.Ours", Descriptor: file(t, oursText).Services().Get(0)})
	c := clients(t, conn)["v1"]
	const theirs = extended + ".foo" // which is in the linked file alone
	for range 2 {                    // the second time from what was encoded
		for _, tt := range []struct {
			name string
			ask  *request
			ours bool
		}{
			{"ByPath", byFilename(extendedFile), true},
			{"ByName", bySymbol(extended), true},
			{"ByExtension", byExtension(extended, 17), true},
			{"LinkedName", bySymbol(theirs), false},
			{"ByNameAgain", bySymbol(extended + ".ours"), true},
		} {
			got := filesOf(t, c.ask(tt.ask))[extendedFile]
			if ours := len(got.GetService()) == 1; ours != tt.ours {
				t.Errorf("%s: the file of the service is the answer: %v, want %v", tt.name, ours, tt.ours)
			}
		}
	}
	numbers := c.ask(numbersOf(extended)).GetAllExtensionNumbersResponse().GetExtensionNumber()
	if want := []int32{13, 17, 18, 19, 23, 29}; !slices.Equal(numbers, want) {
		t.Errorf("the extensions of both are %v, want %v", numbers, want)
	}
}

// TestConflict_Extensions has files that are not believed declare an extension: it must not be found either. One has the path of
// another file, and one a name that is another's.
func TestConflict_Extensions(t *testing.T) {
	bottom := file(t, bottomText)
	const extension = `extension { name: "unheard" number: 150 label: LABEL_OPTIONAL type: TYPE_INT32 extendee: ".d.Bottom" }`
	for name, text := range map[string]string{
		"SamePath": `name: "d/service.proto" package: "e" dependency: "d/bottom.proto" message_type { name: "X" } ` + extension + `
			service { name: "S" method { name: "M" input_type: ".e.X" output_type: ".e.X" } }`,
		"SameName": `name: "e/service.proto" package: "d" dependency: "d/bottom.proto" message_type { name: "Middle" } ` + extension + `
			service { name: "T" method { name: "M" input_type: ".d.Middle" output_type: ".d.Middle" } }`,
	} {
		t.Run(name, func(t *testing.T) {
			service := file(t, text, bottom).Services().Get(0)
			_, conn := serve(t, dynamic(t), runtime.Service{Name: string(service.FullName()), Descriptor: service})
			c := clients(t, conn)["v1"]
			wantFailure(t, c.ask(byExtension("d.Bottom", 150)), codes.NotFound, "not found")
			numbers := c.ask(numbersOf("d.Bottom")).GetAllExtensionNumbersResponse().GetExtensionNumber()
			if want := []int32{110, 120}; !slices.Equal(numbers, want) {
				t.Errorf("the extensions are %v, want %v", numbers, want)
			}
		})
	}
}

// TestImports has a file that two others import, and one that nobody has.
func TestImports(t *testing.T) {
	bottom := file(t, bottomText)
	left := file(t, `name: "d/left.proto" package: "d" dependency: "d/bottom.proto" message_type { name: "Left" }`, bottom)
	right := file(t, `name: "d/right.proto" package: "d" dependency: "d/bottom.proto" message_type { name: "Right" }`, bottom)
	described := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(`name: "d/top.proto" package: "d"
		dependency: ["d/left.proto", "d/right.proto", "d/missing.proto"]
		service { name: "Top" method { name: "M" input_type: ".d.Left" output_type: ".d.Right" } }`), described); err != nil {
		t.Fatal(err)
	}
	resolver := new(protoregistry.Files)
	for _, imported := range []protoreflect.FileDescriptor{left, right, bottom} {
		if err := resolver.RegisterFile(imported); err != nil {
			t.Fatal(err)
		}
	}
	top, err := protodesc.FileOptions{AllowUnresolvable: true}.New(described, resolver)
	if err != nil {
		t.Fatal(err)
	}
	_, conn := serve(t, runtime.Service{Name: "d.Top", Descriptor: top.Services().Get(0)})
	answer := clients(t, conn)["v1"].ask(bySymbol("d.Top"))
	var got []string
	for _, octets := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		one := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(octets, one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one.GetName())
	}
	slices.Sort(got)
	if want := []string{"d/bottom.proto", "d/left.proto", "d/right.proto", "d/top.proto"}; !slices.Equal(got, want) {
		t.Errorf("the files are %v, want %v", got, want)
	}
}
