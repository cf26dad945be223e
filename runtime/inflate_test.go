package runtime

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// slowMessage takes a second to be decoded, and counts how many are at a time.
type slowMessage struct{ size int }

// decoding is how many messages are being decoded, by their first octet, and the most there were at a time.
var decoding, mostDecoding [256]atomic.Int32

func (*slowMessage) SizeVT() int                                { return 0 }
func (*slowMessage) MarshalToSizedBufferVT([]byte) (int, error) { return 0, nil }

func (m *slowMessage) UnmarshalVT(data []byte) error {
	who := data[0]
	n := decoding[who].Add(1)
	mostDecoding[who].Store(max(n, mostDecoding[who].Load()))
	time.Sleep(time.Second)
	decoding[who].Add(-1)
	m.size = len(data)
	return nil
}

// withPlaces has room for many inflations at a time while a test runs, so that nothing else bounds them.
func withPlaces(t *testing.T, free int) {
	before := inflating
	inflating = work.NewSemaphore(free)
	t.Cleanup(func() {
		if inflating.Free() != free || inflating.Waiting() != 0 {
			t.Errorf("%d places for inflations are free of %d, and %d wait", inflating.Free(), free, inflating.Waiting())
		}
		inflating = before
	})
}

// TestCompression_LargeOnesTakeTurns has two connections send requests that inflate to much, and one small ones. Of each
// connection one that is large is held at a time, from its inflation until it has been decoded.
func TestCompression_LargeOnesTakeTurns(t *testing.T) {
	const requests = 5
	sizes := map[byte]int{'a': smallInflated + 1, 'b': 1 << 20, 'c': smallInflated}
	most := map[byte]int32{'a': 1, 'b': 1, 'c': requests}
	inBubble(t, func(t *testing.T) {
		withPlaces(t, 3*requests)
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(_ context.Context, request *slowMessage) (*raw, error) {
			return &raw{Data: []byte{byte(request.size >> 16), byte(request.size >> 8), byte(request.size)}}, nil
		})})
		answers := map[*testStream]string{}
		for who, size := range sizes {
			mostDecoding[who].Store(0)
			client := s.dial()
			for range requests {
				st := client.open("/t.S/M", "grpc-encoding", "gzip", "grpc-timeout", "1M")
				st.sendData(lpm(1, compress(t, Gzip, strings.Repeat(string(rune(who)), size))))
				st.halfClose()
				answers[st] = string([]byte{byte(size >> 16), byte(size >> 8), byte(size)})
			}
		}
		for st, want := range answers {
			st.result().want(codes.OK, "", want)
		}
		for who, want := range most {
			if got := mostDecoding[who].Load(); got != want {
				t.Errorf("%d requests that inflate to %d octets were held at a time, want %d", got, sizes[who], want)
			}
		}
	})
}

// TestCompression_LargeOneIsOver has an RPC end that has its connection's turn for a large request, and waits for a place. The
// next one of the connection must not wait for it.
func TestCompression_LargeOneIsOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		withPlaces(t, 1)
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) { return rawOf("x"), nil })})
		client := s.dial()
		large := func() *testStream {
			st := client.open("/t.S/M", "grpc-encoding", "gzip", "grpc-timeout", "1M")
			st.sendData(lpm(1, compress(t, Gzip, strings.Repeat("\x00", 1<<20))))
			st.halfClose()
			synctest.Wait()
			return st
		}
		inflating.Acquire(context.Background(), &work.Line{})
		st := large()
		go inflating.Acquire(context.Background(), &work.Line{}) // it comes between the two times that the request is inflated
		synctest.Wait()
		inflating.Release()
		synctest.Wait()
		st.cancel()
		synctest.Wait()
		if n := s.active.Load(); n != 0 {
			t.Errorf("%d RPCs are left", n)
		}
		inflating.Release()
		large().result().want(codes.OK, "", "x")
	})
}
