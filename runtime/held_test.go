package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// wantHeld fails unless the server holds so many octets of requests, beside what counts for each RPC and stream.
func (s *testServer) wantHeld(when string, least, most int64) {
	s.t.Helper()
	synctest.Wait()
	held := s.Stats().HeldRequestBytes
	for _, c := range s.clients.all() {
		held -= budget.Weight * (c.account.Count(budget.Streams) + c.account.Count(budget.Handlers))
	}
	if held < least || held > most {
		s.t.Errorf("%s: %d octets are held, want %d to %d", when, held, least, most)
	}
}

// TestAccount_HoldsWhatHasCome has a request come in parts, wait for its handler, be taken by it, or be left when its RPC ends.
func TestAccount_HoldsWhatHasCome(t *testing.T) {
	const size = 40_000
	message := lpm(0, strings.Repeat("x", size))
	streaming := StreamUnary(func(_ context.Context, requests RequestIterator[raw]) (*raw, error) {
		n := 0
		for _, err := range requests.All() {
			if err != nil {
				return nil, err
			}
			n++
		}
		return rawOf(strings.Repeat("+", n)), nil
	})
	for _, end := range []string{"Complete", "Cancel"} {
		runInBubble(t, "UnderWay"+end, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			st := s.dial().open("/t.S/M")
			st.sendData(message[:size/2])
			s.wantHeld("with half of a request", size/2, 2*size)
			if end == "Cancel" {
				st.cancel()
			} else {
				st.sendData(message[size/2:])
				st.halfClose()
				st.result().want(codes.OK, "", string(message[wire.PrefixLen:]))
			}
			s.wantHeld("when the RPC has ended", 0, 0)
		})
		runInBubble(t, "WaitsForAWorker"+end, func(t *testing.T) {
			release := make(chan struct{})
			s := newTestServer(t, ServerOptions{Workers: 1}, handlers{"M": echo(), "Occupy": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
				<-release
				return request, nil
			})})
			client := s.dial()
			first := client.call("/t.S/Occupy", "x")
			synctest.Wait()
			st := client.open("/t.S/M")
			st.sendData(message)
			st.halfClose()
			s.wantHeld("with a request that waits", size, 2*size)
			if end == "Cancel" {
				st.cancel()
				synctest.Wait()
			}
			close(release)
			first.result().want(codes.OK, "", "x")
			if end != "Cancel" {
				st.result().want(codes.OK, "", string(message[wire.PrefixLen:]))
			}
			s.wantHeld("when the RPC has ended", 0, 0)
		})
	}
	runInBubble(t, "TakenFromAStream", func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": streaming})
		st := s.dial().open("/t.S/M")
		for range 20 {
			st.sendPatiently(message)
			s.wantHeld("while the handler waits for the next request", 0, 0)
		}
		st.halfClose()
		st.result().want(codes.OK, "", strings.Repeat("+", 20))
	})
}

// TestAccount_SharedMetadata has many RPCs with the same large metadata, which is there once.
func TestAccount_SharedMetadata(t *testing.T) {
	const size, rpcs = 3000, 50
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": blockUntilOver()})
		client := s.dial()
		var all []*testStream
		for range rpcs {
			st := client.open("/t.S/M", "large", strings.Repeat("v", size))
			st.send("")
			st.halfClose()
			all = append(all, st)
		}
		s.wantHeld("with all of them", size, 4*size) // the first ones are not encoded alike
		for _, st := range all[1:] {
			st.cancel()
		}
		s.wantHeld("with one of them", size, 2*size)
		all[0].cancel()
		s.wantHeld("with none of them", 0, 0)
	})
}

// TestHandler_LimitAboveTheServers has a method permit more than its server: the server's limit holds for what is inflated too.
func TestHandler_LimitAboveTheServers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{MaxReceiveMessageBytes: 100}, handlers{"M": echo().WithMaxReceiveMessageBytes(1000)})
		client := s.dial()
		for size, want := range map[int]codes.Code{100: codes.OK, 101: codes.ResourceExhausted, 500: codes.ResourceExhausted} {
			st := client.open("/t.S/M", "grpc-encoding", "gzip")
			st.sendData(lpm(1, compress(t, Gzip, strings.Repeat("x", size))))
			st.halfClose()
			if code, details := st.result().status(); code != want {
				t.Errorf("%d octets: %v %q, want %v", size, code, details, want)
			}
		}
	})
}

// TestAccount_QueuedRequests has requests wait for a handler that takes none. Each costs what it occupies, beside its octets.
func TestAccount_QueuedRequests(t *testing.T) {
	for _, tt := range []struct {
		name              string
		size, n           int
		least, mostOfEach int64
	}{
		{"Small", 1, 2000, 6, 12}, // with its prefix; many to a pack
		{"NotSmall", 600, 50, 1024 + queuedOverhead, 1024 + queuedOverhead},                                             // each has a buffer of its own
		{"LargestInAPack", uncountedRequestSize - wire.PrefixLen, 50, uncountedRequestSize, uncountedRequestSize + 128}, // up to eight to a pack
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": StreamUnary(func(ctx context.Context, _ RequestIterator[raw]) (*raw, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})})
			st := s.dial().open("/t.S/M")
			st.send("") // the first is its handler's as soon as it looks
			var all []byte
			for range tt.n {
				all = append(all, lpm(0, strings.Repeat("x", tt.size))...)
			}
			st.sendPatiently(all)
			n := int64(tt.n)
			s.wantHeld("while they wait", n*tt.least, n*tt.mostOfEach+2*maxPack)
			s.wantSmallPacks()
			st.cancel()
			s.wantHeld("when the RPC has ended", 0, 0)
		})
	}
}

