package runtime

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// intercept returns options with interceptors.
func intercept(interceptors ...ServerInterceptor) ServerOptions {
	return ServerOptions{Interceptors: interceptors}
}

// TestInterceptor_Order checks that the first is outermost, that contexts go inwards, and that the status comes out.
func TestInterceptor_Order(t *testing.T) {
	for _, c := range cardinalities {
		for _, fails := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/%v", c.name, fails), func(t *testing.T) {
				var order []string
				note := func(name string) ServerInterceptor {
					return func(ctx context.Context, call *ServerCall, next ServerNext) error {
						order = append(order, name+" in")
						before, _ := ctx.Value(testKey{}).(string)
						err := next(context.WithValue(ctx, testKey{}, before+name), call)
						order = append(order, fmt.Sprintf("%s out %v", name, status.Code(err)))
						return err
					}
				}
				s := newTestServer(t, intercept(note("0"), note("1"), note("2")), handlers{"M": handlerOf(c, func(call *testCall) error {
					if got, err := call.drain(); err != nil || len(got) != 1 {
						t.Errorf("requests are %q, %v", got, err)
					}
					order = append(order, "handler "+call.ctx.Value(testKey{}).(string))
					if Method(call.ctx) != "/t.S/M" || SetTrailingMetadata(call.ctx, Pairs("a", "b")) != nil {
						t.Error("the context is not the RPC's")
					}
					if fails {
						return status.Error(codes.Aborted, "why")
					}
					return call.send(rawOf("x"))
				})})
				r := s.dial().call("/t.S/M", "").result()
				code := codes.OK
				if fails {
					code = codes.Aborted
					r.want(code, "why")
				} else {
					r.want(code, "", "x")
				}
				wantMetadata(t, "trailing metadata", r.trailers, Pairs("a", "b"))
				want := fmt.Sprintf("0 in,1 in,2 in,handler 012,2 out %[1]v,1 out %[1]v,0 out %[1]v", code)
				if got := strings.Join(order, ","); got != want {
					t.Errorf("the order is %s, want %s", got, want)
				}
			})
		}
	}
}

