package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// unprintable panics when it is printed; exiting ends the goroutine that prints it.
type (
	unprintable struct{}
	exiting     struct{}
)

func (unprintable) Error() string { panic("no") }
func (exiting) Error() string     { goruntime.Goexit(); return "" }

// TestRPC_Outcomes is sections 2.2 and 2.3 of what grpc-python does, for all four cardinalities.
func TestRPC_Outcomes(t *testing.T) {
	withDetails, err := status.New(codes.ResourceExhausted, "quota é").WithDetails(durationpb.New(1))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		behavior func(c *testCall) error
		code     codes.Code
		details  string
		logged   string // what the log says; empty: nothing
	}{
		{"Ok", func(c *testCall) error { return c.send(rawOf("pong")) }, codes.OK, "", ""},
		{"Error", func(*testCall) error { return errors.New("boom é\n%") }, codes.Unknown, "boom é\n%", ""},
		{"EmptyError", func(*testCall) error { return errors.New("") }, codes.Unknown, "", ""},
		{"Status", func(*testCall) error { return status.Error(codes.NotFound, "nf") }, codes.NotFound, "nf", ""},
		{
			"WrappedStatus", func(*testCall) error { return fmt.Errorf("in here: %w", status.Error(codes.Aborted, "why")) },
			codes.Aborted, "in here: rpc error: code = Aborted desc = why", "",
		},
		{"Details", func(*testCall) error { return withDetails.Err() }, codes.ResourceExhausted, "quota é", ""},
		{"Panic", func(*testCall) error { panic("boom") }, codes.Unknown, "Exception calling application: boom", "boom"},
		{
			"PanicError", func(*testCall) error { panic(errors.New("")) },
			codes.Unknown, "Exception calling application: ", `msg="Exception calling application" method=/t.S/M panic="" `,
		},
		{
			"PanicNil", func(*testCall) error { panic(nil) },
			codes.Unknown, "Exception calling application: " + new(goruntime.PanicNilError).Error(), "panic called with nil",
		},
		{
			"PanicUnprintable", func(*testCall) error { panic(unprintable{}) },
			codes.Unknown, "Exception calling application: %!v(PANIC=Error method: no)", "PANIC=",
		},
		{
			"PanicExiting", func(*testCall) error { panic(exiting{}) },
			codes.Unknown, "Exception calling application: a runtime.exiting that cannot be printed", "cannot be printed",
		},
		{
			"Goexit", func(*testCall) error { goruntime.Goexit(); return nil },
			codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)", "Goexit",
		},
	}
	for _, workers := range []int{0, 1} { // each connection has a queue of its own; all share one
		for _, c := range cardinalities {
			for _, tt := range tests {
				runInBubble(t, fmt.Sprintf("Workers=%d/%s/%s", workers, c.name, tt.name), func(t *testing.T) {
					s := newTestServer(t, ServerOptions{Workers: workers}, handlers{"M": handlerOf(c, tt.behavior), "Echo": echo()})
					client := s.dial()
					r := client.call("/t.S/M", "ping").result()
					var messages []string
					if tt.code == codes.OK {
						messages = []string{"pong"}
					}
					r.want(tt.code, tt.details, messages...)
					checkRich(t, r, tt.name == "Details", withDetails)
					if log := s.log.String(); tt.logged == "" && log != "" || !strings.Contains(log, tt.logged) {
						t.Errorf("logged %q, want %q", log, tt.logged)
					}
					client.call("/t.S/Echo", "still here").result().want(codes.OK, "", "still here")
					if active := s.active.Load(); active != 0 {
						t.Errorf("%d RPCs are still counted", active)
					}
				})
			}
		}
	}
}

func checkRich(t *testing.T, r *testResult, want bool, st *status.Status) {
	t.Helper()
	value, ok := field(r.trailers, "grpc-status-details-bin")
	if ok != want {
		t.Errorf("grpc-status-details-bin is there: %v, want %v", ok, want)
	}
	if !want || !ok {
		return
	}
	got := st.Proto()
	proto.Reset(got)
	if err := proto.Unmarshal([]byte(decodeBinary(t, value)), got); err != nil || !proto.Equal(got, st.Proto()) {
		t.Errorf("details are %v (%v), want %v", got, err, st.Proto())
	}
}

