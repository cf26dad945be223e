package runtime

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

var thorough = flag.Bool("thorough", false, "go through all orders of what happens to an RPC, with all of its ends: some minutes")

// life is an RPC with a large request and a large response, on a connection where another RPC has left no room for large
// requests, and whose client has no window for responses. What happens to it happens step by step, in an order that a test
// makes up.
type life struct {
	t       *testing.T
	s       *testServer
	client  *testClient
	st      *testStream
	blocker *testStream
	account *budget.Budget
	steps   chan string // of the handler
	rest    []byte      // of the request
	closed  bool        // the connection is
}

const (
	lifeRequest  = 100_000 // more than an eighth of the account, so that no two are under way
	lifeResponse = 60_000
)

func newLife(t *testing.T, method string, workers int, timeout bool) *life {
	l := &life{t: t, steps: make(chan string, 10), rest: lpm(0, string(make([]byte, lifeRequest)))}
	l.s = newTestServer(t, ServerOptions{MaxConnectionBytes: 256 << 10, Workers: workers}, handlers{
		"Unary": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			err := l.end(<-l.steps)
			return &raw{Data: make([]byte, lifeResponse)}, err
		}),
		"Stream": StreamStream(func(_ context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
			for {
				step := <-l.steps
				if step == "take" {
					requests.Next()
					continue
				}
				responses.Send(&raw{Data: make([]byte, lifeResponse)})
				return l.end(step)
			}
		}),
		"Block": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { return request, nil }),
	})
	l.client = newTestClient(t, l.s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	l.client.do(func(*http2.Framer) { l.client.thrifty = true })
	l.blocker = l.client.open("/t.S/Block")
	l.blocker.sendData(l.rest[:60_000])
	l.client.ping()
	synctest.Wait()
	l.account = accountOf(t, l.s)
	var more []string
	if timeout {
		more = []string{"grpc-timeout", "5S"}
	}
	l.st = l.client.open("/t.S/"+method, more...)
	return l
}

func (l *life) end(how string) error {
	switch how {
	case "fails":
		return status.Error(codes.Aborted, "enough")
	case "panics":
		panic("boom")
	case "ends its goroutine":
		goruntime.Goexit()
	}
	return nil
}

// step has something happen.
func (l *life) step(name string) {
	actor, what, _ := strings.Cut(name, " ")
	if actor == "handler" {
		l.steps <- what
		return
	}
	switch what {
	case "sends a part":
		l.send(60_000)
	case "sends the rest":
		l.send(len(l.rest))
	case "half-closes":
		l.st.halfClose()
	case "makes room":
		l.blocker.cancel()
	case "gives window":
		l.client.do(func(f *http2.Framer) {
			f.WriteWindowUpdate(0, 2*lifeResponse)
			f.WriteWindowUpdate(l.st.id, 2*lifeResponse)
		})
	case "resets":
		l.st.cancel()
	case "goes":
		l.client.close()
		l.closed = true
	case "passes":
		time.Sleep(6 * time.Second)
	case "stops":
		l.s.Stop(0)
		l.closed = true
	}
}

// send sends the next n octets of the request, as far as there is window: like a client that has given up waiting for it, or
// cut its request.
func (l *life) send(n int) {
	l.client.Lock()
	n = max(0, min(n, l.client.credits, l.st.credits))
	l.client.Unlock()
	l.st.sendData(l.rest[:n])
	l.rest = l.rest[n:]
}

// check checks that nothing is left when the RPC and the one that left no room for it are over, whether the connection is or
// not, and that the RPC counts once.
func (l *life) check() {
	if !l.closed {
		l.st.cancel()
		l.blocker.cancel()
	}
	if time.Sleep(time.Millisecond); l.closed {
		time.Sleep(time.Minute) // the connection lingers
	}
	synctest.Wait()
	left := [...]int64{l.account.Used(budget.Requests), l.account.Used(budget.Responses), l.s.active.Load()}
	for _, line := range []budget.Line{budget.ForWindow, budget.ForRequests, budget.ForResponses, budget.ForBeginning} {
		left[2] += int64(l.account.Waiting(line))
	}
	if left != [3]int64{} {
		l.t.Errorf("requests, responses, and RPCs with claims: %v are left", left)
	}
	if l.closed {
		return
	}
	if !l.account.Try(budget.ForRequests, 256<<10) {
		l.t.Error("there is no room for a large request: some are taken to be under way")
	} else {
		l.account.Sub(budget.Requests, 256<<10)
	}
	handled := uint64(0)
	for _, method := range l.s.Stats().Methods {
		for _, n := range method.Handled {
			handled += n
		}
	}
	if handled != 2 {
		l.t.Errorf("%d RPCs have been counted, want 2", handled)
	}
}

// orders calls visit with each order in which the steps of some sequences can come.
func orders(sequences [][]string, visit func(order []string)) {
	total := 0
	for _, s := range sequences {
		total += len(s)
	}
	var extend func(order []string, at []int)
	extend = func(order []string, at []int) {
		if len(order) == total {
			visit(order)
			return
		}
		for i, s := range sequences {
			if at[i] < len(s) {
				at[i]++
				extend(append(order, s[at[i]-1]), at)
				at[i]--
			}
		}
	}
	extend(nil, make([]int, len(sequences)))
}

// TestRPC_Lives has everything happen to an RPC that can, in all orders: that its large request comes, is granted, is taken;
// that its handler returns in some way; that its response gets window; and that it is ended by others. In some orders one step
// follows another at once, so that they meet.
func TestRPC_Lives(t *testing.T) {
	ends := []string{"client resets", "client goes", "time passes", "server stops", "nothing happens"}
	returns := []string{"handler returns", "handler fails", "handler panics", "handler ends its goroutine"}
	client := []string{"client sends a part", "client sends the rest", "client half-closes"}
	for _, method := range []string{"Unary", "Stream"} {
		lives := 0
		for _, end := range ends {
			for _, how := range returns {
				handler := []string{"handler take", how}
				if method == "Unary" {
					handler = handler[1:]
				}
				orders([][]string{client, handler, {"other makes room"}, {"client gives window"}, {end}}, func(order []string) {
					hash := fnv.New32()
					hash.Write([]byte(method + strings.Join(order, ",")))
					chance := hash.Sum32()
					if !*thorough && chance>>8%120 != 0 || t.Failed() {
						return
					}
					lives++
					workers := int(chance & 1)
					together := chance >> 1 & 3 * (chance >> 3) // no step waits for that before it to settle, or some don't
					ok := t.Run(fmt.Sprint(method, lives), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							l := newLife(t, method, workers, end == "time passes")
							for i, step := range order {
								if together>>i&1 == 0 {
									synctest.Wait()
								}
								l.step(step)
							}
							l.check()
						})
					})
					if !ok {
						t.Errorf("%s, %d workers, together %b:\n\t%s", method, workers, together, strings.Join(order, "\n\t"))
					}
				})
			}
		}
		t.Logf("%s: %d lives", method, lives)
	}
}
