package codegen

import (
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestAnnotations_PointAtTheSymbols reads the .meta files as a tool would, and looks up what they point at.
func TestAnnotations_PointAtTheSymbols(t *testing.T) {
	files := filesOf(respond(goldenCase{name: "annotate_code"}.request(t, "annotate_code=true", "parts=servicers+registrars+fakes"), io.Discard))
	var symbols []string
	for name, content := range files {
		code, ok := files[strings.TrimSuffix(name, ".meta")]
		if !ok || !strings.HasSuffix(name, ".meta") {
			continue
		}
		info := &descriptorpb.GeneratedCodeInfo{}
		if err := prototext.Unmarshal([]byte(content), info); err != nil {
			t.Fatal(err)
		}
		for _, a := range info.Annotation {
			if a.GetSourceFile() != "annotate_code.proto" || len(a.Path) == 0 {
				t.Errorf("%v", a)
			}
			symbols = append(symbols, code[a.GetBegin():a.GetEnd()])
		}
	}
	for _, want := range []string{
		"AnnotatedServicer", "UnimplementedAnnotatedServicer", "AddAnnotatedToServer", "Annotated_service", "Annotated_method_Do",
		"Do", "FakeAnnotatedServicer", "DoFunc", "DoCalls",
	} {
		if !slices.Contains(symbols, want) {
			t.Errorf("%s is not annotated; there are %v", want, symbols)
		}
	}
}
