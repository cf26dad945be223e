package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestCall_ShortenDeadline has interceptors set deadlines beside the client's. The handler does not heed its context.
func TestCall_ShortenDeadline(t *testing.T) {
	tests := []struct {
		name    string
		timeout string // the client's; "": none
		shorten []time.Duration
		want    time.Duration
	}{
		{"WithoutOne", "", []time.Duration{time.Second}, time.Second},
		{"Earlier", "5S", []time.Duration{time.Second}, time.Second},
		{"Later", "2S", []time.Duration{time.Minute}, 2 * time.Second},
		{"Twice", "", []time.Duration{3 * time.Second, 2 * time.Second, 4 * time.Second}, 2 * time.Second},
		{"Past", "", []time.Duration{-time.Second}, 0},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			begin := time.Now()
			leave := make(chan struct{})
			shorten := func(ctx context.Context, call *ServerCall, next ServerNext) error {
				call.ShortenDeadline(time.Time{}) // is none
				for _, d := range tt.shorten {
					call.ShortenDeadline(begin.Add(d))
				}
				return next(ctx, call)
			}
			s := newTestServer(t, intercept(shorten), handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				if deadline, ok := ctx.Deadline(); tt.want > 0 && (!ok || !deadline.Equal(begin.Add(tt.want))) {
					t.Errorf("the handler's deadline is %v, %v", deadline.Sub(begin), ok)
				}
				<-leave
				return request, nil
			})})
			var fields []string
			if tt.timeout != "" {
				fields = []string{"grpc-timeout", tt.timeout}
			}
			st := s.dial().open("/t.S/M", fields...)
			st.send("x")
			st.halfClose()
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			if passed := time.Since(begin); passed != tt.want {
				t.Errorf("the RPC ended after %v, want %v", passed, tt.want)
			}
			close(leave)
		})
	}
}

// TestNext_ReturnsHowTheRPCEnded has RPCs end before their handler returns, which then claims something else.
func TestNext_ReturnsHowTheRPCEnded(t *testing.T) {
	tests := []struct {
		name string
		end  func(s *testServer, st *testStream)
		want codes.Code
	}{
		{"Deadline", func(*testServer, *testStream) { time.Sleep(time.Second) }, codes.DeadlineExceeded},
		{"ClientCancels", func(_ *testServer, st *testStream) { st.cancel() }, codes.Canceled},
		{"Stop", func(s *testServer, _ *testStream) { s.Stop(0) }, codes.Unavailable},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			seen := make(chan error, 1)
			note := func(ctx context.Context, call *ServerCall, next ServerNext) error {
				err := next(ctx, call)
				seen <- err
				return err
			}
			s := newTestServer(t, intercept(note), handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
				<-ctx.Done()
				return request, nil
			})})
			st := s.dial().open("/t.S/M", "grpc-timeout", "1S")
			st.send("x")
			st.halfClose()
			synctest.Wait() // until the handler waits
			tt.end(s, st)
			if err := <-seen; status.Code(err) != tt.want {
				t.Errorf("Next returned %v, want %v", err, tt.want)
			}
		})
	}
}

// TestInterceptor_Inline has a method that asks to run inline. Behind interceptors, which may block, it does not, and can be
// handed to a method that waits for the reader.
func TestInterceptor_Inline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		block := make(chan struct{})
		toStream := func(ctx context.Context, call *ServerCall, next ServerNext) error {
			check(t, call.SetMethod("/t.S/Stream"))
			<-block
			return next(ctx, call)
		}
		s := newTestServer(t, ServerOptions{Workers: 1, Interceptors: []ServerInterceptor{toStream}}, handlers{
			"Inline": echo().WithExecutor(Inline),
			"Stream": UnaryStream(func(_ context.Context, request *raw, responses ResponseStream[raw]) error {
				return responses.Send(request)
			}),
		})
		c := s.dial()
		st := c.call("/t.S/Inline", "x")
		began := time.Now()
		c.ping()
		if took := time.Since(began); took != 0 {
			t.Errorf("the reader was blocked for %v", took)
		}
		close(block)
		st.result().want(codes.OK, "", "x")
		s.wantBlocking("/t.S/Inline", 0)
	})
}

// TestNext_Twice has an interceptor that tries again. The requests have been consumed, and their memory may be another
// client's by then.
func TestNext_Twice(t *testing.T) {
	for _, c := range cardinalities {
		for _, size := range []int{1, 10_000} {
			runInBubble(t, fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				entered := 0
				s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
					first := next(ctx, call)
					if err := call.SetMethod("/t.S/Other"); status.Code(err) != codes.Internal || call.Method() != "/t.S/M" {
						t.Errorf("the method has changed behind the handler, %v", err)
					}
					if st := status.Convert(next(ctx, call)); st.Code() != codes.Internal || !strings.Contains(st.Message(), "next twice") {
						t.Errorf("the second next returned %v", st.Err())
					}
					return first
				}), handlers{"M": handlerOf(c, func(call *testCall) error {
					entered++
					requests, err := call.drain()
					if err != nil {
						return err
					}
					return call.send(rawOf(requests[0]))
				}), "Other": echo()})
				request := strings.Repeat("x", size)
				s.dial().call("/t.S/M", request).result().want(codes.OK, "", request)
				if entered != 1 {
					t.Errorf("the handler has been called %d times", entered)
				}
			})
		}
	}
}

