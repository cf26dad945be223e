package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// respondTo has the plugin answer to a file of package p, p.proto, that is written in text format.
func respondTo(t *testing.T, options, text string) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(text), file); err != nil {
		t.Fatal(err)
	}
	file.Name, file.Package = proto.String("p.proto"), proto.String("p")
	if file.Options == nil {
		file.Options = &descriptorpb.FileOptions{GoPackage: proto.String("example.com/p")}
	}
	return respond(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{"p.proto"}, Parameter: proto.String(options), ProtoFile: []*descriptorpb.FileDescriptorProto{file},
	}, io.Discard)
}

// method is an RPC of a service in text format.
func method(name, message string) string {
	return fmt.Sprintf(`method { name: %q input_type: ".p.%s" output_type: ".p.%[2]s" } `, name, message)
}

// TestClash_WithMembers has services get the Go names of what is declared within a message, where its name is not seen at once.
func TestClash_WithMembers(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{
			"NestedMessage",
			`message_type { name: "A" nested_type { name: "BServicer" } } service { name: "A_B" ` + method("M", "A") + `}`,
			"the service p.A_B and the message p.A.BServicer (p.proto) both become A_BServicer in Go",
		},
		{
			"DeeplyNested",
			`message_type { name: "A" nested_type { name: "B" nested_type { name: "CServicer" } } } service { name: "A_B_C" ` + method("M", "A") + `}`,
			"the service p.A_B_C and the message p.A.B.CServicer (p.proto) both become A_B_CServicer in Go",
		},
		{
			"FieldOfAOneof",
			`message_type { name: "A" oneof_decl { name: "o" }
				field { name: "b_servicer" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 } }
			 service { name: "A_B" ` + method("M", "A") + `}`,
			"the service p.A_B and the field p.A.b_servicer (p.proto) both become A_BServicer in Go",
		},
		{
			"Default",
			`message_type { name: "M" field { name: "f_servicer" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING default_value: "x" } }
			 service { name: "Default_M_F" ` + method("M", "M") + `}`,
			"the service p.Default_M_F and the field p.M.f_servicer (p.proto) both become Default_M_FServicer in Go",
		},
		{
			"StreamOfGRPCGo",
			`message_type { name: "M" } service { name: "N_X" ` + method("One", "M") + `}
			 service { name: "AddN" method { name: "XTo" input_type: ".p.M" output_type: ".p.M" server_streaming: true } }`,
			"the service p.N_X and the method p.AddN.XTo (p.proto) both become AddN_XToServer in Go",
		},
		{
			"Extension",
			`message_type { name: "M" extension_range { start: 100 end: 200 } }
			 extension { name: "x_servicer" extendee: ".p.M" number: 100 label: LABEL_OPTIONAL type: TYPE_STRING }
			 service { name: "E_X" ` + method("One", "M") + `}`,
			"the service p.E_X and the extension p.x_servicer (p.proto) both become E_XServicer in Go",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := respondTo(t, "", tt.text).GetError(); !strings.Contains(got, tt.want) {
				t.Errorf("the error is %q, want %q", got, tt.want)
			}
		})
	}
}

// TestMistakes_AreInOrder has mistakes of different kinds, which are looked for one kind after another.
func TestMistakes_AreInOrder(t *testing.T) {
	text := `message_type { name: "AServicer" } message_type { name: "M" }
		service { name: "A" ` + method("One", "M") + `}
		service { name: "B" ` + method("do_it", "M") + method("DoIt", "M") + `}
		source_code_info {
			location { path: [6, 0] span: [10, 0, 1] } location { path: [6, 1] span: [20, 0, 1] }
			location { path: [6, 1, 2, 0] span: [21, 0, 1] } location { path: [6, 1, 2, 1] span: [22, 0, 1] }
		}`
	lines := strings.Split(respondTo(t, "", text).GetError(), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "p.proto:11:1: ") || !strings.HasPrefix(lines[1], "p.proto:23:1: ") {
		t.Errorf("the mistakes are %q", lines)
	}
}

