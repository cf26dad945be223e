package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

var errOfTest = errors.New("the disk is full")

// TestNext_ReturnsTheStatus has handlers fail in many ways, and interceptors at each depth note what next returns: the code
// and the text that the client gets, around the handler's own error.
func TestNext_ReturnsTheStatus(t *testing.T) {
	late := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	tests := []struct {
		name    string
		fail    func(ctx context.Context) error
		is      error // what errors.Is finds
		code    codes.Code
		details string
	}{
		{"Plain", func(context.Context) error { return errOfTest }, errOfTest, codes.Unknown, "the disk is full"},
		{"Wrapped", func(context.Context) error { return fmt.Errorf("saving: %w", errOfTest) }, errOfTest, codes.Unknown, "saving: the disk is full"},
		{
			"OfAnotherDeadline", func(context.Context) error { return context.DeadlineExceeded }, context.DeadlineExceeded,
			codes.DeadlineExceeded, "context deadline exceeded",
		},
		{
			"OfAnotherCancel", func(context.Context) error { return fmt.Errorf("asking: %w", context.Canceled) }, context.Canceled,
			codes.Canceled, "asking: context canceled",
		},
		{"Status", func(context.Context) error { return status.Error(codes.Aborted, "again") }, nil, codes.Aborted, "again"},
		{
			"WrappedStatus", func(context.Context) error { return fmt.Errorf("x: %w", status.Error(codes.Aborted, "again")) }, nil,
			codes.Aborted, "x: rpc error: code = Aborted desc = again",
		},
		{"NoCode", func(context.Context) error { return status.Error(1000, "what") }, nil, codes.Unknown, "what"},
		{"StatusOK", func(context.Context) error { return okStatus{errOfTest} }, errOfTest, codes.Unknown, "the disk is full"},
		{"Deadline", late, context.DeadlineExceeded, codes.DeadlineExceeded, "Deadline Exceeded"},
		{
			"DeadlineIgnored", func(ctx context.Context) error { late(ctx); return nil }, context.DeadlineExceeded,
			codes.DeadlineExceeded, "Deadline Exceeded",
		},
		{
			"DeadlineAndMore", func(ctx context.Context) error { late(ctx); return errOfTest }, errOfTest,
			codes.DeadlineExceeded, "Deadline Exceeded",
		},
		{"Cancel", func(ctx context.Context) error { Cancel(ctx); return late(ctx) }, context.Canceled, codes.Canceled, "CANCELLED"},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				var seen []error
				note := func(ctx context.Context, call *ServerCall, next ServerNext) error {
					err := next(ctx, call)
					seen = append(seen, err)
					return err
				}
				s := newTestServer(t, intercept(note, note, Chain(note, note)), handlers{"M": handlerOf(c, func(call *testCall) error {
					if err := tt.fail(call.ctx); err != nil {
						return err
					}
					call.send(rawOf("x")) // too late
					return nil
				})})
				st := s.dial().open("/t.S/M", "grpc-timeout", "1S")
				st.send("x")
				st.halfClose()
				st.result().want(tt.code, tt.details)
				synctest.Wait()
				if len(seen) != 4 {
					t.Fatalf("seen %v", seen)
				}
				for i, err := range seen {
					if got, _ := status.FromError(err); got.Code() != tt.code || got.Message() != tt.details {
						t.Errorf("next returned %v %q at depth %d", got.Code(), got.Message(), i)
					}
					if tt.is != nil && !errors.Is(err, tt.is) {
						t.Errorf("%v is not %v at depth %d", err, tt.is, i)
					}
				}
			})
		}
	}
}

// TestNext_DetailsOfNoCode has a status with a number that is no code, and details. Its client gets UNKNOWN, and the details,
// with interceptors as without.
func TestNext_DetailsOfNoCode(t *testing.T) {
	st, err := status.New(1000, "what").WithDetails(durationpb.New(1))
	check(t, err)
	pass := func(ctx context.Context, call *ServerCall, next ServerNext) error { return next(ctx, call) }
	for name, options := range map[string]ServerOptions{"Bare": {}, "Intercepted": intercept(pass, pass)} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, options, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) { return nil, st.Err() })})
			r := s.dial().call("/t.S/M", "x").result()
			r.want(codes.Unknown, "what")
			if value, _ := field(r.trailers, "grpc-status-details-bin"); !strings.Contains(decodeBinary(t, value), "google.protobuf.Duration") {
				t.Errorf("the details are %q", value)
			}
		})
	}
}