// TestCall_SetMethodThereAndBack changes the method several times, between those with one request and with several.
func TestCall_SetMethodThereAndBack(t *testing.T) {
	methods := drainAndCountAll()
	for first := range methods {
		for last := range methods {
			runInBubble(t, first+"And"+last, func(t *testing.T) {
				c := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
					for range 2 {
						check(t, call.SetMethod("/t.S/"+first))
						err := call.SetMethod("/t.S/Unknown")
						if st := status.Convert(err); st.Code() != codes.Unimplemented || st.Message() != "Method not found!" || call.Handler() != nil {
							t.Errorf("SetMethod to a method that is not known returned %v", err)
						}
						check(t, call.SetMethod("/t.S/"+last))
					}
					return next(ctx, call)
				}), methods).dial()
				for from := range methods {
					for _, size := range []int{1, 1000} {
						request := strings.Repeat("x", size)
						c.call("/t.S/"+from, request).result().want(codes.OK, "", request)
					}
				}
			})
		}
	}
}

// TestNext_ReturnsWhetherTheResponseCanBeSent has responses that cannot be encoded, or are too large, which interceptors
// see, and may answer otherwise.
func TestNext_ReturnsWhetherTheResponseCanBeSent(t *testing.T) {
	tooLarge := "Sent message larger than max (4 vs. 3)"
	tests := []struct {
		name    string
		handler *MethodHandler
		after   func(ctx context.Context, call *ServerCall, err error) error // what the interceptor makes of next's error
		seen    codes.Code
		code    codes.Code
		details string
		message []string
	}{
		{"Fits", answering(rawOf("abc")), nil, codes.OK, codes.OK, "", []string{"abc"}},
		{"TooLarge", answering(rawOf("abcd")), nil, codes.ResourceExhausted, codes.ResourceExhausted, tooLarge, nil},
		{"NotUTF8", answering(wrapperspb.String("\xff")), nil, codes.Internal, codes.Internal, "Failed to serialize response!", nil},
		{
			"Replaced", answering(rawOf("abcd")),
			func(ctx context.Context, call *ServerCall, _ error) error { return call.Respond(ctx, rawOf("abc")) },
			codes.ResourceExhausted, codes.OK, "",
			[]string{"abc"},
		},
		{
			"ReplacedByTooLarge", answering(rawOf("abc")),
			func(ctx context.Context, call *ServerCall, _ error) error { return call.Respond(ctx, rawOf("abcd")) },
			codes.OK, codes.ResourceExhausted, tooLarge, nil,
		},
		{
			"Withdrawn", answering(rawOf("abc")),
			func(context.Context, *ServerCall, error) error { return status.Error(codes.Aborted, "changed my mind") },
			codes.OK, codes.Aborted, "changed my mind", nil,
		},
		{
			"Forgiven", answering(rawOf("abcd")),
			func(context.Context, *ServerCall, error) error { return nil },
			codes.ResourceExhausted, codes.Internal, unanswered.Message, nil,
		},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			seen := codes.Unknown
			options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
				err := next(ctx, call)
				if seen = status.Code(err); seen != codes.OK && call.Response() != nil {
					t.Errorf("the response is %v after %v", call.Response(), err)
				}
				if tt.after != nil {
					return tt.after(ctx, call, err)
				}
				return err
			})
			options.MaxSendMessageBytes = 3
			c := newTestServer(t, options, handlers{"M": tt.handler}).dial()
			for range 2 { // the second with what the first has left of the worker's buffer
				c.call("/t.S/M", "x").result().want(tt.code, tt.details, tt.message...)
				if seen != tt.seen {
					t.Errorf("Next returned %v, want %v", seen, tt.seen)
				}
			}
		})
	}
}

// TestAccount_RespondDoesNotReturn has interceptors replace a large response by one whose hook does not return. What was
// reserved for the first is given back once.
func TestAccount_RespondDoesNotReturn(t *testing.T) {
	for name, tt := range map[string]struct {
		end     func()
		recover bool
		code    codes.Code
	}{
		"Panic":     {func() { panic("boom") }, false, codes.Unknown},
		"Recovered": {func() { panic("boom") }, true, codes.Aborted},
		"Goexit":    {goruntime.Goexit, false, codes.Unknown},
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) (err error) {
				responses := 0
				call.OnResponse(func(context.Context, any) error {
					if responses++; responses == 2 {
						tt.end()
					}
					return nil
				})
				if err := next(ctx, call); err != nil {
					return err
				}
				if tt.recover {
					defer func() { err = status.Errorf(codes.Aborted, "%v", recover()) }()
				}
				return call.Respond(ctx, rawOf("other"))
			}), handlers{"M": answering(&raw{Data: make([]byte, 100_000)})})
			client := s.dial()
			for range 3 {
				if code, details := client.call("/t.S/M", "").result().status(); code != tt.code {
					t.Errorf("%v %q, want %v", code, details, tt.code)
				}
				wantNothingHeld(t, s)
			}
		})
	}
}

// answering returns a handler with always the same response.
func answering[T any](response *T) *MethodHandler {
	return UnaryUnary(func(context.Context, *raw) (*T, error) { return response, nil })
}

// asking is an error that asks the RPC's context when it is asked for its status.
type asking struct{ ctx context.Context }

func (e asking) Error() string { return "asking" }
func (e asking) GRPCStatus() *status.Status {
	return status.New(codes.Internal, fmt.Sprint(e.ctx.Err()))
}

// TestNext_ErrorAsksTheContext has a handler return, after the end of its RPC, an error with code of its own that uses the
// RPC: no lock may be held then.
func TestNext_ErrorAsksTheContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var got error
		intercept := func(ctx context.Context, call *ServerCall, next ServerNext) error {
			got = next(ctx, call)
			return got
		}
		s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{intercept}}, handlers{
			"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
				<-ctx.Done()
				return nil, asking{ctx}
			}),
		})
		st := s.dial().open("/t.S/M")
		st.send("x")
		st.halfClose()
		synctest.Wait()
		st.cancel()
		synctest.Wait()
		if status.Code(got) != codes.Canceled {
			t.Errorf("next has returned %v", got)
		}
	})
}