// wantSmallPacks fails if many requests share more memory than they should: it is held until the last has been taken.
func (s *testServer) wantSmallPacks() {
	s.t.Helper()
	for _, c := range s.clients.all() {
		for _, r := range c.rpcs() {
			r.mu.Lock()
			for _, m := range r.requests.waiting {
				if m.packed && cap(m.data) > maxPack {
					s.t.Errorf("a pack has %d octets", cap(m.data))
				}
			}
			r.mu.Unlock()
		}
	}
}

// TestAccount_HandlerOutlivesRPC has requests in the queue, and one under way, of a handler that goes on for long when its client
// has given up.
func TestAccount_HandlerOutlivesRPC(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTestServer(t, ServerOptions{}, handlers{"M": StreamUnary(func(context.Context, RequestIterator[raw]) (*raw, error) {
			<-release
			return nil, errors.New("released")
		})})
		st := s.dial().open("/t.S/M")
		for range 20 {
			st.send(strings.Repeat("x", 1000))
		}
		st.sendData(lpm(0, strings.Repeat("x", 10_000))[:5000])
		s.wantHeld("while they wait", 25_000, 60_000)
		st.cancel()
		s.wantHeld("when the RPC has ended, and its handler has not", 0, 0)
		close(release)
	})
}

// TestConnection_BoundsHandlersOfResetStreams has a client reset its streams faster than their handlers end, and pay nothing for
// it. What it may cost is bounded by handlers.
func TestConnection_BoundsHandlersOfResetStreams(t *testing.T) {
	const streams = 10
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTestServer(t, ServerOptions{MaxConcurrentStreams: streams, Floods: FloodOptions{Resets: Rate{Burst: -1}}}, handlers{
			"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { <-release; return request, nil }),
		})
		client := s.dial()
		for range 10 * streams {
			st := client.call("/t.S/M", "x")
			synctest.Wait()
			st.cancel()
			synctest.Wait()
		}
		if n := s.active.Load(); n != 2*streams {
			t.Errorf("%d handlers run of a client that may have %d streams", n, streams)
		}
		close(release)
		synctest.Wait()
		client.call("/t.S/M", "y").result().want(codes.OK, "", "y")
	})
}

// TestCall_RefusedRequestIsReadToItsEnd has a client that speaks HTTP send a long request, which was answered at once. It gets
// window for all of it: it may know no other end of its request than its own.
func TestCall_RefusedRequestIsReadToItsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		client := s.dial()
		st := client.open("/t.S/M", "content-type", "text/plain")
		client.wait("the answer", func() bool { return st.ended })
		for left := 300 << 10; left > 0; {
			n := 0
			client.wait("flow-control window", func() bool {
				n = min(left, 16384, client.credits, st.credits)
				return n > 0
			})
			st.sendData(make([]byte, n))
			left -= n
		}
		st.halfClose()
		synctest.Wait()
		wantNothingHeld(t, s)
	})
}

// TestAccount_TakenResponses has a client take all responses of a stream, which then goes on for long.
func TestAccount_TakenResponses(t *testing.T) {
	const size, n = 20_000, 20
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryStream(func(ctx context.Context, _ *raw, responses ResponseStream[raw]) error {
			for range n {
				if err := responses.Send(&raw{Data: make([]byte, size)}); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return ctx.Err()
		})})
		st := s.dial().call("/t.S/M", "")
		st.next(n)
		synctest.Wait()
		if held := s.Stats().HeldResponseBytes; held != 0 {
			t.Errorf("%d octets of responses are held that the client has taken", held)
		}
		st.cancel()
	})
}

// TestAccount_LargeRequestIsCountedOnce has a request come that the server has to ask for: what was granted for it is part of what
// it occupies.
func TestAccount_LargeRequestIsCountedOnce(t *testing.T) {
	const size = 400_000
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		st := s.dial().open("/t.S/M")
		message := lpm(0, strings.Repeat("x", size))
		for sent := 0; sent < size; sent += 50_000 {
			st.sendPatiently(message[sent : sent+50_000])
			s.wantHeld("while it comes", int64(sent), size*5/4)
		}
		st.sendPatiently(message[size:])
		st.halfClose()
		st.result().want(codes.OK, "", string(message[wire.PrefixLen:]))
		s.wantHeld("when the RPC has ended", 0, 0)
	})
}

// TestAccount_MetadataOfHandlersThatGoOn has clients give up, and handlers that do not heed it: they have the metadata still.
func TestAccount_MetadataOfHandlersThatGoOn(t *testing.T) {
	const size = 10_000
	inBubble(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			<-release
			return request, nil
		})})
		st := s.dial().open("/t.S/M", "large", strings.Repeat("v", size))
		st.send("")
		st.halfClose()
		s.wantHeld("while it runs", size, size+1000)
		st.cancel()
		s.wantHeld("when its client has gone", size, size+1000)
		close(release)
		s.wantHeld("when it has returned", 0, 0)
	})
}
