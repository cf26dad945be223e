package runtime

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestInitial_Waits checks with what initial metadata leaves that was set, for each way in which the headers can leave.
func TestInitial_Waits(t *testing.T) {
	first, second := Pairs("k", "1", "x-bin", "\x00\xff"), Pairs("k", "2", "j", "")
	set := func(t *testing.T, ctx context.Context, mds ...Metadata) {
		for _, md := range mds {
			md = slices.Clone(md)
			if err := SetInitialMetadata(ctx, md); err != nil {
				t.Errorf("SetInitialMetadata: %v", err)
			}
			clear(md) // the caller's again
		}
	}
	both := slices.Concat(first, second)
	for _, tt := range []struct {
		name     string
		behavior func(t *testing.T, c *testCall) error
		want     Metadata
		end      outcome
		encoding string
	}{
		{"None", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, nil)
			return c.send(rawOf("x"))
		}, nil, outcome{}, ""},
		{"Response", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first, second)
			return c.send(rawOf("x"))
		}, both, outcome{}, ""},
		{"Failure", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first, second)
			return status.Error(codes.Aborted, "why")
		}, both, outcome{Code: codes.Aborted, Message: "why"}, ""},
		{"Panic", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			panic("now")
		}, first, outcome{Code: codes.Unknown, Message: "Exception calling application: now"}, ""},
		{"Cancel", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			return Cancel(c.ctx)
		}, first, outcome{Code: codes.Canceled, Message: "CANCELLED"}, ""},
		{"Deadline", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			<-c.ctx.Done()
			return nil
		}, first, outcome{Code: codes.DeadlineExceeded, Message: "Deadline Exceeded"}, ""},
		{"Sent", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			return errors.Join(SendInitialMetadata(c.ctx, second), c.send(rawOf("x")))
		}, both, outcome{}, ""},
		{"SentWithoutMore", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first, second)
			return errors.Join(SendInitialMetadata(c.ctx, nil), c.send(rawOf("x")))
		}, both, outcome{}, ""},
		{"Compression", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			return errors.Join(SetCompression(c.ctx, Gzip), c.send(rawOf(strings.Repeat("x", 500))))
		}, first, outcome{}, "gzip"},
		{"Refused", func(t *testing.T, c *testCall) error {
			set(t, c.ctx, first)
			for _, md := range []Metadata{Pairs("grpc-k", "1"), Pairs("large", strings.Repeat("x", 5000))} {
				if err := SetInitialMetadata(c.ctx, md); status.Code(err) != codes.Internal {
					t.Errorf("SetInitialMetadata of %s: %v", md[0].Key, err)
				}
			}
			set(t, c.ctx, second)
			if err := SetInitialMetadata(c.ctx, Pairs("sum", strings.Repeat("x", 3750))); status.Code(err) != codes.Internal {
				t.Errorf("SetInitialMetadata of too much in sum: %v", err)
			}
			return c.send(rawOf("x"))
		}, both, outcome{}, ""},
	} {
		for _, c := range cardinalities {
			runInBubble(t, tt.name+"/"+c.name, func(t *testing.T) {
				handler := handlerOf(c, func(c *testCall) error { return tt.behavior(t, c) })
				s := newTestServer(t, ServerOptions{}, handlers{"M": handler})
				client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 4000})
				st := client.open("/t.S/M", "grpc-accept-encoding", "gzip", "grpc-timeout", "1S")
				st.send("x")
				st.halfClose()
				r := st.result()
				if code, text := r.status(); code != tt.end.Code || text != tt.end.Message {
					t.Errorf("the RPC ended with %v %q", code, text)
				}
				wantMetadata(t, "initial metadata", r.headers, tt.want)
				wantMetadata(t, "trailing metadata", r.trailers, nil)
				if encoding, _ := field(r.headers, "grpc-encoding"); encoding != tt.encoding {
					t.Errorf("the encoding is %q", encoding)
				}
			})
		}
	}
}

// TestInitial_TooLate sets initial metadata when the headers have left, and when the RPC is over.
func TestInitial_TooLate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var kept context.Context
		late := func(ctx context.Context, want string) {
			t.Helper()
			if err := SetInitialMetadata(ctx, Pairs("k", "late")); status.Code(err) != codes.Internal || status.Convert(err).Message() != want {
				t.Errorf("SetInitialMetadata: %v, want %q", err, want)
			}
		}
		s := newTestServer(t, ServerOptions{}, handlers{
			"Send": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				kept = ctx
				check(t, SendInitialMetadata(ctx, nil))
				late(ctx, "Initial metadata no longer allowed!")
				return request, nil
			}),
			"Respond": UnaryStream(func(ctx context.Context, request *raw, responses ResponseStream[raw]) error {
				check(t, responses.Send(request))
				late(ctx, "Initial metadata no longer allowed!")
				return nil
			}),
		})
		client := s.dial()
		for _, method := range []string{"Send", "Respond"} {
			r := client.call("/t.S/"+method, "x").result()
			r.want(codes.OK, "", "x")
			wantMetadata(t, "initial metadata", r.headers, nil)
		}
		synctest.Wait()
		late(kept, "the RPC has ended")
	})
}

// TestInitial_Interceptors has interceptors add to it before the handler and after it.
func TestInitial_Interceptors(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
			return errors.Join(SetInitialMetadata(ctx, Pairs("k", "before")), next(ctx, call), SetInitialMetadata(ctx, Pairs("k", "after")))
		}}}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			return request, SetInitialMetadata(ctx, Pairs("k", "handler"))
		})})
		r := s.dial().call("/t.S/M", "x").result()
		r.want(codes.OK, "", "x")
		wantMetadata(t, "initial metadata", r.headers, Pairs("k", "before", "k", "handler", "k", "after"))
	})
}

// noticingConn notices the writes that contain a text.
type noticingConn struct {
	net.Conn
	text   string
	writes *[]string
}

func (c noticingConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.text)) {
		*c.writes = append(*c.writes, string(p))
	}
	return c.Conn.Write(p)
}

// noticingListener is a listener of such connections.
type noticingListener struct {
	*pipeListener
	text   string
	writes []string
}

func (l *noticingListener) Accept() (net.Conn, error) {
	nc, err := l.pipeListener.Accept()
	return noticingConn{nc, l.text, &l.writes}, err
}

// TestInitial_OneWrite checks that what waits needs no write of its own.
func TestInitial_OneWrite(t *testing.T) {
	for _, fails := range []bool{false, true} {
		runInBubble(t, map[bool]string{false: "Response", true: "Status"}[fails], func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				err := SetInitialMetadata(ctx, Pairs("k", "waits"))
				synctest.Wait() // with nothing to do meanwhile
				if fails {
					err = status.Error(codes.Aborted, "")
				}
				return request, err
			})})
			l := &noticingListener{pipeListener: newPipeListener(), text: "waits"}
			check(t, s.AddListener(l))
			newTestClient(t, l.dial()).call("/t.S/M", "x").result()
			if len(l.writes) != 1 || !strings.Contains(l.writes[0], "grpc-status") {
				t.Errorf("the metadata was written in %q", l.writes)
			}
		})
	}
}
