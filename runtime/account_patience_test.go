package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// TestAccount_PatientClients has clients that behave fill their accounts with requests and responses at random, and take
// their responses little by little. Every RPC ends well in the end: neither side of the account waits for the other for ever.
func TestAccount_PatientClients(t *testing.T) {
	for _, seed := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 21, 23, 27, 31, 77, 79, 117, 205, 245} { // that have hung
		options := ServerOptions{Connections: ConnectionOptions{MinPingInterval: -1}}
		if seed%8 < 4 {
			options.MaxConnectionBytes = 1 << 19
		} else {
			options.MaxServerBytes = []int{700_000, 400_000, 250_000, 1_000_000}[seed/8%4]
		}
		if seed%2 == 1 {
			options.Workers = 1 + seed/8%3
		}
		if seed%4 >= 2 {
			options = passing(options)
		}
		runInBubble(t, fmt.Sprint(seed), func(t *testing.T) { playPatiently(t, seed, options) })
	}
}

// TestAccount_PatientClients_Windows has clients do the same whose windows are so large that they fill what windows may hold. The
// windows become small again, and large, while requests of all sizes are under way.
func TestAccount_PatientClients_Windows(t *testing.T) {
	for seed := range 24 {
		options := ServerOptions{MaxConnectionBytes: 1 << 22, Connections: ConnectionOptions{MinPingInterval: -1, StreamWindow: 1 << 20}}
		if seed%2 == 1 {
			options.Workers = 1
		}
		if seed%4 >= 2 {
			options = passing(options)
		}
		if seed >= 8 {
			options.MaxServerBytes = 1_000_000
		}
		runInBubble(t, fmt.Sprint(seed), func(t *testing.T) { playPatiently(t, seed, options) })
	}
}

func playPatiently(t *testing.T, seed int, options ServerOptions) {
	s := newTestServer(t, options, patientHandlers())
	var callers, takers sync.WaitGroup
	stop := make(chan struct{})
	for n := range uint64(3) {
		client := newTestClient(t, s.listener.dial(), http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		client.do(func(f *http2.Framer) { client.thrifty = true; f.WriteWindowUpdate(0, 1<<30) })
		takers.Go(func() { client.takeAtRandom(rand.New(rand.NewPCG(uint64(seed), n)), stop) })
		for m := range uint64(6) {
			callers.Go(func() { client.callAtRandom(t, rand.New(rand.NewPCG(uint64(seed), 10+6*n+m))) })
		}
	}
	callers.Wait()
	close(stop)
	takers.Wait()
	time.Sleep(time.Minute) // handlers of RPCs that were cancelled may not have noticed yet
	synctest.Wait()
	for _, c := range s.clients.all() {
		if held, beyond := c.account.Used(budget.Requests), c.h2.Beyond(); held != 0 || beyond != 0 {
			t.Errorf("%d octets are held for requests, and %d beyond what streams may hold", held, beyond)
		}
	}
}

// patientHandlers answer with about as much as they are sent, some after a while.
func patientHandlers() handlers {
	all := handlers{}
	for i, c := range cardinalities {
		all[c.name] = handlerOf(c, func(call *testCall) error {
			for {
				request, err := call.next()
				if err != nil {
					return nil // io.EOF, or nobody listens any more
				}
				time.Sleep(time.Duration(i*len(request.Data)%1000) * time.Millisecond)
				if err := call.send(&raw{Data: make([]byte, len(request.Data))}); err != nil {
					return err
				}
			}
		})
	}
	return all
}

// takeAtRandom opens the windows of streams a little from time to time.
func (c *testClient) takeAtRandom(random *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(3000)) * time.Millisecond):
		}
		c.do(func(f *http2.Framer) {
			for _, st := range c.streams {
				if !st.ended && !st.reset {
					f.WriteWindowUpdate(st.id, uint32(1+random.IntN(100_000)))
				}
			}
		})
	}
}

// callAtRandom makes calls, one after another. Some it cancels, and some may be refused.
func (c *testClient) callAtRandom(t *testing.T, random *rand.Rand) {
	sizes := []int{0, 10, 600, 5_000, 70_000, 150_000, 200_000}
	for range 4 {
		cardinality := cardinalities[random.IntN(len(cardinalities))]
		st := c.open("/t.S/"+cardinality.name, "grpc-timeout", "50M")
		messages := 1
		if cardinality.requestStreaming {
			messages += random.IntN(6)
		}
		for range messages {
			st.sendSlowly(lpm(0, string(make([]byte, sizes[random.IntN(len(sizes))]))))
		}
		if random.IntN(6) == 0 {
			st.cancel()
			continue
		}
		st.halfClose()
		st.await(func() bool { return st.ended || st.reset || c.Err != nil })
		c.Lock()
		err, goAways := c.Err, c.goAways
		c.Unlock()
		if err != nil {
			t.Errorf("the connection has ended: %v; GOAWAY %q", err, goAways)
			return
		}
		if r := st.snapshot(); r.reset && r.code == http2.ErrCodeRefusedStream {
			continue
		} else if code, details := r.status(); code != codes.OK {
			t.Errorf("%s: %v %q", cardinality.name, code, details)
		}
	}
}

// sendSlowly is sendPatiently for windows that open once in a while.
func (st *testStream) sendSlowly(data []byte) {
	for len(data) > 0 {
		over := false
		st.await(func() bool {
			over = st.ended || st.reset || st.c.Err != nil
			return over || min(st.c.credits, st.credits) > 0
		})
		if over {
			return
		}
		data = st.sendFitting(data)
	}
}

// await waits for up to an hour.
func (st *testStream) await(holds func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for ctx.Err() == nil {
		st.c.Lock()
		held := holds()
		st.c.Unlock()
		if held {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