// TestPackageNames refuses names that a package cannot have.
func TestPackageNames(t *testing.T) {
	for name, ok := range map[string]bool{"p": true, "_": false, "func": false, "type": false} {
		text := fmt.Sprintf(`options { go_package: "example.com/p;%s" } message_type { name: "M" } service { name: "S" %s}`, name, method("One", "M"))
		got := respondTo(t, "", text).GetError()
		if (got == "") != ok || !ok && !strings.Contains(got, "cannot be the name of a Go package") {
			t.Errorf("package %s: the error is %q", name, got)
		}
	}
}

// TestAnnotateCode_IsAnOption writes .meta files only if they are asked for.
func TestAnnotateCode_IsAnOption(t *testing.T) {
	text := `message_type { name: "M" } service { name: "S" ` + method("One", "M") + `}`
	for option, want := range map[string]int{"": 1, "annotate_code=false": 1, "annotate_code=true": 2, "annotate_code": 2} {
		if got := respondTo(t, option, text); len(got.File) != want {
			t.Errorf("%q: %d files, want %d: %s", option, len(got.File), want, got.GetError())
		}
	}
}

// TestComments_AreFormatted has comments that gofmt changes twice: what is generated must not change when a user formats it.
func TestComments_AreFormatted(t *testing.T) {
	for _, written := range []string{"  0000\nA\n\nB", "  0000\rA\n\nB", " ``` \n", " # A\n"} {
		text := `message_type { name: "M" } service { name: "S" ` + method("One", "M") + `}
			source_code_info { location { path: [6, 0] span: [10, 0, 1] leading_comments: ` + fmt.Sprintf("%q", written) + ` } }`
		response := respondTo(t, "", text)
		if len(response.File) != 1 {
			t.Fatalf("%q: %s", written, response.GetError())
		}
		content := []byte(response.File[0].GetContent())
		again, err := format.Source(content)
		if err != nil || !bytes.Equal(again, content) {
			t.Errorf("%q: gofmt changes what is generated: %v\n%s", written, err, firstDifference(string(content), string(again)))
		}
	}
}

// TestImportedFiles_AreNotGenerated has a file import another with a service, which somebody else generates.
func TestImportedFiles_AreNotGenerated(t *testing.T) {
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{"p.proto"}}
	for _, text := range []string{
		`name: "q.proto" package: "q" options { go_package: "example.com/q" } message_type { name: "M" }
			service { name: "Q" method { name: "One" input_type: ".q.M" output_type: ".q.M" } }`,
		`name: "p.proto" package: "p" options { go_package: "example.com/p" } dependency: "q.proto"
			service { name: "P" method { name: "One" input_type: ".q.M" output_type: ".q.M" } }`,
	} {
		file := &descriptorpb.FileDescriptorProto{}
		if err := prototext.Unmarshal([]byte(text), file); err != nil {
			t.Fatal(err)
		}
		request.ProtoFile = append(request.ProtoFile, file)
	}
	response := respond(request, io.Discard)
	if len(response.File) != 1 || response.File[0].GetName() != "example.com/p/p_gogreeter.pb.go" {
		t.Errorf("the files are %v: %s", response.File, response.GetError())
	}
}

// TestTemplateDir_Empty names a directory without templates, which is likely to be the wrong one.
func TestTemplateDir_Empty(t *testing.T) {
	text := `message_type { name: "M" } service { name: "S" ` + method("One", "M") + `}`
	if got := respondTo(t, "template_dir="+t.TempDir(), text).GetError(); !strings.Contains(got, "there is no *.go.tmpl in it") {
		t.Errorf("the error is %q", got)
	}
}

// TestOptionNames_OfOtherDirectories names services of packages that are not in the request: buf asks for each directory apart, with
// the same options. What is in a package of the request, and does not exist, is a mistake.
func TestOptionNames_OfOtherDirectories(t *testing.T) {
	text := `message_type { name: "M" } service { name: "S" ` + method("One", "M") + `}`
	for options, want := range map[string]string{
		"services=p.S+other.v1.T":                             "",
		"rename=other.v1.T:U":                                 "",
		"rename=other.v1.T.get:Get2":                          "",
		"services=p.S+p.T":                                    "no service or method p.T",
		"rename=p.S.two:Two":                                  "no service or method p.S.two",
		"services=p.S+other.v1.T,rename=p.T:U,rename=x.y.Z:Z": "no service or method p.T",
	} {
		got := respondTo(t, options, text).GetError()
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: the error is %q, want %q", options, got, want)
		}
	}
}
