package runtime

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// testResult is how an RPC ended.
type testResult struct {
	t        testing.TB
	headers  []hpack.HeaderField // without those of a Trailers-Only response
	trailers []hpack.HeaderField
	messages []string
	flags    []byte // the Compressed-Flag of each
	rest     []byte // content that is not a whole message
	ended    bool   // END_STREAM came
	reset    bool
	code     http2.ErrCode
}

// result waits for the end of the RPC.
func (st *testStream) result() *testResult {
	st.c.t.Helper()
	st.c.wait(fmt.Sprintf("the end of stream %d", st.id), func() bool { return st.ended || st.reset || st.c.Err != nil })
	return st.snapshot()
}

func (st *testStream) snapshot() *testResult {
	st.c.Lock()
	defer st.c.Unlock()
	r := &testResult{
		t: st.c.t, headers: st.headers, trailers: st.trailers, ended: st.ended, reset: st.reset, code: st.code,
		rest: st.data,
	}
	for len(r.rest) >= wire.PrefixLen {
		length := int(binary.BigEndian.Uint32(r.rest[1:]))
		if len(r.rest) < wire.PrefixLen+length {
			break
		}
		r.messages = append(r.messages, string(r.rest[wire.PrefixLen:wire.PrefixLen+length]))
		r.flags = append(r.flags, r.rest[0])
		r.rest = r.rest[wire.PrefixLen+length:]
	}
	return r
}

// next waits for the n-th message, from 1, and returns it.
func (st *testStream) next(n int) string {
	st.c.t.Helper()
	var got *testResult
	for got == nil || len(got.messages) < n {
		had := 0
		if got != nil {
			if got.ended || got.reset {
				st.c.t.Fatalf("stream %d ended after %d messages; want %d", st.id, len(got.messages), n)
			}
			had = len(got.rest)
			for _, m := range got.messages {
				had += wire.PrefixLen + len(m)
			}
		}
		st.c.wait("a message", func() bool { return len(st.data) > had || st.ended || st.reset || st.c.Err != nil })
		got = st.snapshot()
	}
	return got.messages[n-1]
}

// field returns the first value of a field, and whether there is one.
func field(fields []hpack.HeaderField, name string) (value string, ok bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// status returns what the trailers say.
func (r *testResult) status() (code codes.Code, details string) {
	r.t.Helper()
	value, ok := field(r.trailers, "grpc-status")
	if !ok {
		r.t.Fatalf("the RPC ended without grpc-status: %+v", *r)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		r.t.Fatalf("grpc-status is %q", value)
	}
	message, _ := field(r.trailers, "grpc-message")
	return codes.Code(n), percentDecode(r.t, message)
}

// want checks status and messages of an RPC.
func (r *testResult) want(code codes.Code, details string, messages ...string) {
	r.t.Helper()
	gotCode, gotDetails := r.status()
	if gotCode != code || gotDetails != details {
		r.t.Errorf("status is %v %q, want %v %q", gotCode, gotDetails, code, details)
	}
	if strings.Join(r.messages, "|") != strings.Join(messages, "|") || len(r.messages) != len(messages) {
		r.t.Errorf("messages are %.200q, want %.200q", r.messages, messages)
	}
	if len(r.rest) > 0 && code == codes.OK {
		r.t.Errorf("%d octets of content are left over", len(r.rest))
	}
}

// decodeBinary decodes the value of a -bin field as a client does.
func decodeBinary(t testing.TB, value string) string {
	t.Helper()
	decoded, err := base64.RawStdEncoding.DecodeString(value)
	if err != nil {
		t.Fatalf("-bin value %q: %v", value, err)
	}
	return string(decoded)
}

// percentDecode decodes a grpc-message, and insists that it needed its encoding (gRPC PROTOCOL-HTTP2,
// "Status-Message").
func percentDecode(t testing.TB, message string) string {
	t.Helper()
	var out []byte
	for i := 0; i < len(message); i++ {
		c := message[i]
		if c < 0x20 || c > 0x7e {
			t.Fatalf("grpc-message %q has the octet 0x%02x", message, c)
		}
		if c != '%' {
			out = append(out, c)
			continue
		}
		if i+2 >= len(message) {
			t.Fatalf("grpc-message %q ends in the middle of an encoded octet", message)
		}
		n, err := strconv.ParseUint(message[i+1:i+3], 16, 8)
		if err != nil || strings.ToUpper(message[i+1:i+3]) != message[i+1:i+3] {
			t.Fatalf("grpc-message %q: %q is not an encoded octet", message, message[i:i+3])
		}
		out = append(out, byte(n))
		i += 2
	}
	return string(out)
}
