package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

func TestMetadata_Accessors(t *testing.T) {
	md := Pairs("a", "1", "B", "2", "a", "3")
	if want := (Metadata{{"a", "1"}, {"b", "2"}, {"a", "3"}}); !slices.Equal(md, want) {
		t.Errorf("Pairs made %v, want %v", md, want)
	}
	if md.Get("a") != "1" || md.Get("A") != "1" || md.Get("c") != "" {
		t.Errorf("Get found %q, %q and %q", md.Get("a"), md.Get("A"), md.Get("c"))
	}
	if got := md.Values("A"); !slices.Equal(got, []string{"1", "3"}) || md.Values("c") != nil {
		t.Errorf("Values found %q", got)
	}
	if got := md.MD(); !slices.Equal(got["a"], []string{"1", "3"}) || !slices.Equal(got["b"], []string{"2"}) || len(got) != 2 {
		t.Errorf("MD made %v", got)
	}
}

func TestFromMD(t *testing.T) {
	for _, tt := range []struct {
		md   metadata.MD
		want Metadata
	}{
		{nil, Metadata{}},
		{metadata.MD{"none": nil}, Metadata{}},
		{metadata.MD{"b": {"2", "1"}, "A": {"3"}, "x-bin": {"\x00\xff"}}, Metadata{{"a", "3"}, {"b", "2"}, {"b", "1"}, {"x-bin", "\x00\xff"}}},
	} {
		if got := FromMD(tt.md); !slices.Equal(got, tt.want) {
			t.Errorf("FromMD(%v) made %v, want %v", tt.md, got, tt.want)
		}
		for key, values := range FromMD(tt.md).MD() {
			if got := tt.md[key]; key != "a" && !slices.Equal(got, values) { // which was in upper case
				t.Errorf("there and back, %q is %q, was %q", key, values, got)
			}
		}
	}
}

func TestMetadata_Only(t *testing.T) {
	md := Pairs("a", "1", "b", "2", "a", "3", "c", "4")
	for _, tt := range []struct {
		keys []string
		want Metadata
	}{
		{nil, nil},
		{[]string{"d"}, nil},
		{[]string{"b"}, Pairs("b", "2")},
		{[]string{"C", "A"}, Pairs("a", "1", "a", "3", "c", "4")},
	} {
		if got := md.Only(tt.keys...); !slices.Equal(got, tt.want) {
			t.Errorf("Only(%q) returned %v, want %v", tt.keys, got, tt.want)
		}
	}
}

// TestMetadata_Clone shares nothing with what was cloned.
func TestMetadata_Clone(t *testing.T) {
	md := Pairs("a", "1")
	clone := md.Clone()
	clone[0].Value = "2"
	if md.Get("a") != "1" || clone.Get("a") != "2" || Metadata(nil).Clone() != nil {
		t.Errorf("the original is %v, the clone %v", md, clone)
	}
}

// TestMetadata_Printed shows no secret, however it is printed, and is bounded whatever a client has sent.
func TestMetadata_Printed(t *testing.T) {
	const secret = "s3cr3t"
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		md   Metadata
		want string
	}{
		{nil, ""},
		{Pairs("a", "1", "b-bin", "\x00\xff", "a", `q"`), `a="1" b-bin="\x00\xff" a="q\""`},
		{Pairs("Authorization", secret, "tenant", "acme"), `authorization=*** tenant="acme"`},
		{Pairs("proxy-authorization", secret, "x-auth", secret, "cookie", secret), `proxy-authorization=*** x-auth=*** cookie=***`},
		{Pairs("x-api-key", secret, "token-bin", secret, "set-cookie", secret), `x-api-key=*** token-bin=*** set-cookie=***`},
		{Pairs("password", secret, "client-secret", secret, "session-id", secret), `password=*** client-secret=*** session-id=***`},
		{Pairs("a", long), `a="` + long[:64] + `..."`},
		{Pairs(long, "1"), long[:64] + `...="1"`},
		{slices.Repeat(Pairs("a", long), 9), strings.TrimSuffix(strings.Repeat(`a="`+long[:64]+`..." `, 8), " ") + " and 1 more"},
	} {
		if got := tt.md.String(); got != tt.want {
			t.Errorf("String returned %s, want %s", got, tt.want)
		}
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("called", "metadata", tt.md)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("called", "metadata", tt.md)
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %q %s", tt.md, tt.md, tt.md, tt.md, tt.md), logged.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is printed: %s", text)
			}
		}
	}
}