// TestInterceptor_Behaviors is what an interceptor can do instead of going on.
func TestInterceptor_Behaviors(t *testing.T) {
	tests := []struct {
		name        string
		interceptor ServerInterceptor
		path        string
		requests    []string
		code        codes.Code
		details     string
		response    []string
	}{
		{
			"Denies", func(context.Context, *ServerCall, ServerNext) error { return status.Error(codes.Unauthenticated, "no") },
			"/t.S/Unary",
			[]string{"x"},
			codes.Unauthenticated, "no", nil,
		},
		{
			"DeniesStreams", func(context.Context, *ServerCall, ServerNext) error { return status.Error(codes.Unauthenticated, "no") },
			"/t.S/Stream", nil, codes.Unauthenticated, "no", nil,
		},
		{
			"DeniesUnknown", func(_ context.Context, call *ServerCall, _ ServerNext) error {
				if call.Handler() != nil || call.Descriptor() != nil || call.Method() != "/t.S/Unknown" {
					return errors.New("it is known")
				}
				return status.Error(codes.Unauthenticated, "no")
			},
			"/t.S/Unknown",
			[]string{"x"},
			codes.Unauthenticated, "no", nil,
		},
		{
			"SeesUnknown", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				err := next(ctx, call)
				return fmt.Errorf("seen: %w", err)
			},
			"/t.S/Unknown",
			[]string{"x"},
			codes.Unimplemented, "seen: rpc error: code = Unimplemented desc = Method not found!", nil,
		},
		{
			"AnswersUnknown", func(ctx context.Context, call *ServerCall, _ ServerNext) error {
				return call.Respond(ctx, rawOf("mine"))
			},
			"/t.S/Unknown",
			[]string{"x"},
			codes.OK, "",
			[]string{"mine"},
		},
		{
			"Answers", func(ctx context.Context, call *ServerCall, _ ServerNext) error {
				return call.Respond(ctx, rawOf("mine"))
			},
			"/t.S/Unary",
			[]string{"x"},
			codes.OK, "",
			[]string{"mine"},
		},
		{
			"AnswersInstead", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				if err := next(ctx, call); err != nil || string(call.Response().(*raw).Data) != "x" {
					return fmt.Errorf("%v, %v", err, call.Response())
				}
				return call.Respond(ctx, rawOf("mine"))
			},
			"/t.S/Unary",
			[]string{"x"},
			codes.OK, "",
			[]string{"mine"},
		},
		{
			"AnswersNothing", func(context.Context, *ServerCall, ServerNext) error { return nil },
			"/t.S/Unary",
			[]string{"x"},
			codes.Internal, unanswered.Message, nil,
		},
		{
			"AnswersNoMessage", func(ctx context.Context, call *ServerCall, _ ServerNext) error { return call.Respond(ctx, 17) },
			"/t.S/Unary",
			[]string{"x"},
			codes.Unknown, "gogreeter: Respond: type int is neither a protobuf message nor *runtime.RawMessage", nil,
		},
		{
			"AnswersNil", func(ctx context.Context, call *ServerCall, _ ServerNext) error { return call.Respond(ctx, (*raw)(nil)) },
			"/t.S/Unary",
			[]string{"x"},
			codes.Internal, "Failed to serialize response!", nil,
		},
		{
			"AnswersStream", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				return errors.Join(call.Respond(ctx, rawOf("before")), next(ctx, call), call.Respond(ctx, rawOf("after")))
			},
			"/t.S/Stream",
			[]string{"x"},
			codes.OK, "",
			[]string{"before", "x", "after"},
		},
		{
			"Recovers", func(ctx context.Context, call *ServerCall, next ServerNext) (err error) {
				defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
				return next(ctx, call)
			},
			"/t.S/Panic",
			[]string{"x"},
			codes.Unknown, "recovered: handler", nil,
		},
		{
			"Panics", func(context.Context, *ServerCall, ServerNext) error { panic("interceptor") },
			"/t.S/Unary",
			[]string{"x"},
			codes.Unknown, "Exception calling application: interceptor", nil,
		},
		{
			"Exits", func(context.Context, *ServerCall, ServerNext) error { goruntime.Goexit(); return nil },
			"/t.S/Unary",
			[]string{"x"},
			codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)", nil,
		},
		{
			"ChangesMessages", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				change := func(_ context.Context, message any) error {
					m := message.(*raw)
					m.Data = append(m.Data, '!')
					return nil
				}
				call.OnRequest(change)
				call.OnResponse(change)
				return next(ctx, call)
			},
			"/t.S/Stream",
			[]string{"x", "y"},
			codes.OK, "",
			[]string{"x!!", "y!!"},
		},
		{
			"RefusesRequest", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				call.OnRequest(func(context.Context, any) error { return status.Error(codes.InvalidArgument, "bad") })
				return next(ctx, call)
			},
			"/t.S/Unary",
			[]string{"x"},
			codes.InvalidArgument, "bad", nil,
		},
		{
			"RefusesResponse", func(ctx context.Context, call *ServerCall, next ServerNext) error {
				n := 0
				call.OnResponse(func(context.Context, any) error {
					if n++; n == 2 {
						return status.Error(codes.DataLoss, "bad")
					}
					return nil
				})
				return next(ctx, call)
			},
			"/t.S/Stream",
			[]string{"x", "y", "z"},
			codes.DataLoss, "bad",
			[]string{"x"},
		},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
				if call.Method() == "/t.S/Plain" {
					return next(ctx, call)
				}
				return tt.interceptor(ctx, call, next)
			}), handlers{
				"Unary": echo(), "Plain": echo(), "Panic": UnaryUnary(func(context.Context, *raw) (*raw, error) { panic("handler") }),
				"Stream": streamEcho(),
			})
			client := s.dial()
			client.call(tt.path, tt.requests...).result().want(tt.code, tt.details, tt.response...)
			client.call("/t.S/Plain", "y").result().want(codes.OK, "", "y")
			synctest.Wait() // a handler can return after its RPC has ended
			if n := s.active.Load(); n != 0 {
				t.Errorf("%d RPCs are still counted", n)
			}
		})
	}
}

// streamEcho is a method that answers each request.
func streamEcho() *MethodHandler {
	return StreamStream(func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
		for request, err := range requests.All() {
			if err != nil {
				return err
			}
			if err := responses.Send(request); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestInterceptor_SetMethod sends RPCs from every cardinality, and from a method that is not known, to every other.
func TestInterceptor_SetMethod(t *testing.T) {
	methods := drainAndCountAll()
	for from := range methods {
		for to := range methods {
			runInBubble(t, from+"To"+to, func(t *testing.T) { testSetMethod(t, "/t.S/"+from, "/t.S/"+to, methods) })
		}
		runInBubble(t, "UnknownTo"+from, func(t *testing.T) { testSetMethod(t, "/t.S/Unknown", "/t.S/"+from, methods) })
	}
}

func testSetMethod(t *testing.T, from, to string, methods handlers) {
	s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
		if err := call.SetMethod(to); err != nil || call.Handler() == nil || call.Method() != to {
			t.Errorf("the method is %q, %v", call.Method(), err)
		}
		return next(ctx, call)
	}), methods)
	client := s.dial()
	client.call(from, "x").result().want(codes.OK, "", "x")
	long := strings.Repeat("y", 1000)
	client.call(from, long).result().want(codes.OK, "", long)
	st := client.open(from, "grpc-timeout", "1M")
	st.send("unfinished")
	if code, _ := st.result().status(); code != codes.DeadlineExceeded {
		t.Errorf("ended with %v", code)
	}
}

