package runtime

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// FuzzMessages cuts content into messages, as it comes in pieces of any size, and compares with a reading of it as a
// whole.
func FuzzMessages(f *testing.F) {
	f.Add(lpm(0, "one"), []byte{1}, uint16(100), false)
	f.Add(append(lpm(0, ""), append(lpm(1, "two"), 0)...), []byte{3, 200}, uint16(100), true)
	f.Add(append(lpm(0, strings.Repeat("x", 70_000)), lpm(0, "y")...), []byte{255, 1}, uint16(1<<16-1), false)
	f.Add(lpm(2, "x"), []byte{}, uint16(0), true)
	f.Add(lpm(1, "x"), []byte{0}, uint16(1), false)
	f.Add([]byte("\x00\xff\xff\xff\xff"), []byte{2}, uint16(9), false)
	f.Fuzz(func(t *testing.T, content, cuts []byte, limit uint16, compressed bool) {
		compression := NoCompression
		if compressed {
			compression = Gzip
		}
		want, wantCode, wantPartial := readMessages(content, int(limit), compressed)
		var m messageReader
		var got []message
		code := codes.OK
		for i := 0; len(content) > 0 && code == codes.OK; i++ {
			n := len(content)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])*int(cuts[i%len(cuts)])+1)
			}
			piece := bytes.Clone(content[:n]) // of the read buffer, which is used again
			content = content[n:]
			for rest := piece; len(rest) > 0 && code == codes.OK; {
				var done bool
				var bad *outcome
				if rest, done, bad = m.feed(rest, int(limit), compression, wideOpen); bad != nil {
					code = bad.code
				} else if done {
					got = append(got, m.current)
				}
				if kept := cap(m.current.data); kept > max(16*len(m.current.data), firstChunk) {
					t.Fatalf("%d octets of a message occupy %d", len(m.current.data), kept)
				}
			}
			clear(piece)
		}
		if code != wantCode || code == codes.OK && m.partial() != wantPartial || len(got) != len(want) {
			t.Fatalf("%d messages, %v, partial %v; want %d, %v, %v", len(got), code, m.partial(), len(want), wantCode, wantPartial)
		}
		for i := range got {
			if !bytes.Equal(got[i].data, want[i].data) || got[i].compressed != want[i].compressed {
				t.Fatalf("message %d is %.100q, want %.100q", i, got[i].data, want[i].data)
			}
			checkInflate(t, got[i].data, int(limit))
		}
	})
}

// readMessages reads the messages of content up to the first that is wrong.
func readMessages(content []byte, limit int, compressed bool) (messages []message, code codes.Code, partial bool) {
	for len(content) >= 5 {
		flag, n := content[0], int64(binary.BigEndian.Uint32(content[1:]))
		switch {
		case flag > 1 || flag == 1 && !compressed:
			return messages, codes.Internal, false
		case n > int64(limit):
			return messages, codes.ResourceExhausted, false
		case n > int64(len(content)-5):
			return messages, codes.OK, true
		}
		messages = append(messages, message{data: content[5 : 5+n], compressed: flag == 1})
		content = content[5+n:]
	}
	return messages, codes.OK, len(content) > 0
}

// checkInflate inflates what is compressed and what only claims to be, and compares with the standard library.
func checkInflate(t *testing.T, data []byte, limit int) {
	t.Helper()
	var want []byte
	r, wantErr := gzip.NewReader(bytes.NewReader(data))
	if wantErr == nil {
		want, wantErr = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	}
	got, err := Gzip.inflate(data, limit)
	switch {
	case wantErr == nil && len(want) > limit:
		if err != errTooLarge || len(got) > limit+1 {
			t.Fatalf("inflated %d octets, %v; the limit is %d", len(got), err, limit)
		}
	case (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want):
		t.Fatalf("inflated to %.100q, %v; want %.100q, %v", got, err, want, wantErr)
	}
	for _, c := range []Compression{Gzip, Deflate} {
		deflated, err := c.deflate([]byte("before"), data, math.MaxInt)
		if err != nil || !bytes.HasPrefix(deflated, []byte("before")) {
			t.Fatalf("%v: %v", c, err)
		}
		if again, err := c.inflate(deflated[len("before"):], len(data)); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%v: %.100q came back as %.100q, %v", c, data, again, err)
		}
	}
}

// FuzzMetadata sends an entry of metadata in both directions. What is valid arrives as it was, and what is not would not
// have got through.
func FuzzMetadata(f *testing.F) {
	f.Add("key", "value", "a")
	f.Add("key-bin", "\x00\xff", "AP8=")
	f.Add("k.e_y-1-bin", "", "AA==, AQ,,AgM")
	f.Add("grpc-x", "", "A")
	f.Add("Upper", "é", " AA == ")
	f.Add("te", "trailers", "____")
	f.Add(":path", "\n", "AA\tAA")
	f.Add("-bin", " spaces ", "=")
	f.Fuzz(func(t *testing.T, key, value, encoded string) {
		md := Pairs(key, value, "between", "x", key, value)
		if md.Validate() == nil {
			request := decodeBlock(t, appendMetadata(nil, md))
			var d callDefinition
			if why := d.readFields(request); why != nil && why.httpStatus == 0 { // a content-type is missing
				t.Fatalf("%q: refused with %v", md, why)
			}
			if len(d.metadata) != 3 || d.metadata[0] != md[0] || d.metadata[1] != md[1] || d.metadata[2] != md[2] {
				t.Fatalf("%q came back as %q", md, d.metadata)
			}
		}
		got, err := appendBinary(Pairs("a", "b"), "x-bin", encoded)
		var want []string
		for part := range strings.SplitSeq(encoded, ",") {
			decoded, ok := decodeLeniently(part)
			if !ok {
				if err == nil {
					t.Fatalf("%q was decoded to %q; %q is not base64", encoded, got, part)
				}
				return
			}
			want = append(want, decoded)
		}
		if err != nil || got[0] != (Pair{"a", "b"}) || strings.Join(got.Values("x-bin"), "|") != strings.Join(want, "|") {
			t.Fatalf("%q was decoded to %q, %v; want %q", encoded, got, err, want)
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
