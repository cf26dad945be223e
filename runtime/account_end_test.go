package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// heavyMessage is a large message whose encoding may end the goroutine, or panic.
type heavyMessage struct{ how string }

func (m *heavyMessage) SizeVT() int { return 100_000 + 10_000*len(m.how) }

func (m *heavyMessage) MarshalToSizedBufferVT([]byte) (int, error) {
	switch m.how {
	case "Panic":
		panic("boom")
	case "Goexit":
		goruntime.Goexit()
	}
	return m.SizeVT(), nil
}

func (m *heavyMessage) UnmarshalVT(b []byte) error {
	m.how = string(b)
	return nil
}

// TestAccount_EncodingFails has the encoding of a response fail for which room has been reserved, as the first or in the place
// of another: what was reserved is given back, once. newTestServer checks that, when all is over.
func TestAccount_EncodingFails(t *testing.T) {
	methods := handlers{
		"Unary": UnaryUnary(func(_ context.Context, m *heavyMessage) (*heavyMessage, error) { return m, nil }),
		"Good":  UnaryUnary(func(context.Context, *heavyMessage) (*heavyMessage, error) { return &heavyMessage{}, nil }),
		"Stream": UnaryStream(func(_ context.Context, m *heavyMessage, responses ResponseStream[heavyMessage]) error {
			return responses.Send(m)
		}),
	}
	for method := range methods {
		for _, how := range []string{"Panic", "Goexit"} {
			runInBubble(t, method+"/"+how, func(t *testing.T) {
				s := newTestServer(t, ServerOptions{Interceptors: []ServerInterceptor{func(ctx context.Context, call *ServerCall, next ServerNext) error {
					if err := next(ctx, call); err != nil || method != "Good" {
						return err
					}
					return call.Respond(ctx, &heavyMessage{how})
				}}}, methods)
				client := s.dial()
				want := map[string]codes.Code{"Panic": codes.Internal, "Goexit": codes.Unknown}[how]
				if code, details := client.call("/t.S/"+method, how).result().status(); code != want {
					t.Errorf("got %v %q", code, details)
				}
				synctest.Wait()
				if n := accountOf(t, s).Used(budget.Responses); n != 0 {
					t.Errorf("%d octets are held for responses", n)
				}
			})
		}
	}
}

// TestAccount_WindowBehindRequests fills an account with a large request and a response that is not taken, so that the window
// of the connection is withheld; and has another request wait until the first is there. Once the response has been taken,
// the first request comes to its end.
func TestAccount_WindowBehindRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const response, large = 1_300_000, 3_000_000
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 4 << 20}, handlers{
			"Answer": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, response)}, nil }),
			"Take":   UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(""), nil }),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		client.do(func(*http2.Framer) { client.thrifty = true })
		answer := client.call("/t.S/Answer", "")
		client.ping()
		synctest.Wait()
		message := lpm(0, string(make([]byte, large)))
		first := client.open("/t.S/Take")
		first.sendPatiently(message[:60_000])
		client.ping()
		synctest.Wait()
		second := client.open("/t.S/Take")
		second.sendPatiently(message[:60_000])
		client.ping()
		synctest.Wait()
		account := accountOf(t, s)
		if !account.Pressed() || account.Waiting(budget.ForRequests) != 1 {
			t.Fatalf("pressed: %v; %d requests wait", account.Pressed(), account.Waiting(budget.ForRequests))
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			first.sendPatiently(message[60_000:])
			first.halfClose()
		}()
		synctest.Wait()
		if client.credits > 16384 {
			t.Errorf("the window of the connection is %d octets", client.credits)
		}
		client.do(func(f *http2.Framer) {
			f.WriteWindowUpdate(0, 2*response)
			f.WriteWindowUpdate(answer.id, 2*response)
		})
		if code, _ := answer.result().status(); code != codes.OK {
			t.Error(code)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-sent:
			first.result().want(codes.OK, "", "")
		default:
			t.Error("the window of the connection waits behind a request that needs it")
			client.close()
		}
		second.cancel()
		<-sent
	})
}

