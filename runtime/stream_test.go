package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The tests of all cardinalities have handlers that NewMethodHandler has made beside the typed ones; see untypedHandlerOf. Those
// of this file are about what only an untyped handler can do.

const (
	undecodable    = "Exception deserializing request!"
	unserializable = "Failed to serialize response!"
)

// TestStream_Mistakes has handlers use their stream in ways that the types of a typed one exclude.
func TestStream_Mistakes(t *testing.T) {
	type text = wrapperspb.StringValue
	ignored := func(err error) error { return nil }
	returned := func(err error) error { return err }
	for _, tt := range []struct {
		name     string
		of       Cardinality
		requests []string
		behavior func(stream *ServerStream) error
		want     outcome
		messages []string
		logged   string
	}{
		{
			"NotReceived", CardinalityUnaryUnary,
			[]string{"\xff"},
			func(stream *ServerStream) error { return stream.Send(rawOf("x")) },
			outcome{},
			[]string{"x"},
			"",
		},
		{
			"NoRequest", CardinalityUnaryUnary, nil,
			func(*ServerStream) error { panic("called") },
			outcome{Code: codes.Unimplemented, Message: `"/t.S/M" requires exactly one request message.`},
			nil, "",
		},
		{
			"TwoRequests", CardinalityUnaryStream,
			[]string{"x", "y"},
			func(*ServerStream) error { panic("called") },
			outcome{Code: codes.Unimplemented, Message: `"/t.S/M" requires exactly one request message.`},
			nil, "",
		},
		{
			"ReceiveTwice", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error {
				request := new(raw)
				if err := errors.Join(stream.Receive(request), stream.Send(request)); err != nil {
					return err
				}
				for range 2 {
					if err := stream.Receive(request); err != io.EOF {
						return fmt.Errorf("Receive after the only request: %w", err)
					}
				}
				return nil
			},
			outcome{},
			[]string{"x"},
			"",
		},
		{
			"UndecodableIgnored", CardinalityUnaryUnary,
			[]string{"\xff"},
			func(stream *ServerStream) error {
				return ignored(errors.Join(stream.Receive(new(text)), stream.Send(rawOf("x"))))
			},
			outcome{Code: codes.Internal, Message: undecodable},
			nil, undecodable[:10],
		},
		{
			"UndecodableReplaced", CardinalityUnaryStream,
			[]string{"\xff"},
			func(stream *ServerStream) error {
				err := stream.Receive(new(text))
				if again := stream.Receive(new(raw)); again != err {
					return errors.New("Receive goes on")
				}
				return status.Error(codes.Aborted, "mine")
			},
			outcome{Code: codes.Internal, Message: undecodable},
			nil, undecodable[:10],
		},
		{
			"UndecodableOfStream", CardinalityStreamStream,
			[]string{"x", "\xff"},
			func(stream *ServerStream) error {
				return ignored(errors.Join(
					stream.Receive(new(raw)), stream.Send(rawOf("x")), stream.Receive(new(text)), stream.Send(rawOf("y"))))
			},
			outcome{Code: codes.Internal, Message: undecodable},
			[]string{"x"},
			undecodable[:10],
		},
		{
			"ReceiveNothing", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error { return returned(stream.Receive(nil)) },
			outcome{Code: codes.Internal, Message: undecodable},
			nil, "type <nil> is neither",
		},
		{
			"ReceiveNilPointer", CardinalityStreamUnary,
			[]string{"x"},
			func(stream *ServerStream) error { return returned(stream.Receive((*text)(nil))) },
			outcome{Code: codes.Internal, Message: undecodable},
			nil, "panic: ",
		},
		{
			"ReceiveNoMessage", CardinalityStreamStream,
			[]string{"x"},
			func(stream *ServerStream) error { return returned(stream.Receive(new(int))) },
			outcome{Code: codes.Internal, Message: undecodable},
			nil, "type *int is neither",
		},
		{
			"SendTwice", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error {
				return ignored(errors.Join(stream.Send(rawOf("x")), stream.Send(rawOf("y"))))
			},
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "Send was called twice",
		},
		{
			"SendNothingAtAll", CardinalityStreamUnary,
			[]string{"x"},
			func(*ServerStream) error { return nil },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, noResponse,
		},
		{
			"SendNil", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error { return ignored(stream.Send(nil)) },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "Send was called with nil",
		},
		{
			"SendNilPointer", CardinalityStreamUnary, nil,
			func(stream *ServerStream) error { return ignored(stream.Send((*raw)(nil))) },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "Send was called with nil",
		},
		{
			"SendNilPointerToStream", CardinalityUnaryStream,
			[]string{"x"},
			func(stream *ServerStream) error { return ignored(stream.Send((*text)(nil))) },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "Send was called with nil",
		},
		{
			"SendNoMessage", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error { return returned(stream.Send(new(int))) },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "type *int is neither",
		},
		{
			"SendNoMessageToStream", CardinalityStreamStream, nil,
			func(stream *ServerStream) error { return ignored(stream.Send("x")) },
			outcome{Code: codes.Internal, Message: unserializable},
			nil, "type string is neither",
		},
		{
			"SendAndFail", CardinalityUnaryUnary,
			[]string{"x"},
			func(stream *ServerStream) error {
				check(t, stream.Send(rawOf("x")))
				return status.Error(codes.Aborted, "mine")
			},
			outcome{Code: codes.Aborted, Message: "mine"},
			nil, "",
		},
		{
			"TypesOfTheirOwn", CardinalityStreamStream,
			[]string{"\n\x01a", "\n\x01b"},
			func(stream *ServerStream) error {
				first, second := new(text), new(raw)
				return errors.Join(stream.Receive(first), stream.Receive(second), stream.Send(rawOf(first.Value)), stream.Send(first))
			},
			outcome{},
			[]string{"a", "\n\x01a"},
			"",
		},
	} {
		for _, intercepted := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/Intercepted=%v", tt.name, intercepted), func(t *testing.T) {
				options := ServerOptions{}
				if intercepted {
					options = passing(options)
				}
				s := newTestServer(t, options, handlers{"M": NewMethodHandler(tt.of, func(_ context.Context, stream *ServerStream) error {
					return tt.behavior(stream)
				})})
				s.dial().call("/t.S/M", tt.requests...).result().want(tt.want.Code, tt.want.Message, tt.messages...)
				synctest.Wait()
				if log := s.log.String(); tt.logged == "" && log != "" || !strings.Contains(log, tt.logged) {
					t.Errorf("logged %q, want %q", log, tt.logged)
				}
			})
		}
	}
}

