package codegen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/gogreeter/gogreeter/internal/codegen/gofile"
)

// annotations returns the text of a .meta file: which symbols of a generated file stand for which declarations of the
// .proto file. Code search and documentation tools read it.
//
// It is a google.protobuf.GeneratedCodeInfo in text format, written by hand: what prototext writes differs from build
// to build, on purpose.
func annotations(o *output) (string, error) {
	fset := token.NewFileSet()
	source, err := parser.ParseFile(fset, o.name, o.content, parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("%s: cannot annotate: %w", o.file.Source, err)
	}
	locations := o.file.symbolLocations()
	var b strings.Builder
	gofile.ForEachSymbol(source, func(symbol string, ident *ast.Ident) {
		location, ok := locations[symbol]
		if !ok {
			return
		}
		b.WriteString("annotation: {")
		for _, element := range location.Path {
			fmt.Fprintf(&b, "path: %d ", element)
		}
		fmt.Fprintf(&b, "source_file: %q begin: %d end: %d}\n",
			location.SourceFile, fset.Position(ident.Pos()).Offset, fset.Position(ident.End()).Offset)
	})
	return b.String(), nil
}

// symbolLocations maps what is generated for a file to what it is generated for. A member is "Type.member".
func (f *File) symbolLocations() map[string]protogen.Location {
	locations := make(map[string]protogen.Location)
	for _, s := range f.Services {
		for _, name := range s.declarations() {
			locations[name] = s.source.Location
		}
		for _, m := range s.Methods {
			for _, name := range m.declarations() {
				locations[name] = m.source.Location
			}
			for _, typ := range []string{s.Servicer, s.Unimplemented, s.Fake} {
				locations[typ+"."+m.Name] = m.source.Location
			}
			locations[s.Fake+"."+m.FakeField] = m.source.Location
			locations[s.Fake+"."+m.FakeCalls] = m.source.Location
		}
	}
	return locations
}
