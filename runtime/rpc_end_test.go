package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// waiting is a behavior that waits for the end of its RPC and then tries everything that a handler can do.
type waiting struct {
	t       *testing.T
	call    *testCall
	entered chan struct{}
	left    chan struct{}
	cause   error     // what the context's Err returned
	status  error     // what the request iterator or the response stream returned
	ended   time.Time // when the context was done
}

func newWaiting(t *testing.T) *waiting {
	return &waiting{t: t, entered: make(chan struct{}), left: make(chan struct{})}
}

func (w *waiting) behavior(c cardinality) func(call *testCall) error {
	return func(call *testCall) error {
		defer close(w.left)
		w.call = call
		close(w.entered)
		if c.requestStreaming {
			_, w.status = call.drain() // waits in Next
		}
		<-call.ctx.Done()
		w.ended = time.Now()
		w.cause = call.ctx.Err()
		if c.responseStreaming {
			err := call.send(rawOf("late"))
			if w.status == nil {
				w.status = err
			}
		}
		if err := SendInitialMetadata(call.ctx, Pairs("late", "1")); err == nil {
			w.t.Error("initial metadata can be sent after the end")
		}
		if err := SetTrailingMetadata(call.ctx, Pairs("late", "1")); err == nil {
			w.t.Error("trailing metadata can be set after the end")
		}
		if err := SetCompression(call.ctx, Gzip); err == nil {
			w.t.Error("the compression can be set after the end")
		}
		return errors.New("dropped")
	}
}

// TestRPC_EndsFromOutside is an RPC whose handler runs while it ends.
func TestRPC_EndsFromOutside(t *testing.T) {
	tests := []struct {
		name    string
		timeout string
		end     func(s *testServer, st *testStream, w *waiting)
		code    codes.Code // for the client; OK: none, it has gone
		details string
		cause   error      // for the handler
		inside  codes.Code // for the handler's streams
		after   time.Duration
	}{
		{
			"ClientCancels", "1H", func(_ *testServer, st *testStream, _ *waiting) { st.cancel() },
			codes.OK, "", context.Canceled, codes.Canceled, 0,
		},
		{
			"ClientVanishes", "1H", func(_ *testServer, st *testStream, _ *waiting) { st.c.close() },
			codes.OK, "", context.Canceled, codes.Canceled, 0,
		},
		{
			"Deadline", "1500m", func(*testServer, *testStream, *waiting) {},
			codes.DeadlineExceeded, "Deadline Exceeded", context.DeadlineExceeded, codes.DeadlineExceeded, 1500 * time.Millisecond,
		},
		{
			"Cancel", "1H", func(_ *testServer, _ *testStream, w *waiting) { Cancel(w.call.ctx) },
			codes.Canceled, "CANCELLED", context.Canceled, codes.Canceled, 0,
		},
		{
			"Stop", "1H", func(s *testServer, _ *testStream, _ *waiting) { s.Stop(0) },
			codes.Unavailable, "Cancelling all calls", context.Canceled, codes.Unavailable, 0,
		},
		{
			"Grace", "1H", func(s *testServer, _ *testStream, _ *waiting) { s.Stop(3 * time.Second) },
			codes.Unavailable, "Cancelling all calls", context.Canceled, codes.Unavailable, 3 * time.Second,
		},
		{
			"Malformed", "1H", func(_ *testServer, st *testStream, _ *waiting) { st.sendData(lpm(9, "x")) },
			codes.Internal, "Compressed-Flag is 9; it is 0 or 1", context.Canceled, codes.Internal, 0,
		},
	}
	for _, c := range cardinalities {
		for _, tt := range tests {
			if tt.name == "Malformed" && !c.requestStreaming {
				continue // no handler runs before the request is complete
			}
			runInBubble(t, c.name+"/"+tt.name, func(t *testing.T) {
				w := newWaiting(t)
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, w.behavior(c)), "Echo": echo()})
				client := s.dial()
				began := time.Now()
				st := client.open("/t.S/M", "grpc-timeout", tt.timeout)
				st.send("x")
				if !c.requestStreaming {
					st.halfClose()
				}
				wantClosed(t, "the handler", w.entered)
				tt.end(s, st, w)
				wantClosed(t, "the handler's end", w.left)
				if took := w.ended.Sub(began); took != tt.after {
					t.Errorf("it took %v, want %v", took, tt.after)
				}
				if !errors.Is(w.cause, tt.cause) {
					t.Errorf("the context's error is %v, want %v", w.cause, tt.cause)
				}
				if c.requestStreaming || c.responseStreaming {
					if status.Code(w.status) != tt.inside {
						t.Errorf("the handler's stream returned %v, want %v", w.status, tt.inside)
					}
				}
				if tt.code != codes.OK {
					st.result().want(tt.code, tt.details)
				}
				synctest.Wait()
				if n := s.active.Load(); n != 0 {
					t.Errorf("%d RPCs are still counted", n)
				}
				if log := s.log.lines("ERROR"); log != nil {
					t.Errorf("logged %q", log)
				}
			})
		}
	}
}

