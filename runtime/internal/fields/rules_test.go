package fields

import (
	"strings"
	"testing"
)

// TestDecoder_Rules has sections of each kind, written "name=value name=value". What they may have depends on the kind.
func TestDecoder_Rules(t *testing.T) {
	const request = ":method=POST :scheme=http :path=/a/b "
	for _, row := range []struct {
		kind      Kind
		section   string
		malformed string // part of the reason, or empty
	}{
		{Request, request, ""},
		{Request, request + ":authority=test a=b", ""},
		{Request, ":method=CONNECT :authority=test", ""},
		{Request, ":method=POST :scheme=http", "missing"},
		{Request, ":scheme=http :path=/", "missing"},
		{Request, "", "missing"},
		{Request, request + ":status=200", "unknown"},
		{Request, request + ":protocol=x", "unknown"},
		{Request, request + ":path=/a/b", "twice"},
		{Request, request + ":authority= :authority=test", "twice"},
		{Request, request + "a=b :authority=test", "after a regular field"},
		{Request, ":method=POST :scheme=http :path=", "empty"},
		{Request, request + ":authority=\n", "control character"},
		{Request, request + "a=\r", "control character"},
		{Request, request + "A=b", "invalid field name"},
		{Request, request + "te=gzip", "te is not trailers"},
		{Request, request + "connection=close", "connection-specific"},
		{Request, request + "content-length=3 content-length=3", ""},
		{Request, request + "content-length=3 content-length=0", "content-length"},
		{Request, request + "content-length=-3", "content-length"},
		{Request, request + "host=a host=b", "several host fields"},

		{Response, ":status=200", ""},
		{Response, ":status=100", ""},
		{Response, ":status=999 host=a host=b", ""},
		{Response, "", "missing"},
		{Response, "a=b", "missing"},
		{Response, ":status=", "empty"},
		{Response, ":status=99", "bad status"},
		{Response, ":status=099", "bad status"},
		{Response, ":status=+20", "bad status"},
		{Response, ":status=2000", "bad status"},
		{Response, ":status=ok!", "bad status"},
		{Response, ":status=200 :status=200", "twice"},
		{Response, "a=b :status=200", "after a regular field"},
		{Response, ":status=200 :path=/", "unknown"},
		{Response, request, "unknown"},
		{Response, ":status=200 transfer-encoding=chunked", "connection-specific"},

		{Trailers, "grpc-status=0", ""},
		{Trailers, "", ""},
		{Trailers, "host=a host=b", ""},
		{Trailers, ":status=200", "unknown"},
		{Trailers, ":path=/", "unknown"},
		{Trailers, "A=b", "invalid field name"},
	} {
		var block []byte
		for _, line := range strings.Split(row.section, " ") {
			if name, value, ok := strings.Cut(line, "="); ok {
				block = AppendField(block, name, value)
			}
		}
		s, err := NewDecoder(1000, 20).Decode(row.kind, block)
		if err != nil {
			t.Fatalf("%q: %v", row.section, err)
		}
		if (s.Malformed == "") != (row.malformed == "") || !strings.Contains(s.Malformed, row.malformed) {
			t.Errorf("kind %d, %q: got %q, want %q", row.kind, row.section, s.Malformed, row.malformed)
		}
	}
}

func TestDecoder_Status(t *testing.T) {
	s, err := NewDecoder(1000, 20).Decode(Response, AppendField(AppendStatus(nil, 204), "content-length", "7"))
	if err != nil || s.Status != "204" || s.ContentLength != 7 || s.Method != "" {
		t.Errorf("got %+v, %v", s, err)
	}
}
