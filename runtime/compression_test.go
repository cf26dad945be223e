package runtime

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// compress returns a message compressed, by the standard library.
func compress(t testing.TB, c Compression, message string) string {
	t.Helper()
	var b bytes.Buffer
	w := io.WriteCloser(gzip.NewWriter(&b))
	if c == Deflate {
		w = zlib.NewWriter(&b)
	}
	_, err := io.WriteString(w, message)
	check(t, errors.Join(err, w.Close()))
	return b.String()
}

// TestCompression_Requests sends compressed requests, right and wrong ones.
func TestCompression_Requests(t *testing.T) {
	const limit = 100_000
	message := strings.Repeat("abc", 1000)
	bomb := strings.Repeat("\x00", 5<<20)
	for _, compression := range []Compression{Gzip, Deflate} {
		compressed := compress(t, compression, message)
		broken := []byte(compressed)
		broken[len(broken)-3] ^= 0xff // in the checksum
		tests := []struct {
			name    string
			content []byte
			code    codes.Code
			details string // its beginning
			want    string
		}{
			{"Right", lpm(1, compressed), codes.OK, "", message},
			{"Empty", lpm(1, compress(t, compression, "")), codes.OK, "", ""},
			{"NotCompressed", lpm(0, message), codes.OK, "", message},
			{"AtLimit", lpm(1, compress(t, compression, bomb[:limit])), codes.OK, "", bomb[:limit]},
			{"OverLimit", lpm(1, compress(t, compression, bomb[:limit+1])), codes.ResourceExhausted, "Received message larger than max (", ""},
			{"Bomb", lpm(1, compress(t, compression, bomb)), codes.ResourceExhausted, "Received message larger than max (", ""},
			{"Garbage", lpm(1, "garbage"), codes.Internal, "the request is not valid " + string(compression), ""},
			{"NoContent", lpm(1, ""), codes.Internal, "the request is not valid " + string(compression), ""},
			{"Truncated", lpm(1, compressed[:len(compressed)-1]), codes.Internal, "the request is not valid " + string(compression), ""},
			{"Checksum", lpm(1, string(broken)), codes.Internal, "the request is not valid " + string(compression), ""},
		}
		for _, c := range cardinalities {
			for _, tt := range tests {
				runInBubble(t, string(compression)+"/"+c.name+"/"+tt.name, func(t *testing.T) {
					s := newTestServer(t, ServerOptions{MaxReceiveMessageBytes: limit}, handlers{"M": drainAndCount(c)})
					client := s.dial()
					for range 2 { // the second meets what the first has left in the pools
						st := client.open("/t.S/M", "grpc-encoding", string(compression))
						st.sendPatiently(tt.content)
						st.halfClose()
						r := st.result()
						code, details := r.status()
						if code != tt.code || !strings.HasPrefix(details, tt.details) {
							t.Fatalf("%v %q, want %v %q", code, details, tt.code, tt.details)
						}
						if code == codes.OK {
							r.want(codes.OK, "", tt.want)
						}
					}
				})
			}
		}
	}
}

// TestCompression_Responses is about what is compressed, and for whom.
func TestCompression_Responses(t *testing.T) {
	long, short := strings.Repeat("abc", 1000), "x"
	tests := []struct {
		name     string
		option   Compression
		accept   string
		set      func(ctx context.Context) error
		encoding string // grpc-encoding of the response
		flags    string // of the long message, and of the short one
	}{
		{"Default", "", "gzip,deflate", nil, "", "\x00\x00"},
		{"None", NoCompression, "gzip,deflate", nil, "", "\x00\x00"},
		{"Option", Gzip, "identity, deflate, gzip", nil, "gzip", "\x01\x00"},
		{"OptionDeflate", Deflate, "identity,deflate,gzip", nil, "deflate", "\x01\x00"},
		{"NotAccepted", Gzip, "identity,deflate", nil, "", "\x00\x00"},
		{"NothingAccepted", Gzip, missing, nil, "", "\x00\x00"},
		{
			"Set", NoCompression, "gzip", func(ctx context.Context) error { return SetCompression(ctx, Gzip) },
			"gzip", "\x01\x00",
		},
		{
			"SetNotAccepted", NoCompression, "deflate", func(ctx context.Context) error { return SetCompression(ctx, Gzip) },
			"", "\x00\x00",
		},
		{
			"SetNone", Gzip, "gzip", func(ctx context.Context) error { return SetCompression(ctx, NoCompression) },
			"", "\x00\x00",
		},
		{
			"SetDefault", Gzip, "gzip,deflate", func(ctx context.Context) error {
				return errors.Join(SetCompression(ctx, Deflate), SetCompression(ctx, ""))
			},
			"gzip", "\x01\x00",
		},
		{
			"SetDefaultOfNone", "", "gzip", func(ctx context.Context) error {
				return errors.Join(SetCompression(ctx, Gzip), SetCompression(ctx, ""))
			},
			"", "\x00\x00",
		},
		{
			"DisableNext", Gzip, "gzip", DisableNextMessageCompression,
			"gzip", "\x00\x00",
		},
		{
			"InitialMetadata", Gzip, "gzip", func(ctx context.Context) error { return SendInitialMetadata(ctx, Pairs("a", "b")) },
			"gzip", "\x01\x00",
		},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Compression: tt.option}, handlers{"M": UnaryStream(
				func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
					if tt.set != nil {
						if err := tt.set(ctx); err != nil {
							t.Error(err)
						}
					}
					for _, m := range []string{long, short} {
						if err := responses.Send(rawOf(m)); err != nil {
							t.Error(err)
						}
					}
					if err := SetCompression(ctx, Gzip); err == nil {
						t.Error("the compression can be set after a response")
					}
					return nil
				})})
			st := s.dial().open("/t.S/M", "grpc-accept-encoding", tt.accept)
			st.send("")
			st.halfClose()
			r := st.result()
			if code, details := r.status(); code != codes.OK {
				t.Fatal(code, details)
			}
			if encoding, _ := field(r.headers, "grpc-encoding"); encoding != tt.encoding {
				t.Errorf("grpc-encoding is %q, want %q", encoding, tt.encoding)
			}
			if string(r.flags) != tt.flags {
				t.Fatalf("flags are %q, want %q", r.flags, tt.flags)
			}
			for i, want := range []string{long, short} {
				got := r.messages[i]
				if r.flags[i] == 1 {
					c, _ := wire.ParseEncoding(tt.encoding)
					inflated, err := c.Inflate([]byte(got), -1)
					if err != nil {
						t.Fatal(err)
					}
					got = string(inflated)
				}
				if got != want {
					t.Errorf("message %d is %.30q", i, got)
				}
			}
		})
	}
}

