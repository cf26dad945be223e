package runtime

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// serverState is the part of a server that its connections and RPCs may use. With it, they can neither stop the server nor wait
// for its lock.
type serverState struct {
	// Immutable after NewServer.
	options     ServerOptions // with their defaults
	compression wire.Encoding // of responses, unless the RPC says otherwise
	transport   *http2.Config
	account     *budget.Budget // of all connections; nil: no bound
	logger      *slog.Logger
	chain       ServerNext  // nil: no interceptors
	bound       *work.Bound // of the handlers of all connections; nil: any number of them run
	workers     *work.Pool
	closing     chan struct{} // closed when grace begins
	watchStalls func()        // watches all connections while the account has no room

	table     atomic.Pointer[dictionary]
	executors sync.Map     // *boundedExecutor to *work.Bound
	active    atomic.Int64 // RPCs admitted and not yet released
	rejected  counters
	other     *counters // of the methods of generic handlers
}

// queued returns how many RPCs wait for a worker, because ServerOptions.Workers or an Executor limits their number.
func (s *serverState) queued() (n int) {
	if s.bound != nil {
		n = s.bound.Waiting()
	}
	for _, bound := range s.executors.Range {
		n += bound.(*work.Bound).Waiting()
	}
	return n
}

// addTo adds the numbers that belong to no connection.
func (s *serverState) addTo(stats *ServerStats) {
	stats.Active += int(s.active.Load())
	stats.Queued += s.queued()
	stats.Rejected = s.rejected.read()
}

// newOtherMethod makes an entry of a method handler that a generic handler has supplied for one RPC. It never runs
// inline: the server could not remember that its method blocks.
func (s *serverState) newOtherMethod(path string, h *MethodHandler) (*method, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	m := &method{MethodHandler: h, path: path, counters: s.other}
	err := s.setExecutor(m)
	m.inline.Store(false)
	return m, err
}

// executorOf returns the executor that the options name for a method, or else the one of its handler; nil: there is
// none.
func (s *serverState) executorOf(m *method) Executor {
	if len(s.options.Methods) > 0 {
		service := m.path[:strings.LastIndexByte(m.path, '/')+1]
		for _, name := range []string{m.path, service + "*"} {
			if e := s.options.Methods[name].Executor; e != nil {
				return e
			}
		}
	}
	return m.executor
}

// setExecutor decides where the method's handlers run.
func (s *serverState) setExecutor(m *method) error {
	switch e := s.executorOf(m).(type) {
	case inlineExecutor:
		// A handler of a stream waits for what only the reader can bring, so it can't run on the reader. Interceptors may block,
		// and where they run must not reveal whether a method exists. With interceptors, such a handler runs on a worker.
		inline := !m.cardinality.RequestStreaming() && !m.cardinality.ResponseStreaming()
		m.inline.Store(inline && s.chain == nil)
		m.unbounded = inline && s.chain != nil
	case unboundedExecutor:
		m.unbounded = true
	case *boundedExecutor:
		if e.workers <= 0 {
			return fmt.Errorf("its executor has %d workers; NewExecutor needs at least one", e.workers)
		}
		bound, _ := s.executors.LoadOrStore(e, work.NewBound(s.workers, e.workers))
		m.bound = bound.(*work.Bound)
	}
	return nil
}

// spawn runs f on a goroutine of its own. doing describes it for the log.
func (s *serverState) spawn(doing string, f func()) {
	go s.survive(doing, f)
}

// survive calls f and recovers a panic. Everything on a goroutine or a timer of the server runs under it: neither a panic
// of a user's code nor a mistake of ours may end the process.
func (s *serverState) survive(doing string, f func()) {
	safely(f, func(reason any) {
		if reason != nil {
			s.panicked(doing, reason)
		}
	})
}

// panicked logs a panic. It is called while the panic unwinds the stack.
func (s *serverState) panicked(doing string, reason any) {
	stack := string(debug.Stack())
	s.logOnOtherGoroutine(func() {
		s.logger.Error("Exception in the server", "doing", doing, "panic", logtext.Cut(panicText(reason)), "stack", stack)
	})
}

// logOnOtherGoroutine calls f, which logs something, on another goroutine, and waits for it. Use it where a lock may be held,
// or where other work has to follow: a log handler that calls runtime.Goexit does not end this goroutine.
func (s *serverState) logOnOtherGoroutine(f func()) {
	done := make(chan struct{})
	s.spawn("a record of the log", func() {
		defer close(done)
		f()
	})
	<-done
}