// TestAccount_EndedRPCReservesNothing has a handler return while a large request of its RPC is under way, and its response
// wait for window: other large requests do not wait for what nobody will take.
func TestAccount_EndedRPCReservesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 4 << 20}, handlers{
			"Returns": StreamUnary(func(context.Context, RequestIterator[raw]) (*raw, error) {
				time.Sleep(time.Second)
				return rawOf(string(make([]byte, 5000))), nil
			}),
			"Take": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				time.Sleep(time.Minute) // it does not wait for its request yet, which would be urgent
				return requests.Next()
			}),
		})
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
		client.do(func(*http2.Framer) { client.thrifty = true })
		message := lpm(0, string(make([]byte, 1_000_000)))
		first := client.open("/t.S/Returns")
		first.sendPatiently(message[:60_000])
		client.ping()
		second := client.open("/t.S/Take")
		second.sendPatiently(message[:60_000])
		client.ping()
		wantIntake(t, s, 1_000_000, 1)
		time.Sleep(2 * time.Second)
		wantIntake(t, s, 1_000_000, 0)
		if second.credits < len(message)-60_000 {
			t.Errorf("there is a window of %d octets", second.credits)
		}
		first.cancel()
		second.cancel()
		time.Sleep(2 * time.Minute)
	})
}

// TestAccount_SecondRequestOfAUnaryRPC has a second large request come after the first: it is refused at its beginning, so that
// nothing is reserved for either when the RPC is over.
func TestAccount_SecondRequestOfAUnaryRPC(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 1 << 20}, handlers{"M": echo(), "Take": UnaryUnary(
			func(context.Context, *raw) (*raw, error) { return rawOf(""), nil })})
		client := s.dial()
		message := lpm(0, string(make([]byte, 300_000)))
		for range 3 {
			st := client.open("/t.S/M")
			st.sendPatiently(message)
			st.sendPatiently(message[:60_000])
			st.result().want(codes.Unimplemented, `"/t.S/M" requires exactly one request message.`)
			client.ping()
			wantIntake(t, s, 0, 0)
			st = client.open("/t.S/Take")
			st.sendPatiently(message)
			st.halfClose()
			st.result().want(codes.OK, "", "")
		}
	})
}

// TestAccount_UrgentAgainAndAgain has a stream's large requests come although there is no room, one after another, all of a
// size whose memory is there after the first frame: none of them keeps the next from being urgent.
func TestAccount_UrgentAgainAndAgain(t *testing.T) {
	for _, size := range []int{65_532, 65_536, 70_000} {
		runInBubble(t, fmt.Sprint(size), func(t *testing.T) {
			s := newTestServer(t, ServerOptions{MaxConnectionBytes: 1 << 20, Workers: 2}, handlers{
				"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
					return countRequests(requests)
				}),
			})
			client := s.dial()
			half := client.open("/t.S/Stream") // is never completed
			half.sendPatiently(lpm(0, string(make([]byte, 900_000)))[:60_000])
			client.ping()
			wantIntake(t, s, 900_000, 0)
			st := client.open("/t.S/Stream")
			for range 5 {
				st.sendPatiently(lpm(0, string(make([]byte, size))))
			}
			st.halfClose()
			st.result().want(codes.OK, "", "5")
			half.cancel()
			client.ping()
			wantIntake(t, s, 0, 0)
		})
	}
}