// TestRPC_EarlyReturn has handlers return before the client has sent everything.
func TestRPC_EarlyReturn(t *testing.T) {
	for _, c := range cardinalities[4:] {
		for _, fails := range []bool{false, true} {
			runInBubble(t, c.name, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
					if _, err := call.next(); err != nil {
						t.Errorf("Next: %v", err)
					}
					if fails {
						return status.Error(codes.Aborted, "enough")
					}
					return call.send(rawOf("enough"))
				})})
				client := s.dial()
				st := client.open("/t.S/M")
				st.send("1")
				r := st.result()
				if fails {
					r.want(codes.Aborted, "enough")
				} else {
					r.want(codes.OK, "", "enough")
				}
				client.wait("RST_STREAM", func() bool { return st.reset })
				if st.code != http2.ErrCodeNo {
					t.Errorf("reset with %v, want NO_ERROR", st.code)
				}
				for range 10 {
					st.send("2") // was under way
				}
				st.halfClose()
				st = client.call("/t.S/M", "x")
				if code, _ := st.result().status(); !fails && code != codes.OK {
					t.Errorf("the next RPC ended with %v", code)
				}
			})
		}
	}
}

// TestRPC_DeadlineInTheQueue checks that a handler is not called for an RPC whose turn comes too late.
func TestRPC_DeadlineInTheQueue(t *testing.T) {
	for _, end := range []string{"Deadline", "Cancel"} {
		for _, c := range cardinalities {
			runInBubble(t, end+"/"+c.name, func(t *testing.T) {
				var called atomic.Bool
				release := make(chan struct{})
				s := newTestServer(t, ServerOptions{Workers: 1}, handlers{
					"Occupy": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { <-release; return request, nil }),
					"M":      handlerOf(c, func(*testCall) error { called.Store(true); return nil }),
					"Echo":   echo(),
				})
				client := s.dial()
				first := client.call("/t.S/Occupy", "x")
				synctest.Wait()
				st := client.open("/t.S/M", "grpc-timeout", "1S")
				st.send("x")
				st.halfClose()
				if end == "Deadline" {
					st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
				} else {
					synctest.Wait()
					st.cancel()
				}
				synctest.Wait()
				if n := s.active.Load(); n != 2 {
					t.Errorf("%d RPCs are counted, want 2: one waits to be thrown away", n)
				}
				close(release)
				first.result().want(codes.OK, "", "x")
				client.call("/t.S/Echo", "y").result().want(codes.OK, "", "y")
				if called.Load() {
					t.Error("the handler was called")
				}
				synctest.Wait()
				if n := s.active.Load(); n != 0 {
					t.Errorf("%d RPCs are still counted", n)
				}
			})
		}
	}
}

// TestRPC_DeadlineBeforeTheRequest is about requests that do not come in time.
func TestRPC_DeadlineBeforeTheRequest(t *testing.T) {
	for _, timeout := range []string{"0S", "1n", "1S"} {
		runInBubble(t, timeout, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			client := s.dial()
			st := client.open("/t.S/M", "grpc-timeout", timeout)
			st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			client.wait("RST_STREAM", func() bool { return st.reset })
			st.send("late")
			st.halfClose()
			client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			synctest.Wait()
			if n := s.active.Load(); n != 0 {
				t.Errorf("%d RPCs are still counted", n)
			}
		})
	}
}

// slowGeneric is a generic handler that takes its time.
type slowGeneric struct {
	delay   time.Duration
	handler *MethodHandler
}

func (g slowGeneric) Service(HandlerCallDetails) *MethodHandler {
	time.Sleep(g.delay)
	return g.handler
}

// TestRPC_DeadlineBeforeAdmission has the deadline pass while the method is being looked up.
func TestRPC_DeadlineBeforeAdmission(t *testing.T) {
	for name, handler := range map[string]*MethodHandler{"Found": echo(), "NotFound": nil} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{MaxConcurrentRPCs: 10}, handlers{"Wait": blockUntilOver()})
			if err := s.AddGenericHandler(slowGeneric{3 * time.Second, handler}); err != nil {
				t.Fatal(err)
			}
			client := s.dial()
			first := client.open("/t.S/Wait", "grpc-timeout", "2S")
			first.send("x")
			first.halfClose()
			st := client.open("/t.S/Other", "grpc-timeout", "1S")
			if handler != nil {
				st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			} else {
				st.result().want(codes.Unimplemented, "Method not found!")
			}
			first.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			client.ping()
			synctest.Wait()
			if n := s.active.Load(); n != 0 {
				t.Errorf("%d RPCs are counted, want 0", n)
			}
		})
	}
}