// TestPairs_Odd is a mistake that nobody is to miss.
func TestPairs_Odd(t *testing.T) {
	defer func() {
		if reason := fmt.Sprint(recover()); !strings.Contains(reason, `"odd" has no value`) {
			t.Errorf("Pairs panicked with %q", reason)
		}
	}()
	t.Errorf("Pairs returned %v", Pairs(strings.Fields("a 1 odd")...)) // which staticcheck doesn't see through
}

// TestMetadata_RetryPushback has a server advise a client that retries, which is gRPC's own, and yet the application's to
// say.
func TestMetadata_RetryPushback(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		pushback := Pairs("grpc-retry-pushback-ms", "100")
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			if err := SetTrailingMetadata(ctx, pushback); err != nil {
				t.Error(err)
			}
			return nil, status.Error(codes.Unavailable, "later")
		})})
		r := s.dial().call("/t.S/M", "x").result()
		r.want(codes.Unavailable, "later")
		wantMetadata(t, "trailing metadata", r.trailers, pushback)
	})
}

// invalidMetadata is what cannot be sent. In grpc-python most of these leave the RPC unanswered for ever.
var invalidMetadata = []struct {
	name string
	pair Pair
	want string // in the error
}{
	{"EmptyKey", Pair{"", "x"}, "empty key"},
	{"UpperCase", Pair{"Upper", "x"}, `'U' is not allowed`},
	{"Pseudo", Pair{":status", "x"}, `':' is not allowed`},
	{"Space", Pair{"a b", "x"}, `' ' is not allowed`},
	{"NotASCII", Pair{"schlüssel", "x"}, "not allowed"},
	{"Plus", Pair{"a+b", "x"}, `'+' is not allowed`},
	{"NewLine", Pair{"key", "a\nb"}, "octet 0x0a"},
	{"CarriageReturn", Pair{"key", "a\rb"}, "octet 0x0d"},
	{"NUL", Pair{"key", "\x00"}, "octet 0x00"},
	{"Tab", Pair{"key", "a\tb"}, "octet 0x09"},
	{"Delete", Pair{"key", "\x7f"}, "octet 0x7f"},
	{"UTF8", Pair{"key", "é"}, "octet 0xc3"},
	{"GRPCStatus", Pair{"grpc-status", "0"}, "reserved"},
	{"GRPCMessage", Pair{"grpc-message", "x"}, "reserved"},
	{"GRPCEncoding", Pair{"grpc-encoding", "gzip"}, "reserved"},
	{"GRPCDetails", Pair{"grpc-status-details-bin", "x"}, "reserved"},
	{"GRPCOther", Pair{"grpc-x", "x"}, "reserved"},
	{"ContentType", Pair{"content-type", "x"}, "reserved"},
	{"TE", Pair{"te", "trailers"}, "reserved"},
	{"Connection", Pair{"connection", "close"}, "reserved"},
	{"TransferEncoding", Pair{"transfer-encoding", "chunked"}, "reserved"},
	{"ContentLength", Pair{"content-length", "1"}, "reserved"},
}

// TestMetadata_Invalid checks that the setters refuse, and that the RPC goes on.
func TestMetadata_Invalid(t *testing.T) {
	for _, tt := range invalidMetadata {
		runInBubble(t, tt.name, func(t *testing.T) {
			md := Metadata{{"good", "1"}, tt.pair}
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				for what, err := range map[string]error{
					"SendInitialMetadata": SendInitialMetadata(ctx, md), "SetTrailingMetadata": SetTrailingMetadata(ctx, md),
					"SetInitialMetadata": SetInitialMetadata(ctx, md),
				} {
					if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("%s: got %v, want %q", what, err, tt.want)
					}
				}
				return request, nil
			})})
			r := s.dial().call("/t.S/M", "x").result()
			r.want(codes.OK, "", "x")
			if _, ok := field(slices.Concat(r.headers, r.trailers), "good"); ok {
				t.Error("part of the metadata was sent")
			}
		})
	}
}

// TestMetadata_Sent checks what arrives of valid metadata.
func TestMetadata_Sent(t *testing.T) {
	md := Pairs("k", "1", "x-bin", "\x00\x01\xff", "k", "2", "empty", "", "x-bin", "", "k", "1", "under_score.dot-0", " ~ ", "comma", "3,4")
	for _, c := range cardinalities {
		for _, fails := range []bool{false, true} {
			name := c.name + "/ok"
			if fails {
				name = c.name + "/panic"
			}
			runInBubble(t, name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
					sent := slices.Clone(md)
					if err := SetTrailingMetadata(call.ctx, Pairs("lost", "replaced")); err != nil {
						t.Errorf("SetTrailingMetadata: %v", err)
					}
					if err := SetTrailingMetadata(call.ctx, sent); err != nil {
						t.Errorf("SetTrailingMetadata: %v", err)
					}
					if err := SendInitialMetadata(call.ctx, sent); err != nil {
						t.Errorf("SendInitialMetadata: %v", err)
					}
					clear(sent) // the caller's again
					if fails {
						panic("now")
					}
					return call.send(rawOf("x"))
				})})
				r := s.dial().call("/t.S/M", "x").result()
				if fails {
					r.want(codes.Unknown, "Exception calling application: now")
				} else {
					r.want(codes.OK, "", "x")
				}
				wantMetadata(t, "initial metadata", r.headers, md)
				wantMetadata(t, "trailing metadata", r.trailers, md)
			})
		}
	}
}

