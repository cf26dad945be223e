package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
)

// TestWorkers_KeepSmallBuffers has responses of all sizes: a worker keeps its buffer for the next response, unless it is one
// that hardly any other needs.
func TestWorkers_KeepSmallBuffers(t *testing.T) {
	for _, tt := range []struct {
		size int
		kept bool
	}{{1000, true}, {maxKeptBuffer - wire.PrefixLen, true}, {maxKeptBuffer, false}, {1 << 20, false}} {
		runInBubble(t, fmt.Sprint(tt.size), func(t *testing.T) {
			s := newTestServer(t, Options{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				return &raw{Data: make([]byte, tt.size)}, nil
			})})
			client := s.dial()
			for range 3 {
				client.call("/t.S/M", "").result().want(codes.OK, "", string(make([]byte, tt.size)))
				synctest.Wait()
				s.workers.mu.Lock()
				for _, w := range s.workers.idle {
					if kept := cap(w.buffer) >= tt.size; kept != tt.kept || cap(w.buffer) > maxKeptBuffer {
						t.Errorf("a worker has a buffer of %d octets after a response of %d", cap(w.buffer), tt.size)
					}
				}
				s.workers.mu.Unlock()
			}
		})
	}
	w := &worker{}
	w.putBuffer(make([]byte, 0, 100))
	if first, second := w.takeBuffer(), w.takeBuffer(); cap(first) != 100 || second != nil {
		t.Errorf("a buffer of %d octets was taken, and then one of %d; want 100 and none", cap(first), cap(second))
	}
}
