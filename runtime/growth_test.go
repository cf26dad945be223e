package runtime

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// workerProbe is a task that looks at its worker.
type workerProbe struct {
	work.Link
	run func(w *work.Worker)
}

func (p *workerProbe) Run(w *work.Worker)    { p.run(w) }
func (p *workerProbe) Flusher() work.Flusher { return p }
func (p *workerProbe) Flush()                {}

// TestWorkers_KeepSmallBuffers has responses of all sizes: a worker keeps its buffer for the next response, unless it is one
// that hardly any other needs.
func TestWorkers_KeepSmallBuffers(t *testing.T) {
	for _, tt := range []struct {
		size int
		kept bool
	}{{1000, true}, {work.MaxBuffer - wire.PrefixLen, true}, {work.MaxBuffer, false}, {1 << 20, false}} {
		runInBubble(t, fmt.Sprint(tt.size), func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
				return &raw{Data: make([]byte, tt.size)}, nil
			})})
			client := s.dial()
			for range 3 {
				client.call("/t.S/M", "").result().want(codes.OK, "", string(make([]byte, tt.size)))
				synctest.Wait()
				onlyConnection(t, s).queue.Push(&workerProbe{run: func(w *work.Worker) { // the worker that is idle is the one that was
					b := w.TakeBuffer()
					defer w.PutBuffer(b)
					if kept := cap(b) >= tt.size; kept != tt.kept || cap(b) > work.MaxBuffer {
						t.Errorf("a worker has a buffer of %d octets after a response of %d", cap(b), tt.size)
					}
				}})
				synctest.Wait()
				if n := countWorkers(); n != 1 {
					t.Fatalf("%d workers, want the one that has answered", n)
				}
			}
		})
	}
}
