package wire

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// pair is declared as another package's entries of metadata are.
type pair struct{ Key, Value string }

// readMetadata reads field lines as metadata.
func readMetadata(t *testing.T, block []byte) (md []pair) {
	t.Helper()
	for _, line := range decodeBlock(t, block) {
		if IsBinary(line.Name) && strings.Contains(line.Value, "=") {
			t.Errorf("%q is padded", line.Value)
		}
		var err error
		if md, err = ReadMetadata(md, line.Name, line.Value); err != nil {
			t.Fatal(err)
		}
	}
	return md
}

// TestValidate is about what cannot be sent, and what can although it looks odd.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		want       string // in the error; empty: none
	}{
		{"", "x", "empty key"},
		{"Upper", "x", `'U' is not allowed`},
		{":status", "x", `':' is not allowed`},
		{"a b", "x", `' ' is not allowed`},
		{"é", "x", "is not allowed"},
		{"key", "\x1f", "octet 0x1f"},
		{"key", "\x7f", "octet 0x7f"},
		{"key", "é", "octet 0xc3"},
		{"grpc-status", "0", "reserved"},
		{"grpc-x-bin", "x", "reserved"},
		{"te", "trailers", "reserved"},
		{"k.e_y-0", " ~", ""},
		{"-bin", "\x00\xff", ""},
		{"grpc-retry-pushback-ms", "1", ""},
	} {
		if err := Validate(tt.key, tt.value); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %q: %v, want %q", tt.key, tt.value, err, tt.want)
		}
	}
}

// FuzzMetadata sends an entry of metadata in both directions. What is valid arrives as it was.
func FuzzMetadata(f *testing.F) {
	f.Add("key", "value")
	f.Add("key-bin", "\x00\xff")
	f.Add("k.e_y-1-bin", "")
	f.Add("grpc-x", "")
	f.Add("Upper", "é")
	f.Add("te", "trailers")
	f.Add("-bin", " spaces ")
	f.Fuzz(func(t *testing.T, key, value string) {
		if Validate(key, value) != nil {
			return
		}
		if IsReserved(key) {
			t.Fatalf("%q is valid and reserved", key)
		}
		md := []pair{{key, value}, {"between", "x"}, {key, value}}
		block := AppendMetadata(nil, md)
		if got := readMetadata(t, block); !slices.Equal(got, md) {
			t.Fatalf("%q came back as %q", md, got)
		}
		if got, want := MetadataSize(md), sizeOf(decodeBlock(t, block)); got != want {
			t.Fatalf("%q: the size is %d, want %d", md, got, want)
		}
	})
}

// FuzzBinary decodes the values of a binary field.
func FuzzBinary(f *testing.F) {
	for _, encoded := range []string{"a", "AP8=", "AA==, AQ,,AgM", "A", " AA == ", "____", "AA\tAA", "="} {
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		got, err := ReadMetadata([]pair{{"a", "b"}}, "x-bin", encoded)
		want := []pair{{"a", "b"}}
		for part := range strings.SplitSeq(encoded, ",") {
			decoded, ok := decodeLeniently(part)
			if !ok {
				if kindOf(t, err) != Malformed {
					t.Fatalf("%q was decoded to %q; %q is not base64", encoded, got, part)
				}
				return
			}
			want = append(want, pair{"x-bin", decoded})
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q was decoded to %q, %v; want %q", encoded, got, err, want)
		}
	})
}

// decodeLeniently decodes base64 with any padding, spaces around it, and, as package base64 does, line breaks in it; but
// padding is at the very end. (HTTP/2 lets no line break through; they are here since nothing else looks for them.)
func decodeLeniently(part string) (decoded string, ok bool) {
	part = strings.TrimRight(strings.Trim(part, " "), "=")
	if strings.Contains(part, "=") {
		return "", false
	}
	part = strings.NewReplacer("\r", "", "\n", "").Replace(part)
	for len(part)%4 != 0 {
		part += "="
	}
	b, err := base64.StdEncoding.DecodeString(part)
	return string(b), err == nil
}