// wantMetadata checks the custom metadata among fields, and its order.
func wantMetadata(t *testing.T, what string, fields []hpack.HeaderField, want Metadata) {
	t.Helper()
	var got Metadata
	for _, f := range fields {
		if f.Name == ":status" || wire.IsReserved(f.Name) {
			continue
		}
		if wire.IsBinary(f.Name) {
			if strings.HasSuffix(f.Value, "=") {
				t.Errorf("%s: %s is padded", what, f.Name)
			}
			f.Value = decodeBinary(t, f.Value)
		}
		got = append(got, Pair{f.Name, f.Value})
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestMetadata_Initial is about when initial metadata can be sent, and that it goes out at once.
func TestMetadata_Initial(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		second, late := make(chan error, 1), make(chan error, 1)
		proceed := make(chan struct{})
		s := newTestServer(t, ServerOptions{}, handlers{
			"M": UnaryStream(
				func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
					if err := SendInitialMetadata(ctx, Pairs("n", "1")); err != nil {
						t.Errorf("SendInitialMetadata: %v", err)
					}
					second <- SendInitialMetadata(ctx, Pairs("n", "2"))
					<-proceed
					return responses.Send(rawOf("x"))
				}),
			"Late": UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
				err := responses.Send(rawOf("x"))
				late <- SendInitialMetadata(ctx, Pairs("n", "2"))
				return err
			}),
		})
		c := s.dial()
		st := c.call("/t.S/M", "")
		c.wait("initial metadata", func() bool { return st.headers != nil })
		close(proceed)
		r := st.result()
		r.want(codes.OK, "", "x")
		wantMetadata(t, "initial metadata", r.headers, Pairs("n", "1"))
		r = c.call("/t.S/Late", "").result()
		r.want(codes.OK, "", "x")
		wantMetadata(t, "initial metadata", r.headers, nil)
		for _, err := range []error{<-second, <-late} {
			if !errors.Is(err, ErrInitialMetadataSent) || err.Error() != "Initial metadata no longer allowed!" {
				t.Errorf("SendInitialMetadata: %v", err)
			}
		}
	})
}

// TestMetadata_Invocation is about what a handler sees of the request's fields.
func TestMetadata_Invocation(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		want   Metadata
		code   codes.Code
	}{
		{"None", nil, nil, codes.OK},
		{"UserAgent", []string{"user-agent", "grpc-x/1", "k", "v"}, Pairs("user-agent", "grpc-x/1", "k", "v"), codes.OK},
		{"OrderAndDuplicates", []string{"b", "1", "a", "2", "b", "3", "b", "1"}, Pairs("b", "1", "a", "2", "b", "3", "b", "1"), codes.OK},
		{"Comma", []string{"a", "3,4"}, Pairs("a", "3,4"), codes.OK},
		{"Empty", []string{"a", ""}, Pairs("a", ""), codes.OK},
		{"Spaces", []string{"a", " x "}, Pairs("a", " x "), codes.OK},
		{"UTF8", []string{"a", "é"}, Pairs("a", "é"), codes.OK},
		{"Cookie", []string{"cookie", "a=b"}, Pairs("cookie", "a=b"), codes.OK},
		{"PreviousAttempts", []string{"grpc-previous-rpc-attempts", "1"}, Pairs("grpc-previous-rpc-attempts", "1"), codes.OK},
		{
			"OfTheProtocol",
			[]string{
				"grpc-timeout", "1H", "grpc-encoding", "identity", "grpc-accept-encoding", "gzip", "grpc-trace-bin", "AA",
				"grpc-tags-bin", "AA", "content-length", "6",
			},
			nil, codes.OK,
		},
		{"BinaryBare", []string{"x-bin", "AAE"}, Pairs("x-bin", "\x00\x01"), codes.OK},
		{"BinaryPadded", []string{"x-bin", "AAE="}, Pairs("x-bin", "\x00\x01"), codes.OK},
		{"BinaryEmpty", []string{"x-bin", ""}, Pairs("x-bin", ""), codes.OK},
		{"BinaryJoined", []string{"x-bin", "AAE,AAI="}, Pairs("x-bin", "\x00\x01", "x-bin", "\x00\x02"), codes.OK},
		{"BinaryJoinedSpace", []string{"x-bin", "AAE, AAI"}, Pairs("x-bin", "\x00\x01", "x-bin", "\x00\x02"), codes.OK},
		{"BinaryTwice", []string{"x-bin", "AAE", "x-bin", "AAI"}, Pairs("x-bin", "\x00\x01", "x-bin", "\x00\x02"), codes.OK},
		{"BinaryMalformed", []string{"x-bin", "A"}, nil, codes.Internal},
		{"BinaryNotBase64", []string{"x-bin", "$$$$"}, nil, codes.Internal},
		{"BinaryURLAlphabet", []string{"x-bin", "-_8"}, nil, codes.Internal},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			var got Metadata
			var peers metadata.MD
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				got = InvocationMetadata(ctx)
				peers, _ = metadata.FromIncomingContext(context.WithValue(ctx, testKey{}, ""))
				return request, nil
			})})
			c := s.dial()
			for range 3 { // the third has a field block that the connection remembers
				st := c.open("/t.S/M", tt.fields...)
				st.send("x")
				st.halfClose()
				r := st.result()
				if code, details := r.status(); code != tt.code {
					t.Fatalf("status is %v %q", code, details)
				}
				if tt.code != codes.OK {
					continue
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if authority := peers.Get(":authority"); len(authority) != 1 || authority[0] == "" {
					t.Errorf("package metadata finds the authorities %q", authority)
				}
				for _, p := range tt.want {
					if !slices.Equal(peers.Get(p.Key), tt.want.Values(p.Key)) {
						t.Errorf("package metadata finds %q for %q", peers.Get(p.Key), p.Key)
					}
				}
			}
			c.call("/t.S/M", "next").result().want(codes.OK, "", "next")
		})
	}
}

