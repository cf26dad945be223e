package runtime

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// TestCall_ContentType is about clients that do not speak gRPC.
func TestCall_ContentType(t *testing.T) {
	tests := []struct {
		contentType string
		served      bool
	}{
		{"application/grpc", true},
		{"application/grpc+proto", true},
		{"application/grpc;charset=utf-8", true},
		{"application/grpc+proto;x=y", true},
		{"application/grpc+json", false},
		{"application/grpc+", false},
		{"application/grpc+protobuf", false},
		{"application/grpcx", false},
		{"application/grpc-web", false},
		{"application/grpc-web+proto", false},
		{"application/json", false},
		{"text/html", false},
		{"", false},
		{missing, false},
	}
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		c := s.dial()
		for _, tt := range tests {
			st := c.open("/t.S/M", "content-type", tt.contentType)
			st.send("x")
			st.halfClose()
			r := st.result()
			if tt.served {
				r.want(codes.OK, "", "x")
				continue
			}
			if status, _ := field(r.headers, ":status"); status != "415" || !r.ended {
				t.Errorf("%q: HTTP status %q, %+v", tt.contentType, status, r)
			}
			if body := string(r.rest); !strings.Contains(body, "is not application/grpc") {
				t.Errorf("%q: answered with %q", tt.contentType, body)
			}
		}
	})
}

// TestCall_HTTPMethod is about methods other than POST.
func TestCall_HTTPMethod(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		c := s.dial()
		for _, method := range []string{"GET", "PUT", "post", "OPTIONS", "HEAD"} {
			r := c.openFields(request("/t.S/M", ":method", method), true).result()
			fields := slices.Concat(r.headers, r.trailers) // without content there is one field section
			if status, _ := field(fields, ":status"); status != "405" || !r.ended {
				t.Errorf("%s: HTTP status %q, %+v", method, status, r)
			}
			if allow, _ := field(fields, "allow"); allow != "POST" {
				t.Errorf("%s: allowed is %q", method, allow)
			}
			if (len(r.rest) == 0) != (method == "HEAD") { // a client may take content for an error of the protocol
				t.Errorf("%s: the content is %q", method, r.rest)
			}
		}
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
	})
}

// TestCall_Definition is about single fields of a request.
func TestCall_Definition(t *testing.T) {
	tests := []struct {
		name    string
		fields  []string
		code    codes.Code
		details string
	}{
		{"NoTE", []string{"!te", missing}, codes.OK, ""},
		{"Timeout", []string{"grpc-timeout", "1S"}, codes.OK, ""},
		{"LongestTimeout", []string{"grpc-timeout", "99999999H"}, codes.OK, ""},
		{"MalformedTimeout", []string{"grpc-timeout", "abc"}, codes.Internal, `malformed grpc-timeout "abc"`},
		{"NegativeTimeout", []string{"grpc-timeout", "-1S"}, codes.Internal, `malformed grpc-timeout "-1S"`},
		{"Identity", []string{"grpc-encoding", "identity"}, codes.OK, ""},
		{"Gzip", []string{"grpc-encoding", "gzip"}, codes.OK, ""},
		{"UnknownEncoding", []string{"grpc-encoding", "snappy"}, codes.Unimplemented, `grpc-encoding "snappy" is not supported`},
		{"UnknownAcceptEncoding", []string{"grpc-accept-encoding", "br,zstd"}, codes.OK, ""},
		{"ContentLength", []string{"content-length", "6"}, codes.OK, ""},
		{"NoAuthority", []string{"!:authority", missing}, codes.OK, ""},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			c := s.dial()
			st := c.open("/t.S/M", tt.fields...)
			st.send("x")
			st.halfClose()
			r := st.result()
			if tt.code == codes.OK {
				r.want(codes.OK, "", "x")
			} else {
				r.want(tt.code, tt.details)
			}
			value, ok := field(r.trailers, "grpc-accept-encoding")
			if unknown := tt.name == "UnknownEncoding"; ok != unknown || unknown && value != wire.AcceptEncoding {
				t.Errorf("grpc-accept-encoding is %q", value)
			}
		})
	}
}

// TestCall_EarlyRefusal checks that what will not be served is answered before its end, and then declined.
func TestCall_EarlyRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		c := s.dial()
		for _, st := range []*testStream{c.open("/t.S/Nope"), c.open("/t.S/M", "grpc-encoding", "snappy"), c.open("/t.S/M", "x-bin", "A")} {
			r := st.result()
			if !r.ended {
				t.Errorf("got %+v", r)
			}
			c.wait("RST_STREAM", func() bool { return st.reset })
			if st.code != 0 {
				t.Errorf("reset with %v, want NO_ERROR", st.code)
			}
			st.send("late") // is ignored
		}
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
	})
}

