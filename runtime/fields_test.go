package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// TestFields has everything that can ask for the fields of a request look at them, twice: the second request has the same field
// block, and shares what was made of it.
func TestFields(t *testing.T) {
	sent := []string{
		"user-agent", "test", "k", "1", "x-bin", "AAE,AAI=", "grpc-trace-bin", "AA", "grpc-accept-encoding", "gzip", "grpc-timeout", "1H", "k", "2",
	}
	for _, tt := range []struct {
		name        string
		more        []string
		code        codes.Code
		pseudo      Metadata
		contentType string
	}{
		{"Usual", nil, codes.OK, Pairs(":method", "POST", ":scheme", "http", ":path", "", ":authority", "test"), "application/grpc"},
		{
			"Host",
			[]string{"!:authority", missing, "host", "other"},
			codes.OK,
			Pairs(":method", "POST", ":scheme", "http", ":path", "", ":authority", "other"), "application/grpc",
		},
		{
			"NotGRPC",
			[]string{"!content-type", "text/plain"},
			codes.Unknown,
			Pairs(":method", "POST", ":scheme", "http", ":path", "", ":authority", "test"), "text/plain",
		},
	} {
		for _, path := range []string{"/t.S/M", "/t.S/Other"} {
			runInBubble(t, tt.name+path, func(t *testing.T) {
				want := slices.Clone(tt.pseudo)
				want[2].Value = path
				want = append(want, Pairs("content-type", tt.contentType, "te", "trailers")...)
				want = append(want, Pairs(append(slices.Clone(tt.more[min(len(tt.more), 2):]), sent...)...)...)
				seen := map[string]int{}
				look := func(where string, got Metadata) {
					if seen[where]++; fmt.Sprint([]Pair(got)) != fmt.Sprint([]Pair(want)) {
						t.Errorf("%s has %q, want %q", where, got, want)
					}
					clear(got) // the caller's own
				}
				handler := NewMethodHandler(CardinalityUnaryUnary, func(_ context.Context, stream *ServerStream) error {
					look("handler", stream.Fields())
					return stream.Send(new(raw))
				})
				s := newTestServer(t, ServerOptions{Observers: []Observer{fieldsObserver{look}}}, handlers{"M": handler})
				check(t, s.AddGenericHandler(genericFunc(func(details HandlerCallDetails) *MethodHandler {
					look("generic handler", details.Fields())
					return handler
				})))
				client := s.dial()
				for range 2 {
					st := client.open(path, append(slices.Clone(tt.more), sent...)...)
					st.send("x")
					st.halfClose()
					if result := st.result(); tt.code == codes.OK {
						result.want(codes.OK, "", "")
					}
				}
				synctest.Wait()
				wantSeen := map[string]int{"handler": 2, "BeginRPC": 2}
				if path != "/t.S/M" {
					wantSeen["generic handler"] = 2
				}
				if tt.code != codes.OK {
					wantSeen = map[string]int{"refusal": 2}
				}
				if fmt.Sprint(seen) != fmt.Sprint(wantSeen) {
					t.Errorf("seen by %v, want %v", seen, wantSeen)
				}
			})
		}
	}
}

// fieldsObserver looks at the fields of requests.
type fieldsObserver struct {
	look func(where string, got Metadata)
}

func (o fieldsObserver) ObserveConnection(ConnectionInfo) ConnectionObserver { return o }

func (o fieldsObserver) BeginRPC(ctx context.Context, info *RPCInfo) (context.Context, RPCObserver) {
	o.look("BeginRPC", info.Fields())
	return ctx, nil
}

func (o fieldsObserver) ObserveConnectionEvent(event ConnectionEvent) {
	if event.Kind == ConnectionRefused {
		o.look("refusal", event.Details.Fields())
	}
}

// TestFields_Kept checks which servers keep them, and that what is kept counts: no octet of it twice, and none not at all.
func TestFields_Kept(t *testing.T) {
	untyped := NewMethodHandler(CardinalityUnaryUnary, func(context.Context, *ServerStream) error { return nil })
	generic := genericFunc(func(HandlerCallDetails) *MethodHandler { return nil })
	request := &fields.Section{Method: "POST", Scheme: "http", Path: "/p", Authority: "host", Fields: []fields.Field{
		{Name: "content-type", Value: "application/grpc"},
		{Name: "k", Value: strings.Repeat("x", 100)},
		{Name: "grpc-tags-bin", Value: strings.Repeat("A", 100)},
	}}
	const entry = 32
	without := int64(len("/phost") + entry + len("k") + 100)
	with := without + int64(entry*len(request.Fields)+len("content-typeapplication/grpcgrpc-tags-bin")+100)
	for _, tt := range []struct {
		name  string
		setUp func(s *Server) error
		of    ServerOptions
		want  int64
	}{
		{"Typed", func(s *Server) error { return s.AddService(Service{Name: "S", Methods: handlers{"M": echo()}}) }, ServerOptions{}, without},
		{"Untyped", func(s *Server) error { return s.AddService(Service{Name: "S", Methods: handlers{"M": untyped}}) }, ServerOptions{}, with},
		{
			"UntypedWithExecutor",
			func(s *Server) error {
				return s.AddService(Service{Name: "S", Methods: handlers{"M": untyped.WithExecutor(Unbounded)}})
			},
			ServerOptions{},
			with,
		},
		{"Generic", func(s *Server) error { return s.AddGenericHandler(generic) }, ServerOptions{}, with},
		{"Observers", func(*Server) error { return nil }, ServerOptions{Observers: []Observer{fieldsObserver{}}}, with},
		{
			"AddedLater", func(s *Server) error {
				check(t, s.AddService(Service{Name: "S", Methods: handlers{"M": untyped}}))
				return s.AddService(Service{Name: "T", Methods: handlers{"M": echo()}})
			}, ServerOptions{}, with,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(tt.of)
			check(t, tt.setUp(s))
			d := defineCall(request, s.table.Load())
			if d.metadataSize != tt.want || (d.request != nil) != (tt.want == with) || d.refusal != nil && d.method != nil {
				t.Errorf("the call weighs %d, want %d; %v", d.metadataSize, tt.want, d.refusal)
			}
		})
	}
}
