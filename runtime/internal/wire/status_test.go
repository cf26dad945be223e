package wire

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestPercentEncode(t *testing.T) {
	tests := []struct{ message, want string }{
		{"", ""},
		{"plain text ~!", "plain text ~!"},
		{"100%", "100%25"},
		{"é 100% \n~\x7f", "%C3%A9 100%25 %0A~%7F"}, // as C-core and grpc-go
		{"\x00\x1f\x20\x7e", "%00%1F ~"},
		{"日本", "%E6%97%A5%E6%9C%AC"},
		{"\xff", "%EF%BF%BD"},
		{"a\xc3", "a%EF%BF%BD"},
		{"\xed\xa0\x80", "%EF%BF%BD%EF%BF%BD%EF%BF%BD"}, // a surrogate
		{"\ufffd", "%EF%BF%BD"},
	}
	for _, tt := range tests {
		if got := percentEncode(tt.message); got != tt.want {
			t.Errorf("percentEncode(%q) = %q, want %q", tt.message, got, tt.want)
		}
	}
}

// TestPercentDecode is about what others may send.
func TestPercentDecode(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{"", ""},
		{"plain", "plain"},
		{"%C3%A9", "é"},
		{"%c3%a9", "é"},
		{"100%", "100%"},
		{"100%2", "100%2"},
		{"%25", "%"},
		{"%2525", "%25"},
		{"%zz%+1%0x", "%zz%+1%0x"},
		{"%%41", "%A"},
		{"%FF", "\xff"},
	} {
		if got := percentDecode(tt.value); got != tt.want {
			t.Errorf("percentDecode(%q) = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func FuzzPercentEncode(f *testing.F) {
	for _, message := range []string{"", "plain", "%", "%25", "é\x00", "\xff\xc3", "日本\n"} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		want := message
		if !utf8.ValidString(message) {
			want = string([]rune(message)) // each octet that is not UTF-8 becomes U+FFFD
		}
		encoded := percentEncode(message)
		if i := strings.IndexFunc(encoded, func(c rune) bool { return c < 0x20 || c > 0x7e }); i >= 0 {
			t.Errorf("%q was encoded as %q", message, encoded)
		}
		if got := percentDecode(encoded); got != want {
			t.Errorf("%q came back as %q, want %q", message, got, want)
		}
		if n := encodedLen(message); len(encoded) > n {
			t.Errorf("%q has %d octets encoded, and %d were foretold", message, len(encoded), n)
		}
		percentDecode(message) // whatever it is
	})
}

// readStatus reads the status that a field block ends an RPC with, and the metadata beside it.
func readStatus(t *testing.T, block []byte) (s Status, others []pair) {
	t.Helper()
	for _, line := range decodeBlock(t, block) {
		ok, err := s.ReadField(line.Name, line.Value)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			others = append(others, pair{line.Name, line.Value})
		}
	}
	return s, others
}

// TestStatus_Fit has too little room for a status: its details go first, then the end of its message, and never its code.
func TestStatus_Fit(t *testing.T) {
	whole := Status{codes.Aborted, strings.Repeat("t", 100), make([]byte, 300)}
	trailing := []pair{{"k", "v"}}
	all := TrailersSize(whole, trailing)
	for _, tt := range []struct {
		name    string
		less    int // room than the whole needs
		details bool
		text    int // octets of it, at least
		ok      bool
	}{
		{"All", 0, true, 100, true},
		{"NoDetails", 1, false, 100, true},
		{"NoDetailsAndLessText", fieldSize(detailsField, 400) + 50, false, 40, true},
		{"CodeOnly", fieldSize(detailsField, 400) + fieldSize(messageField, 100), false, 0, true},
		{"Nothing", all, false, 0, false},
	} {
		for _, headers := range []bool{false, true} {
			limit := all - tt.less
			block := Trailers(whole, trailing, limit)
			if headers {
				limit += ResponseHeadersSize
				block = TrailersOnly(whole, trailing, limit)
			}
			if (block != nil) != tt.ok {
				t.Errorf("%s: fits %v", tt.name, block != nil)
			}
			if block == nil {
				continue
			}
			got, others := readStatus(t, block)
			if size := sizeOf(decodeBlock(t, block)); size > limit || got.Code != codes.Aborted || len(got.Message) < tt.text || (got.Details != nil) != tt.details {
				t.Errorf("%s: %d octets of %d, with %d of text and %d of details", tt.name, size, limit, len(got.Message), len(got.Details))
			}
			want := trailing
			if headers {
				want = append([]pair{{":status", "200"}, {"content-type", "application/grpc"}}, trailing...)
			}
			if !slices.Equal(others, want) {
				t.Errorf("%s: %q, want %q", tt.name, others, want)
			}
		}
	}
}