// TestAccount_UrgentOnceAwaited has a request wait for room before its handler waits for it, which then is why it gets room.
func TestAccount_UrgentOnceAwaited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		asks := make(chan struct{})
		s := newTestServer(t, ServerOptions{MaxConnectionBytes: 1 << 20, Workers: 2}, handlers{
			"Stream": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				<-asks
				return countRequests(requests)
			}),
		})
		client := s.dial()
		half := client.open("/t.S/Stream") // is never completed
		half.sendPatiently(lpm(0, string(make([]byte, 900_000)))[:60_000])
		client.ping()
		wantIntake(t, s, 900_000, 0)
		st := client.open("/t.S/Stream")
		st.sendPatiently(lpm(0, string(make([]byte, 70_000)))[:60_000])
		client.ping()
		wantIntake(t, s, 900_000, 1)
		awaited := time.Now()
		asks <- struct{}{}
		asks <- struct{}{} // either may be the other's
		st.sendPatiently(lpm(0, string(make([]byte, 70_000)))[60_000:])
		st.halfClose()
		st.result().want(codes.OK, "", "1")
		if waited := time.Since(awaited); waited > 0 {
			t.Errorf("it waited for %v, until somebody looked", waited)
		}
		half.cancel()
		client.ping()
		wantIntake(t, s, 0, 0)
	})
}

// TestAccount_ServerIsFilledLater has a large request wait for room in the whole server, and others fill the server after that,
// without having to wait for anything. Those who leave their requests half lose their connections in the end; one whose
// requests are taken, slowly, does not.
func TestAccount_ServerIsFilledLater(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{
			MaxServerBytes: 4 << 20, MaxConnectionBytes: 4 << 20, Workers: 100, Connections: ConnectionOptions{StreamWindow: streamWindow},
		}, handlers{
			"Slow": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				for _, err := range requests.All() {
					if err != nil {
						return nil, err
					}
					time.Sleep(20 * time.Second)
				}
				return rawOf(""), nil
			}),
			"Take": UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf(""), nil }),
			"Later": StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
				time.Sleep(90 * time.Second) // so that nothing is urgent about its request
				_, err := requests.Next()
				return rawOf(""), err
			}),
		})
		open := func(method string, message []byte) *testStream {
			st := s.dial().open("/t.S/" + method)
			st.sendPatiently(message[:60_000])
			st.c.ping()
			synctest.Wait()
			return st
		}
		var firsts []*testStream
		for range 3 {
			firsts = append(firsts, open("Take", lpm(0, string(make([]byte, 1_000_000)))))
		}
		message := lpm(0, string(make([]byte, 3_900_000)))
		waits := open("Later", message)
		time.Sleep(10 * time.Second)
		var halves []*testClient
		slow := s.dial()
		for i, first := range firsts {
			client := slow
			if i > 0 {
				client = s.dial()
				halves = append(halves, client)
			}
			for range 17 {
				if client != slow {
					client.open("/t.S/Take").sendPatiently(lpm(0, string(make([]byte, 65_000)))[:60_000])
					continue
				}
				st := client.open("/t.S/Slow")
				for range 10 {
					st.sendPatiently(lpm(0, string(make([]byte, 6_000))))
				}
			}
			client.ping()
			first.cancel()
			first.c.ping()
		}
		synctest.Wait()
		if n := s.account.Used(budget.Requests); n < 3<<20 || waits.credits > 10_000 {
			t.Fatalf("%d octets are held; the window of who waits is %d", n, waits.credits)
		}
		filled := time.Now()
		waits.sendPatiently(message[60_000:])
		if waited := time.Since(filled); waited > time.Minute {
			t.Errorf("it waited for %v", waited)
		}
		waits.halfClose()
		time.Sleep(90 * time.Second)
		waits.result().want(codes.OK, "", "")
		halves[0].waitEnd()
		if got := fmt.Sprint(halves[0].goAways); got != "[requests are not completed, and the server is full]" {
			t.Errorf("a client that leaves its requests half sent has been told %s", got)
		}
		slow.ping()
		if slow.goAways != nil {
			t.Errorf("a client whose requests are taken has been told %q", slow.goAways)
		}
		slow.close()
		time.Sleep(time.Minute) // for its handlers
	})
}
