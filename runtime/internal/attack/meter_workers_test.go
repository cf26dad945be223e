package attack

import (
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// TestMeter_KnowsWorkers tells workers that wait from those that work by the names of functions: if those change, each
// attack waits until the workers have gone home.
func TestMeter_KnowsWorkers(t *testing.T) {
	pool := work.NewPool(func(doing string, reason any) { t.Error(doing, reason) })
	queue := work.NewQueue(pool, nothing{})
	const workers = 50
	before := busy()
	release := make(chan struct{})
	for range workers {
		queue.Push(&waiting{until: release})
	}
	for began := time.Now(); busy()-before < workers; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d goroutines are counted while %d workers work", busy()-before, workers)
		}
	}
	close(release)
	for began := time.Now(); busy()-before > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 4*time.Second { // before they go home
			t.Fatalf("%d goroutines are counted when %d workers have nothing to do", busy()-before, workers)
		}
	}
	pool.Close()
}

// waiting is a task that waits.
type waiting struct {
	work.Link
	until chan struct{}
}

func (w *waiting) Run(*work.Worker)      { <-w.until }
func (w *waiting) Flusher() work.Flusher { return nothing{} }

// nothing has nothing to flush.
type nothing struct{}

func (nothing) Flush() {}