// TestCompression_Unknown asks for a compression that there is not.
func TestCompression_Unknown(t *testing.T) {
	for _, c := range []Compression{"br", "GZIP", "gzip,deflate", " "} {
		if err := SetCompression(context.Background(), c); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is not a compression", c)) {
			t.Errorf("got %v", err)
		}
	}
}

// TestRPC_SlowReader has a client that gives no credit: the handler waits in Send, and memory is bounded.
func TestRPC_SlowReader(t *testing.T) {
	for _, end := range []string{"Credit", "Cancel", "Deadline", "Stop"} {
		runInBubble(t, end, func(t *testing.T) {
			sent := make(chan error, 1000)
			s := newTestServer(t, ServerOptions{}, handlers{
				"M": UnaryStream(func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
					for range 100 {
						err := responses.Send(&raw{Data: make([]byte, 10_000)})
						sent <- err
						if err != nil {
							return err
						}
					}
					return nil
				}), "Echo": echo(),
			})
			client := s.dial()
			client.do(func(*http2.Framer) { client.thrifty = true })
			st := client.open("/t.S/M", "grpc-timeout", "30S")
			st.send("")
			st.halfClose()
			st.next(6)
			client.ping()
			if n := len(sent); n >= 20 { // 64 KiB for the window, and as much that waits
				t.Errorf("%d messages were sent into a window of 65,535 octets", n)
			}
			switch end {
			case "Credit":
				client.do(func(*http2.Framer) {
					client.thrifty = false
					client.credit(st)
				})
				r := st.result()
				if code, details := r.status(); code != codes.OK || len(r.messages) != 100 {
					t.Errorf("%v %q and %d messages", code, details, len(r.messages))
				}
				return
			case "Cancel":
				st.cancel()
			case "Deadline":
				if code, _ := st.result().status(); code != codes.DeadlineExceeded {
					t.Errorf("the status is %v", code)
				}
			case "Stop":
				wantClosed(t, "termination", s.Stop(0))
			}
			for err := range sent {
				if err == nil {
					continue
				}
				if err == io.EOF {
					t.Error("Send returned EOF")
				}
				break
			}
		})
	}
}

// TestCompression_SetAfterTheFirst has an interceptor choose a compression when the only response has been encoded.
func TestCompression_SetAfterTheFirst(t *testing.T) {
	tests := []struct {
		name     string
		option   Compression
		set      Compression
		ok       bool
		encoding string
		flag     string
	}{
		{"NoneAfterGzip", Gzip, NoCompression, false, "gzip", "\x01"},
		{"DeflateAfterGzip", Gzip, Deflate, false, "gzip", "\x01"},
		{"TheSame", Gzip, Gzip, true, "gzip", "\x01"},
		{"GzipAfterNone", NoCompression, Gzip, true, "gzip", "\x00"},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
				err := next(ctx, call)
				if setErr := SetCompression(ctx, tt.set); setErr == nil != tt.ok {
					t.Errorf("SetCompression returned %v", setErr)
				}
				return err
			})
			options.Compression = tt.option
			st := newTestServer(t, options, handlers{"M": echo()}).dial().open("/t.S/M", "grpc-accept-encoding", "gzip,deflate")
			st.send(strings.Repeat("x", 1000))
			st.halfClose()
			r := st.result()
			encoding, _ := field(r.headers, "grpc-encoding")
			if code, details := r.status(); code != codes.OK || encoding != tt.encoding || string(r.flags) != tt.flag {
				t.Errorf("%v %q, grpc-encoding %q, flags %q", code, details, encoding, r.flags)
			}
		})
	}
}
