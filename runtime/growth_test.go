package runtime

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// TestMessageReader_Growth feeds messages in parts, and looks at the memory behind what has come. It must be no more than the
// client pays for by sending, or may send unasked; and it must not be copied for each part.
func TestMessageReader_Growth(t *testing.T) {
	type part struct {
		octets, window int // the window that is left behind it
		capacity       int // of the memory, or of the class that is large enough
	}
	const whole = 65535 // a window that nothing has been sent into
	for _, tt := range []struct {
		name   string
		length int
		parts  []part
	}{
		{"Small", 100, []part{{1, whole, 100}, {99, whole, 100}}},
		{"AtOnce", 5000, []part{{5000, whole, 5000}}},
		{"FourTimesWhatHasCome", 60_000, []part{{300, whole, 1200}}},
		{"TheFirstChunk", 1 << 20, []part{{whole, 1 << 20, firstChunk}}},
		{"NoMoreThanTheWindow", 1 << 20, []part{{1000, 50, 1050}, {2000, 100, 3100}}},
		{"NoMoreThanIsMissing", 30_000, []part{{10_000, whole, 30_000}, {10_000, whole, 30_000}}},
		{"TheFirstChunkNext", 1 << 20, []part{{1, whole, 4}, {600, whole, firstChunk}}},
		{"SixteenTimes", 4 << 20, []part{{16 << 10, 4 << 20, firstChunk}, {64 << 10, 4 << 20, 1 << 20}, {1 << 20, 4 << 20, 4 << 20}}},
		{"AsMuchAsComes", 4 << 20, []part{{16 << 10, 4 << 20, firstChunk}, {2 << 20, 4 << 20, 16<<10 + 2<<20}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m messageReader
			prefix := lpm(0, strings.Repeat("\x00", tt.length))[:prefixLen]
			m.feed(prefix[:prefixLen-1], tt.length, NoCompression, nil)
			content := make([]byte, tt.length)
			for i, p := range tt.parts {
				data := content[:p.octets]
				if i == 0 {
					data = append(prefix[prefixLen-1:], data...)
				}
				if _, _, bad := m.feed(data, tt.length, NoCompression, func() int { return p.window }); bad != nil {
					t.Fatal(bad)
				}
				want := p.capacity
				if tt.length > smallMessage {
					want = buffer.Size(want)
				}
				if got := cap(m.current.data); got != want {
					t.Errorf("part %d: %d octets have come, and there is memory for %d, want %d", i, len(m.current.data), got, want)
				}
			}
		})
	}
}

// TestWorkers_KeepSmallBuffers has responses of all sizes: a worker keeps its buffer for the next response, unless it is one
// that hardly any other needs.
func TestWorkers_KeepSmallBuffers(t *testing.T) {
	for _, tt := range []struct {
		size int
		kept bool
	}{{1000, true}, {maxKeptBuffer - prefixLen, true}, {maxKeptBuffer, false}, {1 << 20, false}} {
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