// okStatus is an error with a status that is none.
type okStatus struct{ error }

func (okStatus) GRPCStatus() *status.Status { return status.New(codes.OK, "") }
func (s okStatus) Unwrap() error            { return s.error }

// TestNext_ReturnsOtherInterceptorsStatus has an inner interceptor fail, and end the RPC late: those further out learn of
// it as of a handler's.
func TestNext_ReturnsOtherInterceptorsStatus(t *testing.T) {
	tests := []struct {
		name    string
		inner   ServerInterceptor
		code    codes.Code
		details string
	}{
		{"Plain", func(context.Context, *ServerCall, ServerNext) error { return errOfTest }, codes.Unknown, "the disk is full"},
		{"Context", func(context.Context, *ServerCall, ServerNext) error { return context.DeadlineExceeded }, codes.DeadlineExceeded, "context deadline exceeded"},
		{"Nothing", func(context.Context, *ServerCall, ServerNext) error { return nil }, codes.Internal, unanswered.Message},
		{
			"Late", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				err := next(ctx, call)
				time.Sleep(time.Minute)
				return err
			}, codes.DeadlineExceeded, "Deadline Exceeded",
		},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				var seen error
				outer := func(ctx context.Context, call *ServerCall, next ServerNext) error {
					seen = next(ctx, call)
					return seen
				}
				s := newTestServer(t, intercept(outer, tt.inner), handlers{"M": handlerOf(c, func(call *testCall) error { return call.send(rawOf("x")) })})
				st := s.dial().open("/t.S/M", "grpc-timeout", "1S")
				st.send("x")
				st.halfClose()
				if code, details := st.result().status(); code != tt.code || details != tt.details {
					t.Errorf("the client got %v %q", code, details)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				wantStatus(t, seen, tt.code, tt.details)
			})
		}
	}
}

// TestInterceptor_ReturnsNothing has interceptors end an RPC with nil although nobody has answered it.
func TestInterceptor_ReturnsNothing(t *testing.T) {
	interceptors := map[string]ServerInterceptor{
		"Nothing": func(context.Context, *ServerCall, ServerNext) error { return nil },
		"RespondFails": func(ctx context.Context, call *ServerCall, next ServerNext) error {
			call.Respond(ctx, 1)
			return nil
		},
		"Recovers": func(ctx context.Context, call *ServerCall, next ServerNext) error {
			defer func() { recover() }()
			return next(ctx, call)
		},
	}
	panics := func(*testCall) error { panic("x") }
	methods := handlers{}
	for _, c := range cardinalities {
		methods[c.name] = handlerOf(c, panics)
	}
	for name, interceptor := range interceptors {
		for _, method := range []string{"UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream", "Unknown"} {
			runInBubble(t, name+"/"+method, func(t *testing.T) {
				if name == "Recovers" && method == "Unknown" {
					return // its next fails
				}
				s := newTestServer(t, intercept(interceptor), methods)
				s.dial().call("/t.S/"+method, "x").result().want(codes.Internal, unanswered.Message)
				if lines := s.log.lines("An interceptor returned nil without an answer"); len(lines) != 1 {
					t.Errorf("logged %q", lines)
				}
			})
		}
	}
}

// TestInterceptor_AnswersAStreamWithoutAHandler is no mistake, and neither is a stream without messages.
func TestInterceptor_AnswersAStreamWithoutAHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
			if InvocationMetadata(ctx).Get("next") != "" {
				return next(ctx, call)
			}
			return call.Respond(ctx, rawOf("instead"))
		}), handlers{"M": StreamStream(func(context.Context, RequestIterator[raw], ResponseStream[raw]) error { return nil })})
		c := s.dial()
		c.call("/t.S/M").result().want(codes.OK, "", "instead")
		st := c.open("/t.S/M", "next", "1")
		st.halfClose()
		st.result().want(codes.OK, "")
		if lines := s.log.lines("ERROR"); len(lines) > 0 {
			t.Errorf("logged %q", lines)
		}
	})
}