// TestInterceptor_SetMethodCounts has RPCs end in every way whose method an interceptor has set: they count for the method
// whose handler was called.
func TestInterceptor_SetMethodCounts(t *testing.T) {
	for _, from := range []string{"/t.S/Other", "/t.S/Unknown"} {
		for name, tt := range map[string]struct {
			handler func(ctx context.Context) error
			code    codes.Code
		}{
			"Returns":  {func(context.Context) error { return nil }, codes.OK},
			"Fails":    {func(context.Context) error { return status.Error(codes.NotFound, "") }, codes.NotFound},
			"Panics":   {func(context.Context) error { panic("boom") }, codes.Unknown},
			"Exits":    {func(context.Context) error { goruntime.Goexit(); return nil }, codes.Unknown},
			"Deadline": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, codes.DeadlineExceeded},
		} {
			for _, workers := range []int{0, 1} {
				runInBubble(t, from+name, func(t *testing.T) {
					options := intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
						if err := call.SetMethod("/t.S/M"); err != nil {
							return err
						}
						return next(ctx, call)
					})
					options.Workers = workers
					s := newTestServer(t, options, handlers{"Other": echo(), "M": UnaryUnary(func(ctx context.Context, m *raw) (*raw, error) {
						return m, tt.handler(ctx)
					})})
					st := s.dial().open(from, "grpc-timeout", "1S")
					st.send("x")
					st.halfClose()
					if code, _ := st.result().status(); code != tt.code {
						t.Errorf("ended with %v", code)
					}
					synctest.Wait()
					stats := s.Stats()
					if stats.Methods["/t.S/M"].Handled[tt.code] != 1 || len(stats.Methods) != 1 || len(stats.Rejected) != 0 {
						t.Errorf("handled %v, rejected %v", stats.Methods, stats.Rejected)
					}
				})
			}
		}
	}
}

// TestInterceptor_SeesUndecodable checks that the status of a request that cannot be decoded passes the interceptors.
func TestInterceptor_SeesUndecodable(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var seen error
		s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
			seen = next(ctx, call)
			return seen
		}), handlers{"M": echo()})
		st := s.dial().open("/t.S/M", "grpc-encoding", "gzip")
		st.sendData(lpm(1, "garbage"))
		st.halfClose()
		if code, _ := st.result().status(); code != codes.Internal {
			t.Errorf("ended with %v", code)
		}
		if status.Code(seen) != codes.Internal {
			t.Errorf("the interceptor saw %v", seen)
		}
	})
}

// TestInterceptor_BlocksNobody has one RPC's interceptor block; it is cancelled while others are served.
func TestInterceptor_BlocksNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, intercept(func(ctx context.Context, call *ServerCall, next ServerNext) error {
			if InvocationMetadata(ctx).Get("block") != "" {
				<-ctx.Done()
				time.Sleep(time.Hour)
			}
			return next(ctx, call)
		}), handlers{"M": echo()})
		client := s.dial()
		for _, path := range []string{"/t.S/M", "/t.S/Unknown"} {
			st := client.open(path, "block", "1", "grpc-timeout", "1S")
			st.send("x")
			st.halfClose()
			client.call("/t.S/M", "y").result().want(codes.OK, "", "y")
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
		}
		time.Sleep(2 * time.Hour)
	})
}

// TestServer_Stats counts RPCs by method and code.
func TestServer_Stats(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{
			"ok": echo(), "fails": UnaryUnary(func(context.Context, *raw) (*raw, error) { return nil, status.Error(codes.Aborted, "") }),
			"odd":    UnaryUnary(func(context.Context, *raw) (*raw, error) { return nil, status.Error(1000, "") }),
			"blocks": blockUntilOver(),
		})
		check(t, s.AddGenericHandler(genericFunc(func(details HandlerCallDetails) *MethodHandler {
			if strings.HasPrefix(details.Method, "/g/") {
				return echo()
			}
			return nil
		})))
		client := s.dial()
		for _, path := range []string{"/t.S/ok", "/t.S/ok", "/t.S/fails", "/t.S/odd", "/g/1", "/g/2", "/unknown"} {
			client.call(path, "x").result()
		}
		cancelled := client.call("/t.S/blocks", "")
		client.ping()
		cancelled.cancel()
		client.call("/t.S/blocks", "")
		client.ping()
		synctest.Wait()
		stats := s.Stats()
		if stats.Active != 1 || stats.Queued != 0 || stats.Connections != 1 || stats.Accepted != 1 ||
			stats.ReceivedBytes == 0 || stats.SentBytes == 0 {
			t.Errorf("%+v", stats)
		}
		want := map[string]MethodStats{
			"/t.S/ok": {map[codes.Code]uint64{codes.OK: 2}}, "/t.S/fails": {map[codes.Code]uint64{codes.Aborted: 1}},
			"/t.S/odd": {map[codes.Code]uint64{codes.Unknown: 1}}, "/t.S/blocks": {map[codes.Code]uint64{codes.Canceled: 1}},
			OtherMethods: {map[codes.Code]uint64{codes.OK: 2}},
		}
		if got := stats.Methods; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("handled %v, want %v", got, want)
		}
		if got := stats.Rejected; got[codes.Unimplemented] != 1 || len(got) != 1 {
			t.Errorf("rejected %v", got)
		}
	})
}
