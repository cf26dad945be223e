package attack

import (
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// What a client may cost, with default options (docs/security.md).
const (
	mostHeld       = 96 << 20 // octets that one connection makes the server hold
	mostHeldByTwo  = 40 << 20 // octets that two streams make it hold
	mostHeldByFew  = 24 << 20 // for fewer octets sent than few, unless handlers' own responses are what is held
	few            = 64 << 10
	mostCPU        = 4 * time.Microsecond // for each octet sent, unless it is handlers' own responses that cost it
	clearlyTooMuch = 512 << 20            // an attack that holds so much goes on no further
)

// measurement is what the victim tells of itself.
type measurement struct {
	Heap       int64 // runtime.MemStats.HeapInuse
	CPU        time.Duration
	Goroutines int
	Active     int // RPCs
	Received   uint64

	// Held is memory that is in use, stacks included, after a garbage collection, and Live is without them; Peak is the
	// most of it that there was since it was watched. Busy are goroutines but for workers that have nothing to do.
	Held, Live, Peak int64
	Busy             int

	Kept int64 // octets of large slices that wait for the next message; part of Heap, Held, and Live

	Unsettled bool // it was asked to settle, and went on
}

// question asks the victim to measure itself.
type question struct {
	Profile string

	// Do says what to do before: "collect" garbage; "watch" what is held from now on; "settle", which waits until Received
	// octets have come and nothing happens any more; "held" ends the watch, and tells Held, Live and Busy.
	Do       string
	Received uint64
}

// meter measures the victim. It runs in its process.
type meter struct {
	server *runtime.Server

	watching atomic.Bool
	samples  atomic.Int64 // that the watcher has taken
	last     atomic.Int64 // of them
	peak     atomic.Int64

	mu sync.Mutex
	// Guarded by mu.
	stop chan struct{} // ends the watcher
	wg   sync.WaitGroup
}

// answer is the handler of the method that measures.
func (m *meter) answer(ctx context.Context, request *raw) (*raw, error) {
	var q question
	if err := json.Unmarshal(request.Data, &q); err != nil {
		return nil, err
	}
	measured, err := m.do(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := runtime.SetCompression(ctx, runtime.NoCompression); err != nil {
		return nil, err
	}
	data, err := json.Marshal(measured)
	return &raw{Data: data}, err
}

func (m *meter) do(ctx context.Context, q question) (now measurement, err error) {
	if q.Do != "" {
		m.mu.Lock()
		defer m.mu.Unlock()
	}
	switch q.Do {
	case "":
	case "collect":
		debug.FreeOSMemory() // twice: what is in a sync.Pool survives once
		debug.FreeOSMemory()
		now.Busy = busy()
	case "watch":
		m.watchLocked()
	case "settle":
		now.Unsettled = !m.settle(ctx, q.Received)
	case "held":
		m.unwatchLocked()
		goruntime.GC() // besides that of held: what is in a sync.Pool survives once
		now.Held, now.Live = held()
		m.peak.Store(max(m.peak.Load(), now.Held))
		now.Busy = busy()
	default:
		return now, fmt.Errorf("no idea how to %s", q.Do)
	}
	now.CPU, now.Peak, now.Goroutines = cpuTime(), m.peak.Load(), goruntime.NumGoroutine()
	if !m.watching.Load() { // it would stop the world for each of a watcher's questions
		var stats goruntime.MemStats
		goruntime.ReadMemStats(&stats)
		now.Heap = int64(stats.HeapInuse)
	}
	stats := m.server.Stats()
	now.Active, now.Received, now.Kept = stats.Active, stats.ReceivedBytes, int64(buffer.Kept())
	return now, nil
}

// watchLocked starts to collect garbage over and over, and to remember the most that is left.
func (m *meter) watchLocked() {
	m.peak.Store(0)
	m.watching.Store(true)
	stop := make(chan struct{})
	m.stop = stop
	m.wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			now, _ := held()
			m.last.Store(now)
			m.samples.Add(1)
			m.peak.Store(max(m.peak.Load(), now))
		}
	})
}

func (m *meter) unwatchLocked() {
	if m.watching.Swap(false) {
		close(m.stop)
		m.wg.Wait()
	}
}

// held collects garbage, and returns what is left of the heap, with and without the stacks. Buffers count by capacity.
func held() (all, live int64) {
	goruntime.GC()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	live = int64(samples[0].Value.Uint64())
	return live + int64(samples[1].Value.Uint64()), live
}

// settle waits until the octets have come, and nothing happens any more: no octet is read or written, no RPC begins or
// ends, and no CPU time is spent, or if that is the watcher's, no memory becomes more or less. It reports false if that
// takes too long, or too much memory.
func (m *meter) settle(ctx context.Context, received uint64) bool {
	type state struct {
		active         int
		received, sent uint64
	}
	const (
		pause   = 2 * time.Millisecond
		still   = 4
		stalled = 40 // the server has stopped reading, or is not going to
		little  = 300 * time.Microsecond
		some    = 64 << 10
	)
	var last state
	var lastCPU time.Duration
	var lastHeld, lastSample int64
	for quiet, began := 0, time.Now(); time.Since(began) < settleTime && ctx.Err() == nil; time.Sleep(pause) {
		stats, cpu, live, sample := m.server.Stats(), cpuTime(), m.last.Load(), m.samples.Load()
		now := state{stats.Active, stats.ReceivedBytes, stats.SentBytes}
		moved := now != last
		if m.watching.Load() {
			if live > clearlyTooMuch {
				return false
			}
			if sample == lastSample {
				continue
			}
			moved = moved || live-lastHeld > some || lastHeld-live > some
		} else {
			moved = moved || cpu-lastCPU > little
		}
		if quiet++; moved {
			quiet = 0
		}
		if quiet >= still && now.received >= received || quiet >= stalled {
			return true
		}
		last, lastCPU, lastHeld, lastSample = now, cpu, live, sample
	}
	return false
}

// settleTime is how long the victim waits for itself to settle.
const settleTime = 2 * time.Second

// busy returns the number of goroutines but for workers that have nothing to do. Those go home after some seconds.
func busy() (n int) {
	var profile strings.Builder
	pprof.Lookup("goroutine").WriteTo(&profile, 1)
	for group := range strings.SplitSeq(profile.String(), "\n\n") {
		var count int
		if i := strings.Index(group, " @ "); i < 0 {
			continue
		} else if _, err := fmt.Sscan(group[strings.LastIndexByte(group[:i], '\n')+1:i], &count); err != nil {
			continue
		}
		if strings.Contains(group, "work.(*Pool).run+") && !strings.Contains(group, "work.(*Queue).work+") {
			continue
		}
		n += count
	}
	return n
}