// TestRPC_AfterTheEnd uses the streams of an RPC that has been answered.
func TestRPC_AfterTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var requests RequestIterator[raw]
		var responses ResponseStream[raw]
		s := newTestServer(t, ServerOptions{}, handlers{"M": StreamStream(
			func(_ context.Context, req RequestIterator[raw], res ResponseStream[raw]) error {
				requests, responses = req, res
				return res.Send(rawOf("1"))
			})})
		client := s.dial()
		st := client.open("/t.S/M")
		st.result().want(codes.OK, "", "1")
		wantStatus(t, responses.Send(rawOf("2")), codes.Internal, "the RPC has ended")
		if _, err := requests.Next(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("Next: %v", err)
		}
		st.snapshot().want(codes.OK, "", "1")
	})
}

// TestRPC_ConcurrentSend has several goroutines send; each message has to arrive whole.
func TestRPC_ConcurrentSend(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const senders, each = 8, 50
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryStream(
			func(_ context.Context, _ *raw, responses ResponseStream[raw]) error {
				errs := make(chan error, senders)
				for i := range senders {
					go func() {
						var err error
						for range each {
							message := make([]byte, 3000)
							for j := range message {
								message[j] = byte(i)
							}
							err = errors.Join(err, responses.Send(&raw{Data: message}))
						}
						errs <- err
					}()
				}
				var err error
				for range senders {
					err = errors.Join(err, <-errs)
				}
				return err
			})})
		r := s.dial().call("/t.S/M", "").result()
		if code, details := r.status(); code != codes.OK || len(r.messages) != senders*each {
			t.Fatalf("%v %q and %d messages", code, details, len(r.messages))
		}
		for _, m := range r.messages {
			for j := range m {
				if len(m) != 3000 || m[j] != m[0] {
					t.Fatal("messages are mixed up")
				}
			}
		}
	})
}

// TestRPC_TwoReaders has two goroutines wait for requests, which is not allowed; neither may be left behind.
func TestRPC_TwoReaders(t *testing.T) {
	for _, end := range []string{"HalfClose", "Cancel"} {
		runInBubble(t, end, func(t *testing.T) {
			done := make(chan struct{}, 2)
			s := newTestServer(t, ServerOptions{}, handlers{"M": StreamUnary(
				func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
					for range 2 {
						go func() {
							requests.Next()
							done <- struct{}{}
						}()
					}
					<-done
					<-done
					return rawOf("x"), nil
				})})
			st := s.dial().open("/t.S/M")
			synctest.Wait()
			if end == "Cancel" {
				st.cancel()
				return
			}
			st.halfClose()
			st.result().want(codes.OK, "", "x")
		})
	}
}

// TestRPC_DeadlineOfAnUnreadResponse has a client that gives no credit for the rest of a response. The handler has
// returned; what it said is kept until the deadline, and no longer.
func TestRPC_DeadlineOfAnUnreadResponse(t *testing.T) {
	for _, c := range cardinalities {
		runInBubble(t, c.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": handlerOf(c, func(call *testCall) error {
				return call.send(&raw{Data: make([]byte, 100_000)})
			})})
			client := s.dial()
			client.do(func(*http2.Framer) { client.thrifty = true })
			st := client.open("/t.S/M", "grpc-timeout", "10S")
			st.send("x")
			st.halfClose()
			began := time.Now()
			if r := st.result(); r.ended || !r.reset || r.code != http2.ErrCodeCancel {
				t.Errorf("got %v %v %v", r.ended, r.reset, r.code)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestRPC_DeadlineThatHasPassed checks that an RPC whose deadline has passed never reaches its handler, whoever notices
// first.
func TestRPC_DeadlineThatHasPassed(t *testing.T) {
	for _, workers := range []int{0, 1} {
		runInBubble(t, fmt.Sprintf("Workers=%d", workers), func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Workers: workers}, handlers{
				"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
					t.Error("the handler was called")
					return rawOf(""), nil
				}),
			})
			c := s.dial()
			for _, timeout := range []string{"0S", "0n"} {
				st := c.open("/t.S/M", "grpc-timeout", timeout)
				st.send("x")
				st.halfClose()
				st.result().want(codes.DeadlineExceeded, "Deadline Exceeded")
			}
		})
	}
}
