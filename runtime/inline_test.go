package runtime

import (
	"context"
	"fmt"
	"net"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// inlineSleep is an inline method that blocks for a time and then answers with what it was asked.
func inlineSleep(d time.Duration) *MethodHandler {
	return UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
		time.Sleep(d)
		return request, nil
	}).WithExecutor(Inline)
}

func (s *testServer) wantBlocking(method string, times int) {
	s.t.Helper()
	got := 0
	for _, line := range s.log.lines("An inline handler blocks") {
		if strings.Contains(line, " method="+method+" ") {
			got++
		}
	}
	if got != times {
		s.t.Errorf("%d records of %s, want %d:\n%v", got, method, times, s.log)
	}
}

// TestInline_ThatBlocks is noticed, and happens once.
func TestInline_ThatBlocks(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": inlineSleep(time.Second), "Fast": echo()})
		client := s.dial()
		client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		s.wantBlocking("/t.S/M", 1)
		slow := client.call("/t.S/M", "x")
		began := time.Now()
		client.call("/t.S/Fast", "y").result().want(codes.OK, "", "y")
		if took := time.Since(began); took != 0 {
			t.Errorf("a fast method took %v", took)
		}
		slow.result().want(codes.OK, "", "x")
		s.wantBlocking("/t.S/M", 1)
	})
}

// TestInline_QuickOnesStay calls a method that does not quite block, in batches that take much longer together.
func TestInline_QuickOnesStay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": inlineSleep(inlineLimit - time.Microsecond)})
		client := s.dial()
		for range 5 {
			client.cork()
			var calls []*testStream
			for range 20 {
				calls = append(calls, client.call("/t.S/M", "x"))
			}
			client.uncork()
			for _, st := range calls {
				st.result().want(codes.OK, "", "x")
			}
		}
		s.wantBlocking("/t.S/M", 0)
	})
}

// TestInline_ConnectionGoesOn has a handler block for long, in the middle of a batch whose end is cut through a frame.
func TestInline_ConnectionGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{
			"Block": inlineSleep(time.Minute), "Inline": echo().WithExecutor(Inline), "Worker": echo(),
			"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				all := ""
				for request, err := range requests.All() {
					if err != nil {
						return nil, err
					}
					all += string(request.Data)
				}
				return rawOf(all), nil
			}),
		})
		client := s.dial()
		began := time.Now()
		client.cork()
		stream := client.open("/t.S/Stream")
		stream.send("a")
		others := []*testStream{client.call("/t.S/Inline", "x"), client.call("/t.S/Worker", "x")}
		block := client.call("/t.S/Block", "late")
		stream.send("b", strings.Repeat("c", 40_000)) // more than is read at once
		others = append(others, client.call("/t.S/Inline", "x"), client.call("/t.S/Worker", "x"))
		client.uncork()
		for range 3 {
			others = append(others, client.call("/t.S/Inline", "x"), client.call("/t.S/Worker", "x"))
		}
		for _, st := range others {
			st.result().want(codes.OK, "", "x")
		}
		stream.halfClose()
		stream.result().want(codes.OK, "", "ab"+strings.Repeat("c", 40_000))
		if took := time.Since(began); took > 2*inlineLimit {
			t.Errorf("the connection was held up for %v", took)
		}
		block.result().want(codes.OK, "", "late")
		client.call("/t.S/Inline", "x").result().want(codes.OK, "", "x")
		s.wantBlocking("/t.S/Block", 1)
	})
}

// TestInline_WaitsForItsConnection has inline handlers wait for what only their own connection can bring: another RPC, of
// the same method even, and the end of their own RPC.
func TestInline_WaitsForItsConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		rendezvous := make(chan string)
		meet := UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			select {
			case rendezvous <- string(request.Data):
				return rawOf("gave"), nil
			case other := <-rendezvous:
				return rawOf("took " + other), nil
			}
		}).WithExecutor(Inline)
		ended := make(chan struct{})
		s := newTestServer(t, ServerOptions{}, handlers{
			"Meet": meet, "Other": meet,
			"Wait": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
				<-ctx.Done()
				close(ended)
				return nil, ctx.Err()
			}).WithExecutor(Inline),
		})
		client := s.dial()
		for _, methods := range [][2]string{{"Meet", "Meet"}, {"Meet", "Other"}, {"Other", "Other"}} {
			first, second := client.call("/t.S/"+methods[0], "x"), client.call("/t.S/"+methods[1], "x")
			got := first.result().messages[0] + ", " + second.result().messages[0]
			if got != "gave, took x" && got != "took x, gave" {
				t.Errorf("%v: %s", methods, got)
			}
		}
		wait := client.call("/t.S/Wait", "x")
		client.ping() // it has been dispatched, and blocks
		wait.cancel()
		wantClosed(t, "the end of a cancelled RPC", ended)
		s.wantBlocking("/t.S/Wait", 1)
	})
}

// TestInline_EndsLate has inline handlers end in all ways there are, after another reader has taken over.
func TestInline_EndsLate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{
			"Return": inlineSleep(time.Minute),
			"Panic": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				time.Sleep(time.Minute)
				panic("late")
			}).WithExecutor(Inline),
			"Exit": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				time.Sleep(time.Minute)
				goruntime.Goexit()
				return nil, nil
			}).WithExecutor(Inline),
			"Fast": echo().WithExecutor(Inline),
		})
		client := s.dial()
		client.cork()
		returns, panics, exits := client.call("/t.S/Return", "x"), client.call("/t.S/Panic", "x"), client.call("/t.S/Exit", "x")
		client.uncork()
		client.call("/t.S/Fast", "x").result().want(codes.OK, "", "x")
		returns.result().want(codes.OK, "", "x")
		panics.result().want(codes.Unknown, "Exception calling application: late")
		exits.result().want(codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)")
		client.call("/t.S/Fast", "x").result().want(codes.OK, "", "x")
		synctest.Wait()
		if n := strings.Count(allStacks(), "(*connection).read("); n != 1 {
			t.Errorf("%d readers of one connection", n)
		}
		if n := s.active.Load(); n != 0 {
			t.Errorf("%d RPCs are still counted", n)
		}
	})
}