// TestTrailers_OK is the block that most RPCs end with.
func TestTrailers_OK(t *testing.T) {
	for _, block := range [][]byte{Trailers(Status{}, []pair{}, 0), end(false, Status{}, []pair{}, math.MaxInt)} {
		if lines := decodeBlock(t, block); len(lines) != 1 || lines[0].Name != "grpc-status" || lines[0].Value != "0" {
			t.Errorf("got %v", lines)
		}
	}
}

// TestResponseHeaders has blocks that are ready-made say what each of them is for.
func TestResponseHeaders(t *testing.T) {
	for e := range Encoding(encodings) {
		lines := decodeBlock(t, ResponseHeaders(e))
		if lines[0].Name != ":status" || lines[0].Value != "200" || lines[1].Name != "content-type" || !IsGRPC(lines[1].Value) {
			t.Errorf("%v: got %v", e, lines)
		}
		if e == Identity && len(lines) != 2 || e != Identity && (lines[2].Name != "grpc-encoding" || lines[2].Value != e.String()) {
			t.Errorf("%v: got %v", e, lines)
		}
		if size := sizeOf(lines); size > ResponseHeadersSize {
			t.Errorf("%v: %d octets, and ResponseHeadersSize is %d", e, size, ResponseHeadersSize)
		}
	}
}

func TestIsGRPC(t *testing.T) {
	for value, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc;charset=utf-8": true, "application/grpc+proto;x=y": true,
		"": false, "application/grpc+json": false, "application/grpc-web": false, "application/grpcx": false, "application/json": false,
		"application/grpc+protox": false, "Application/grpc": false,
	} {
		if got := IsGRPC(value); got != want {
			t.Errorf("IsGRPC(%q) = %v", value, got)
		}
	}
}

// TestStatus_ReadField is about what others may send.
func TestStatus_ReadField(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        Status
		ok          bool
		kind        Kind
	}{
		{"grpc-status", "0", Status{}, true, noError},
		{"grpc-status", "16", Status{Code: codes.Unauthenticated}, true, noError},
		{"grpc-status", "17", Status{Code: codes.Unknown}, true, noError},
		{"grpc-status", "4294967295", Status{Code: codes.Unknown}, true, noError},
		{"grpc-status", "4294967296", Status{}, true, Malformed},
		{"grpc-status", "-1", Status{}, true, Malformed},
		{"grpc-status", "", Status{}, true, Malformed},
		{"grpc-status", "OK", Status{}, true, Malformed},
		{"grpc-message", "%C3%A9", Status{Message: "é"}, true, noError},
		{"grpc-status-details-bin", "AAE", Status{Details: []byte{0, 1}}, true, noError},
		{"grpc-status-details-bin", "AAE=", Status{Details: []byte{0, 1}}, true, noError},
		{"grpc-status-details-bin", "$", Status{}, true, Malformed},
		{"grpc-other", "1", Status{}, false, noError},
	} {
		var s Status
		ok, err := s.ReadField(tt.name, tt.value)
		if ok != tt.ok || kindOf(t, err) != tt.kind || err == nil && (s.Code != tt.want.Code || s.Message != tt.want.Message || !bytes.Equal(s.Details, tt.want.Details)) {
			t.Errorf("%s: %q became %v, %v, %v", tt.name, tt.value, s, ok, err)
		}
	}
}

// FuzzStatus sends a status in both directions, and reads trailers that others may have sent.
func FuzzStatus(f *testing.F) {
	f.Add(uint32(0), "", "", "0")
	f.Add(uint32(5), "not found", "detail", "16")
	f.Add(uint32(77), "é%\n", "", "-1")
	f.Add(uint32(2), "\xff\xc3", "\xff", "%zz")
	f.Fuzz(func(t *testing.T, code uint32, message, detail, foreign string) {
		st := status.New(codes.Code(code), message)
		if detail != "" && code != 0 {
			st, _ = st.WithDetails(wrapperspb.Bytes([]byte(detail)))
		}
		sent := StatusOf(st)
		got, others := readStatus(t, Trailers(sent, []pair{}, math.MaxInt))
		want := st.Proto()
		want.Code, want.Message = int32(min(codes.Code(code), codes.Unauthenticated+1)), string([]rune(message))
		if want.Code > int32(codes.Unauthenticated) {
			want.Code = int32(codes.Unknown)
		}
		if !utf8.ValidString(message) {
			want.Details = nil // such a google.rpc.Status cannot be encoded
		}
		for _, s := range []Status{sent, got} {
			if p := s.GRPC().Proto(); len(others) > 0 || !proto.Equal(p, want) {
				t.Fatalf("%v became %v, want %v, and %q", st, p, want, others)
			}
		}
		for _, name := range []string{codeField, messageField, detailsField} {
			var s Status
			if _, err := s.ReadField(name, foreign); err == nil {
				if _, err := status.FromError(s.Err()); !err {
					t.Fatalf("%s: %q became %v", name, foreign, s)
				}
			}
		}
	})
}
