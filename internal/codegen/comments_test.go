package codegen

import (
	"bytes"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
)

func TestTextLines(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"white space", " \n\t\n", nil},
		{"lines around it", "\n\n a\n\n b\n\n", []string{" a", "", " b"}},
		{"windows", " a\r\n b\r\n", []string{" a", " b"}},
		{"old mac", " a\r b", []string{" a", " b"}},
		{"trailing space", " a \t\n", []string{" a"}},
		{"block with two stars", "*\n a\n", []string{" a"}},
		{"a list", " * a\n * b\n", []string{" * a", " * b"}},
		{"end of a block comment", " */ /* ", []string{" */ /*"}},
		{"control characters", " a\x00b\x1bc\fd\ve", []string{" a b c d e"}},
		{"what other languages take for the end of a line", " a\u2028b\u2029c\u0085d", []string{" a b c d"}},
		{"byte order mark", "\uFEFF a", []string{"  a"}},
		{"not UTF-8", " a\xffb", []string{" a\uFFFDb"}},
		{"build constraints", "+build ignore\n+build ignore\ngo:build ignore\n", []string{"(+build ignore)", "(+build ignore)", "(go:build ignore)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := textLines(test.text); !slices.Equal(got, test.want) {
				t.Errorf("textLines(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func TestDoc_IsDeprecated(t *testing.T) {
	tests := []struct {
		doc  Doc
		want bool
	}{
		{nil, false},
		{Doc{" Deprecated: use B."}, true},
		{Doc{" Does it.", "", " Deprecated: use B."}, true},
		{Doc{" Does it.", " Deprecated: in the middle of a paragraph."}, false},
		{Doc{" Deprecated is what it is."}, false},
	}
	for _, test := range tests {
		if got := test.doc.isDeprecated(); got != test.want {
			t.Errorf("%q: %v", test.doc, got)
		}
	}
}

// FuzzComments puts arbitrary comments into a Go file: it has to parse, and gofmt has to leave it alone.
func FuzzComments(f *testing.F) {
	for _, seed := range []string{
		" plain\n", "", "*/ x", "go:build ignore\n+build ignore", "\r\n\x00\uFEFF", "  - a\n  - b\n\n text", " # H\n\n\tcode\n", "line a.go:1",
		" Deprecated: x", "+build a\n\n", " 1. a\n 2. b\n", " [x]: http://y\n", "\t\n \t x\n", "nolint\n",
		"  0000\rA\n\nB",
	} {
		f.Add(seed, " second")
	}
	f.Fuzz(func(t *testing.T, leading, trailing string) {
		doc := Doc{"T is a type."}.paragraph(commentLines(protogen.CommentSet{
			LeadingDetached: []protogen.Comments{protogen.Comments(trailing)},
			Leading:         protogen.Comments(leading),
			Trailing:        protogen.Comments(trailing),
		})...).formatted()
		source := "// Code generated. DO NOT EDIT.\n\npackage p\n\n" + doc.String() + "type T interface {\n" + doc.Indent() + "\tM()\n}\n"
		formatted, err := format.Source([]byte(source))
		if err != nil {
			t.Fatalf("%v\n%s", err, source)
		}
		file, err := parser.ParseFile(token.NewFileSet(), "", formatted, parser.ParseComments)
		if err != nil || len(file.Decls) != 1 {
			t.Fatalf("%v: %d declarations\n%s", err, len(file.Decls), formatted)
		}
		if strings.Contains(string(formatted), "\n//go:") {
			t.Fatalf("a directive:\n%s", formatted)
		}
		again, err := format.Source(formatted)
		if err != nil || !bytes.Equal(again, formatted) {
			t.Fatalf("%v: gofmt changes\n%s\ninto\n%s", err, formatted, again)
		}
	})
}