// TestStream_Left uses a stream when its handler has returned, or has panicked.
func TestStream_Left(t *testing.T) {
	for of := range numCardinalities {
		for _, panics := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%v/Panics=%v", Cardinality(of), panics), func(t *testing.T) {
				var left *ServerStream
				s := newTestServer(t, ServerOptions{}, handlers{"M": NewMethodHandler(Cardinality(of), func(_ context.Context, stream *ServerStream) error {
					if left = stream; panics {
						panic("on purpose")
					}
					return stream.Send(rawOf("x"))
				})})
				text, messages := "", []string{"x"}
				if panics {
					text, messages = "Exception calling application: on purpose", nil
				}
				result := s.dial().call("/t.S/M", "x").result()
				synctest.Wait()
				if code, got := result.status(); got != text || (code == codes.OK) == panics || !slices.Equal(result.messages, messages) {
					t.Errorf("the RPC ended with %v %q and %q", code, got, result.messages)
				}
				for what, err := range map[string]error{"Receive": left.Receive(new(raw)), "Send": left.Send(rawOf("y"))} {
					if code := status.Code(err); err == nil || code != codes.Internal && !panics {
						t.Errorf("%s: %v", what, err)
					}
				}
			})
		}
	}
}

// TestStream_Hooks checks that interceptors see the messages, and that a hook's error is the status.
func TestStream_Hooks(t *testing.T) {
	for of := range numCardinalities {
		for _, refused := range []string{"", "request", "response"} {
			runInBubble(t, fmt.Sprintf("%v/%s", Cardinality(of), refused), func(t *testing.T) {
				var seen []string
				hook := func(what string) func(context.Context, any) error {
					return func(ctx context.Context, message any) error {
						if ctx.Value(testKey{}) != "value" {
							t.Errorf("the hook for a %s has another context", what)
						}
						seen = append(seen, what+" "+string(message.(*raw).Data))
						message.(*raw).Data = append(message.(*raw).Data, '!')
						if what == refused {
							return status.Error(codes.PermissionDenied, what)
						}
						return nil
					}
				}
				s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
					call.OnRequest(hook("request"))
					call.OnResponse(hook("response"))
					return next(context.WithValue(ctx, testKey{}, "value"), call)
				}}}, handlers{"M": NewMethodHandler(Cardinality(of), func(_ context.Context, stream *ServerStream) error {
					request := new(raw)
					if err := stream.Receive(request); err != nil {
						return err
					}
					return stream.Send(request)
				})})
				result := s.dial().call("/t.S/M", "x").result()
				synctest.Wait()
				switch refused {
				case "":
					result.want(codes.OK, "", "x!!")
				default:
					result.want(codes.PermissionDenied, refused)
				}
				want := []string{"request x", "response x!"}
				if refused == "request" {
					want = want[:1]
				}
				if !slices.Equal(seen, want) {
					t.Errorf("the hooks saw %q", seen)
				}
			})
		}
	}
}

// TestStream_Goroutines has several goroutines use a stream at a time, while others print it. It is for the race detector.
func TestStream_Goroutines(t *testing.T) {
	for of := range numCardinalities {
		runInBubble(t, Cardinality(of).String(), func(t *testing.T) {
			const n = 20
			s := newTestServer(t, ServerOptions{}, handlers{"M": NewMethodHandler(Cardinality(of), func(_ context.Context, stream *ServerStream) error {
				var using sync.WaitGroup
				var sent sync.Once
				for range 4 {
					using.Go(func() {
						for range n {
							_ = fmt.Sprintf("%v %+v %#v", stream, stream, stream)
							if err := stream.Receive(new(raw)); err != nil && err != io.EOF {
								t.Error(err)
							}
							send := func() {
								if err := stream.Send(rawOf("x")); err != nil {
									t.Error(err)
								}
							}
							if Cardinality(of).ResponseStreaming() {
								send()
							} else {
								sent.Do(send)
							}
						}
					})
				}
				using.Wait()
				return nil
			})})
			messages := []string{"x"}
			if Cardinality(of).RequestStreaming() {
				messages = slices.Repeat(messages, n)
			}
			if code, text := s.dial().call("/t.S/M", messages...).result().status(); code != codes.OK {
				t.Errorf("%v %q", code, text)
			}
		})
	}
}

// TestNewMethodHandler_Refused adds methods that cannot be called.
func TestNewMethodHandler_Refused(t *testing.T) {
	nothing := func(context.Context, *ServerStream) error { return nil }
	for want, h := range map[string]*MethodHandler{
		"its function is nil":        NewMethodHandler(CardinalityUnaryUnary, nil),
		"there is no Cardinality(4)": NewMethodHandler(4, nothing),
		"NewMethodHandler":           {},
	} {
		err := NewServer(ServerOptions{}).AddService(Service{Name: "t.S", Methods: handlers{"M": h}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