// TestMetadata_JoinedValuesCount is about -bin fields with several values joined by commas: each counts as a field of its
// own against the limits, and none is decoded of a request that is beyond them.
func TestMetadata_JoinedValuesCount(t *testing.T) {
	const others = 6 // fields that each request has
	joined := func(values int) []string { return []string{"x-bin", strings.Repeat("AAE,", values-1) + "AAE"} }
	long := strings.Repeat("k", 200) + "-bin"
	tests := []struct {
		name    string
		options ServerOptions
		fields  []string
		values  int // 0: the request is refused
	}{
		{"DefaultAtLimit", ServerOptions{}, joined(250 - others), 250 - others},
		{"DefaultOverLimit", ServerOptions{}, joined(250 - others + 1), 0},
		{"AtLimit", ServerOptions{MaxMetadataFields: 10}, joined(4), 4},
		{"OverLimit", ServerOptions{MaxMetadataFields: 10}, joined(5), 0},
		{"InSeveralFields", ServerOptions{MaxMetadataFields: 10}, slices.Concat(joined(2), joined(2)), 4},
		{"InSeveralFieldsOverLimit", ServerOptions{MaxMetadataFields: 10}, slices.Concat(joined(2), joined(2), joined(1)), 0},
		{"AtOctets", ServerOptions{MaxMetadataBytes: 1000}, []string{long, "AAE,AAI,AAM"}, 3}, // 720 of them
		{"OverOctets", ServerOptions{MaxMetadataBytes: 1000}, []string{long, "AAE,AAI,AAM,AAQ"}, 0},
		{"NotBinary", ServerOptions{MaxMetadataFields: 10}, []string{"x", strings.Repeat(",", 100)}, 1},
		{"ReferencesToCommas", ServerOptions{}, slices.Repeat([]string{"x-bin", strings.Repeat(",", 3700)}, 4), 0},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			var got Metadata
			s := newTestServer(t, tt.options, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				got = InvocationMetadata(ctx)
				return request, nil
			})})
			c := s.dial()
			const calls = 50
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			for range calls {
				st := c.open("/t.S/M", tt.fields...)
				st.send("x")
				st.halfClose()
				r := st.result()
				if tt.values == 0 {
					r.want(codes.ResourceExhausted, "received initial metadata size exceeds limit")
					continue
				}
				r.want(codes.OK, "", "x")
				if len(got) != tt.values || cap(got) > len(got)+others {
					t.Fatalf("%d values in room for %d, want %d", len(got), cap(got), tt.values)
				}
			}
			goruntime.ReadMemStats(&after)
			// The test's client allocates too: 16 times what a request has.
			if each := (after.TotalAlloc - before.TotalAlloc) / calls; each > 16*17_000 {
				t.Errorf("each request allocates %d octets", each)
			}
		})
	}
}

// testKey is the key of a value that a test puts into a context.
type testKey struct{}
