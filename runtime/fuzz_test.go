package runtime

import (
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// FuzzMetadata sends an entry of metadata in both directions. What is valid arrives as it was, and what is not would not
// have got through.
func FuzzMetadata(f *testing.F) {
	f.Add("key", "value")
	f.Add("key-bin", "\x00\xff")
	f.Add("k.e_y-1-bin", "")
	f.Add("grpc-x", "")
	f.Add("Upper", "é")
	f.Add("te", "trailers")
	f.Add(":path", "\n")
	f.Add("-bin", " spaces ")
	f.Fuzz(func(t *testing.T, key, value string) {
		md := Pairs(key, value, "between", "x", key, value)
		if md.Validate() == nil {
			request := decodeBlock(t, wire.AppendMetadata(nil, md))
			var d callDefinition
			if why := d.readFields(request); why != nil && why.httpStatus == 0 { // a content-type is missing
				t.Fatalf("%q: refused with %v", md, why)
			}
			if len(d.metadata) != 3 || d.metadata[0] != md[0] || d.metadata[1] != md[1] || d.metadata[2] != md[2] {
				t.Fatalf("%q came back as %q", md, d.metadata)
			}
		}
	})
}

// decodeBlock decodes a field block as another implementation reads it.
func decodeBlock(t *testing.T, block []byte) *fields.Section {
	t.Helper()
	lines, err := hpack.NewDecoder(0, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	request := &fields.Section{Method: "POST", Path: "/a/b", Scheme: "http"}
	for _, field := range lines {
		for i := range field.Value {
			if c := field.Value[i]; c < 0x20 || c > 0x7e { // gRPC PROTOCOL-HTTP2: ASCII-Value
				t.Fatalf("field %v has the octet 0x%02x", field, c)
			}
		}
		request.Fields = append(request.Fields, fields.Field{Name: field.Name, Value: field.Value})
	}
	return request
}