// TestRPC_FailsAfterResponses checks that what was sent before the failure arrives.
func TestRPC_FailsAfterResponses(t *testing.T) {
	tests := []struct {
		name    string
		end     func() error
		details string
	}{
		{"Error", func() error { return errors.New("late") }, "late"},
		{"Panic", func() error { panic("late") }, "Exception calling application: late"},
		{"Goexit", func() error { goruntime.Goexit(); return nil }, "Exception calling application: the handler ended its goroutine (runtime.Goexit)"},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
					for _, m := range []string{"1", "2"} {
						if err := call.send(rawOf(m)); err != nil {
							t.Errorf("Send: %v", err)
						}
					}
					return tt.end()
				})})
				var want []string
				if c.responseStreaming {
					want = []string{"1", "2"}
				}
				s.dial().call("/t.S/M", "").result().want(codes.Unknown, tt.details, want...)
			})
		}
	}
}

// TestRPC_Responses is about wrong and missing responses.
func TestRPC_Responses(t *testing.T) {
	tests := []struct {
		name     string
		behavior func(c *testCall) error
		// Of the cardinalities with one response, and of those with a stream.
		unary, stream         codes.Code
		unaryText, streamText string
		streamed              []string
	}{
		{
			"None", func(*testCall) error { return nil },
			codes.Internal, codes.OK, "Failed to serialize response!", "", nil,
		},
		{
			"Nil", func(c *testCall) error { return c.send(nil) },
			codes.Internal, codes.Internal, "Failed to serialize response!", "Failed to serialize response!", nil,
		},
		{
			"NilAfterOne", func(c *testCall) error { return errors.Join(c.send(rawOf("1")), c.send(nil), c.send(rawOf("2"))) },
			codes.OK, codes.Internal, "", "Failed to serialize response!",
			[]string{"1"},
		},
		{"Empty", func(c *testCall) error { return c.send(&raw{}) }, codes.OK, codes.OK, "", "", []string{""}},
		{
			"Many", func(c *testCall) error { return errors.Join(c.send(rawOf("1")), c.send(rawOf("")), c.send(rawOf("3"))) },
			codes.OK, codes.OK, "", "",
			[]string{"1", "", "3"},
		},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, tt.behavior)})
				r := s.dial().call("/t.S/M", "").result()
				if c.responseStreaming {
					r.want(tt.stream, tt.streamText, tt.streamed...)
					return
				}
				var last []string
				if tt.unary == codes.OK {
					last = tt.streamed[len(tt.streamed)-1:]
					if tt.name == "NilAfterOne" {
						last = []string{"2"}
					}
				}
				r.want(tt.unary, tt.unaryText, last...)
			})
		}
	}
}

// TestRPC_Requests is about the number of requests.
func TestRPC_Requests(t *testing.T) {
	const wrongNumber = `"/t.S/M" requires exactly one request message.`
	for _, c := range cardinalities {
		for _, requests := range [][]string{nil, {"1"}, {""}, {"1", "2"}, {"1", "", "3"}} {
			runInBubble(t, fmt.Sprintf("%s/%q", c.name, requests), func(t *testing.T) {
				called := false
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
					called = true
					got, err := call.drain()
					if err != nil || !slices.Equal(got, requests) {
						t.Errorf("requests are %q, %v", got, err)
					}
					if _, err := call.next(); err == nil || err.Error() != "EOF" {
						t.Errorf("Next behind the end: %v", err)
					}
					return call.send(rawOf("ok"))
				})})
				r := s.dial().call("/t.S/M", requests...).result()
				if !c.requestStreaming && len(requests) != 1 {
					r.want(codes.Unimplemented, wrongNumber)
					if called {
						t.Error("the handler was called")
					}
					return
				}
				r.want(codes.OK, "", "ok")
			})
		}
	}
}

// TestRPC_SecondRequest checks that a second message for a method with one request is answered before the client has
// sent all it has.
func TestRPC_SecondRequest(t *testing.T) {
	for _, c := range cardinalities[:4] {
		runInBubble(t, c.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(*testCall) error { return nil }), "Echo": echo()})
			client := s.dial()
			st := client.open("/t.S/M")
			st.send("1", "2")
			st.result().want(codes.Unimplemented, `"/t.S/M" requires exactly one request message.`)
			client.wait("RST_STREAM", func() bool { return st.reset })
			for range 100 {
				st.send("3")
			}
			client.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
		})
	}
}