// TestInline_ConnectionEndsFirst ends a connection, or the server, while an inline handler blocks.
func TestInline_ConnectionEndsFirst(t *testing.T) {
	for name, end := range map[string]func(*testServer, *testClient){
		"Client": func(_ *testServer, client *testClient) { client.close() },
		"Stop":   func(s *testServer, _ *testClient) { s.Stop(0) },
	} {
		runInBubble(t, name, func(t *testing.T) {
			release := make(chan struct{})
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				<-release
				return rawOf("dropped"), nil
			}).WithExecutor(Inline)})
			client := s.dial()
			client.call("/t.S/M", "x")
			client.ping()
			end(s, client)
			wantClosed(t, "termination", s.Stop(0))
			close(release)
		})
	}
}

// TestInline_OnSockets has handlers of many connections block, on sockets of the system's: there, reading is another
// matter than with the pipes of the other tests.
func TestInline_OnSockets(t *testing.T) {
	const methods = 8
	gates := make([]chan struct{}, methods)
	blocks, all := make([]int, methods), handlers{"Fast": echo().WithExecutor(Inline)}
	for i := range methods {
		gates[i] = make(chan struct{})
		all[fmt.Sprint("M", i)] = UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			<-gates[i]
			return request, nil
		}).WithExecutor(Inline)
		all[fmt.Sprint("Open", i)] = UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			blocks[i]++
			if blocks[i] == 2 { // both clients are there
				close(gates[i])
			}
			return request, nil
		}).WithExecutor(NewExecutor(1))
	}
	s := newTestServer(t, ServerOptions{}, all)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, s.AddListener(l))
	var calling sync.WaitGroup
	for range 2 {
		nc, err := net.Dial("tcp", l.Addr().String())
		check(t, err)
		client := newTestClient(t, nc)
		calling.Go(func() {
			for i := range methods {
				blocked := client.call(fmt.Sprint("/t.S/M", i), "x")
				client.call("/t.S/Fast", "y").result().want(codes.OK, "", "y")
				client.call(fmt.Sprint("/t.S/Open", i), "z").result().want(codes.OK, "", "z")
				blocked.result().want(codes.OK, "", "x")
			}
		})
	}
	calling.Wait()
	for i := range methods {
		s.wantBlocking(fmt.Sprint("/t.S/M", i), 1)
	}
}

// TestDispatch_GoexitInContinuation has the reader end when the last frame of a field block has come: the next reader does
// not wait for that block any more.
func TestDispatch_GoexitInContinuation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		check(t, s.AddGenericHandler(genericFunc(func(HandlerCallDetails) *MethodHandler {
			goruntime.Goexit()
			return nil
		})))
		client := s.dial()
		client.openCut(request("/x.Y/Z"), false, 10).result()
		client.call("/t.S/M", "hello").result().want(codes.OK, "", "hello")
	})
}

// TestInline_BlocksInContinuation has a handler block the reader when the last frame of a trailer section has come.
func TestInline_BlocksInContinuation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo(), "Slow": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			time.Sleep(time.Second)
			return rawOf("slow"), nil
		}).WithExecutor(Inline)})
		client := s.dial()
		st := client.open("/t.S/Slow")
		st.send("x")
		client.do(func(framer *http2.Framer) { st.writeFields(framer, request("/x.Y/Z", "a", "b")[4:], true, 5) })
		time.Sleep(500 * time.Millisecond)
		client.call("/t.S/M", "hello").result().want(codes.OK, "", "hello")
		st.result().want(codes.OK, "", "slow")
	})
}

// failingOwner panics when its reader is to be replaced.
type failingOwner struct{ *connection }

func (failingOwner) replaceReader(*method) { panic("no reader") }

// TestInline_WatchPanics has the watch over a handler that blocks panic, by a mistake of ours. The process lives.
func TestInline_WatchPanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, nil)
		s.dial().ping()
		runner := &inlineRunner{owner: failingOwner{onlyConnection(t, s)}}
		runner.current.Store(1)
		runner.watch()
		time.Sleep(2 * inlineLimit)
		synctest.Wait()
		if got := s.log.lines("Exception in the server"); len(got) != 1 || !strings.Contains(got[0], "the watch over inline handlers") {
			t.Errorf("logged %s", s.log)
		}
	})
}

// TestInline_ExitsLast has the last inline handler of a connection that is shut down end its goroutine, which is the reader's.
// Its client gets the status.
func TestInline_ExitsLast(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"Exit": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			goruntime.Goexit()
			return nil, nil
		}).WithExecutor(Inline)})
		client := s.dial()
		exits := client.open("/t.S/Exit")
		client.ping()
		terminated := s.Stop(time.Hour)
		time.Sleep(time.Minute) // both GOAWAY frames are there
		exits.send("x")
		exits.halfClose()
		exits.result().want(codes.Unknown, "Exception calling application: the handler ended its goroutine (runtime.Goexit)")
		wantClosed(t, "termination", terminated)
	})
}