// TestCall_OversizeMetadata is about metadata beyond ServerOptions.MaxMetadataBytes.
func TestCall_OversizeMetadata(t *testing.T) {
	tests := []struct {
		name    string
		options ServerOptions
		size    int
		ok      bool
	}{
		{"Default", ServerOptions{}, 15 << 10, true},
		{"OverDefault", ServerOptions{}, 17 << 10, false},
		{"Set", ServerOptions{MaxMetadataBytes: 1 << 20}, 900 << 10, true},
		{"OverSet", ServerOptions{MaxMetadataBytes: 1000}, 1000, false},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, tt.options, handlers{"M": echo()})
			c := s.dial()
			st := c.open("/t.S/M", "large", strings.Repeat("x", tt.size))
			st.send("x")
			st.halfClose()
			if tt.ok {
				st.result().want(codes.OK, "", "x")
			} else {
				st.result().want(codes.ResourceExhausted, "received initial metadata size exceeds limit")
			}
			c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		})
	}
}

// TestCall_Remembered checks that a field block that is remembered does not carry a deadline over.
func TestCall_Remembered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo(), "Wait": blockUntilOver()})
		c := s.dial()
		for range 5 {
			before := time.Now()
			st := c.open("/t.S/Wait", "grpc-timeout", "2S")
			st.send("x")
			st.halfClose()
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			if took := time.Since(before); took != 2*time.Second {
				t.Errorf("the deadline passed after %v", took)
			}
			st = c.open("/t.S/M", "grpc-timeout", "2S")
			time.Sleep(time.Second) // half of the time is gone when the request comes
			st.send("x")
			st.halfClose()
			st.result().want(codes.OK, "", "x")
		}
	})
}

// TestCall_HTTPRefusal checks that a client which does not speak gRPC is answered while its stream is open: it may keep it
// open until it has an answer, as Connect and gRPC-Web clients do.
func TestCall_HTTPRefusal(t *testing.T) {
	for _, tt := range []struct{ status, name, value string }{
		{"415", "content-type", "application/connect+proto"},
		{"415", "content-type", "application/grpc-web+proto"},
		{"405", ":method", "PUT"},
	} {
		for _, intercepted := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/%s/%v", tt.status, tt.value, intercepted), func(t *testing.T) {
				options := ServerOptions{}
				if intercepted {
					options = intercept(func(context.Context, *ServerCall, ServerNext) error {
						t.Error("the interceptor was called")
						return nil
					})
				}
				s := newTestServer(t, options, handlers{"M": echo()})
				c := s.dial()
				st := c.open("/t.S/M", tt.name, tt.value)
				c.wait("END_STREAM", func() bool { return st.ended })
				r := st.snapshot()
				if status, _ := field(r.headers, ":status"); status != tt.status || r.reset {
					t.Errorf(":status is %q, reset %v", status, r.reset)
				}
				if len(r.rest) == 0 {
					t.Error("the answer does not say why")
				}
				st.sendPatiently(make([]byte, 300<<10)) // is thrown away
				st.halfClose()
				c.ping()
				synctest.Wait()
				wantNothingHeld(t, s)
				c.open("/t.S/M", tt.name, tt.value).result()
				c.ping()
				if rejected := s.Stats().Rejected; rejected[codes.Unknown] != 2 || len(rejected) != 1 {
					t.Errorf("rejected %v", rejected)
				}
			})
		}
	}
}

// TestCall_HTTPRefusalByNetHTTP has Go's own HTTP/2 client, with a body that stays open, read the answer.
func TestCall_HTTPRefusalByNetHTTP(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, handlers{"M": echo()})
	transport := &http.Transport{
		Protocols:   new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil },
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 3 { // the connection, of which there is one, stays usable
		body, more := io.Pipe()
		defer more.Close()
		go more.Write([]byte("some"))
		request, err := http.NewRequestWithContext(ctx, "POST", "http://test/t.S/M", body)
		check(t, err)
		request.Header.Set("content-type", "application/connect+json")
		response, err := transport.RoundTrip(request)
		check(t, err)
		text, err := io.ReadAll(response.Body)
		check(t, err)
		if response.StatusCode != 415 || !strings.Contains(string(text), "is not application/grpc") {
			t.Errorf("got %v %q", response.Status, text)
		}
	}
	if n := s.Stats().Rejected[codes.Unknown]; n != 3 {
		t.Errorf("%d were rejected, want 3", n)
	}
}
