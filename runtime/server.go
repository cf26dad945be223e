package runtime

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/internal/wire"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// Server is a gRPC server. Its methods may be called by any goroutine, handlers included.
type Server struct {
	serverState

	// Immutable after NewServer.
	invalid      error // why the options cannot be used; nil: they can
	life         *lifecycle
	clients      *clients
	testHookConn func(*connection) // called with each connection, for tests; nil: not in a test

	stallsWatched atomic.Int64 // when watchStalledConns had all connections watched last, as UnixNano

	changing locks.Mutex[locks.Long] // held while the dispatch dictionary changes
	handled  handled
}

// NewServer returns a server without ports and services. It panics if an interceptor is nil: that may have been
// a check of permissions, and the server must not leave it out. It panics also if ServerOptions.Compression is not one.
func NewServer(options ServerOptions) *Server {
	if err := options.Compression.check(); err != nil {
		panic(fmt.Sprintf("gogreeter: NewServer: ServerOptions.Compression: %v", err))
	}
	s := &Server{clients: newClients()}
	s.life = newLifecycle(s.graceOver)
	s.invalid = options.check()
	s.options, s.transport = options.withDefaults()
	s.share()
	return s
}

// share sets what the server shares with its connections and RPCs.
func (s *Server) share() {
	o := &s.options
	s.compression = o.Compression.or(wire.Identity)
	if o.MaxServerBytes > 0 {
		s.account = budget.New(int64(o.MaxServerBytes), nil, nil)
	}
	s.logger = slog.New(guardedLog{o.Logger.Handler()})
	s.chain = chain(o.Interceptors)
	checkObservers(o.Observers)
	s.closing = s.life.closing
	s.watchStalls = s.watchStalledConns
	s.other = s.handled.of(OtherMethods)
	s.workers = work.NewPool(s.panicked)
	if o.Workers > 0 {
		s.bound = work.NewBound(s.workers, o.Workers)
	}
	s.table.Store(&dictionary{keepsFields: len(o.Observers) > 0})
}

// Format implements fmt.Formatter: it prints the address. Package fmt would read all fields, while the server writes them.
func (s *Server) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%T)(%p)", s, s) }

var _ Drainer = (*Server)(nil)

// AddService implements [Registrar]: it adds a service's methods to the dispatch dictionary. It may be called while
// the server serves. It fails, and changes nothing, if the service is registered already or cannot be served.
func (s *Server) AddService(service Service) error {
	return s.changeTable(func(t *dictionary) (*dictionary, error) { return t.withService(service, s.newMethod) })
}

// RemoveService removes a service's methods from the dispatch dictionary. It may be called while the server serves;
// RPCs that have begun go on.
func (s *Server) RemoveService(name string) error {
	return s.changeTable(func(t *dictionary) (*dictionary, error) { return t.withoutService(name) })
}

// AddGenericHandler adds a generic handler behind those there are. It may be called while the server serves.
func (s *Server) AddGenericHandler(handler GenericHandler) error {
	return s.changeTable(func(t *dictionary) (*dictionary, error) { return t.withGeneric(handler) })
}

func init() {
	protocol.Install = func(server any, p *protocol.Protocol) {
		server.(*Server).changeTable(func(t *dictionary) (*dictionary, error) { return t.withProtocol(p), nil })
	}
}

func (s *Server) changeTable(change func(*dictionary) (*dictionary, error)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	table, err := change(s.table.Load())
	if err != nil {
		return err
	}
	s.table.Store(table)
	return nil
}

// newMethod makes a dictionary entry of a method handler.
func (s *Server) newMethod(path string, h *MethodHandler, descriptor protoreflect.MethodDescriptor) (*method, error) {
	m := &method{MethodHandler: h, path: path, descriptor: descriptor, counters: s.handled.of(path)}
	return m, s.setExecutor(m)
}

// Start begins to serve the ports that were added, and returns. It fails with ErrAlreadyStarted or ErrStopped, or if a
// ServerOption is negative that must not be.
func (s *Server) Start() error {
	if s.invalid != nil {
		return s.invalid
	}
	serve, err := s.life.start()
	if err != nil {
		return err
	}
	for _, p := range serve {
		s.serve(p)
	}
	if len(serve) == 0 {
		s.logger.Warn("The server has no port; nobody is served until AddInsecurePort, AddSecurePort or AddListener adds one")
	}
	s.table.Load().checkNames(&s.options, s.logger)
	return nil
}

// Stop begins to stop the server and returns at once. The ports are closed. All clients are asked to make no new RPC,
// including those whose connection waited to be accepted. Running RPCs go on for graceTime, and are then ended with
// UNAVAILABLE. Zero or less ends them now. If Stop is called several times, the grace that ends first counts. The channel
// is closed when the last connection has ended and all handlers have returned, or 100 ms after that connection: a handler
// that does not heed its context can outlive it. How many RPCs were ended, and how many handlers run still, is reported to
// the log.
//
// A server that was not started closes its ports too, and the channel is closed already. Start and Serve will fail with
// ErrStopped, so that another goroutine that was about to start the server learns it.
func (s *Server) Stop(graceTime time.Duration) (terminatedCh <-chan struct{}) {
	s.apply(s.life.stop(graceTime))
	return s.life.done
}

// Draining returns a channel that is closed when the server begins to stop: when the context of Serve is done, or when
// Stop is called. From then on it should be reported as not ready. It still serves, for ServerOptions.DrainDelay as if nothing
// had happened; when handlers should come to an end, [Stopping] tells them.
func (s *Server) Draining() <-chan struct{} { return s.life.draining }

// drain lets a server that is about to stop go on as before, until ServerOptions.DrainDelay is over or Stop is called.
func (s *Server) drain() {
	s.life.drain()
	if s.options.DrainDelay > 0 {
		select {
		case <-time.After(s.options.DrainDelay):
		case <-s.closing:
		}
	}
}

// WaitForTermination waits until the server has terminated, or ctx is done; then it returns ctx's error. A server that has
// not been started does not terminate; since it still may be, by another goroutine, that is reported to the log only.
func (s *Server) WaitForTermination(ctx context.Context) error {
	if s.life.at() == stopped {
		s.logger.Warn("WaitForTermination waits for a server that has not been started; call Start before")
	}
	select {
	case <-s.life.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-s.life.done: // both at once: what was waited for has happened
		return nil
	default:
		return ctx.Err()
	}
}

// Serve is the whole life of a server: it starts it, serves until ctx is done or Stop is called, drains it for
// ServerOptions.DrainDelay, stops it with ServerOptions.Grace, and returns when it has terminated.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	if err := s.WaitForTermination(ctx); err == nil {
		return nil
	}
	s.drain()
	<-s.Stop(s.options.Grace)
	return nil
}

// Stats returns the server's numbers. It may be called while the server serves; the numbers are then those of moments
// close together.
func (s *Server) Stats() ServerStats {
	stats := ServerStats{Methods: s.handled.read()}
	s.serverState.addTo(&stats)
	s.clients.addTo(&stats)
	return stats
}

// ServicesRevision returns a number that changes whenever AddService or RemoveService changes the result of Services.
// Callers can use it to cache what they derive from Services, which copies everything.
func (s *Server) ServicesRevision() uint64 { return s.table.Load().revision }

// Services returns the services of the dispatch dictionary, in the order of their names. The result is the caller's own.
func (s *Server) Services() []Service {
	services := slices.SortedFunc(maps.Values(s.table.Load().services), func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	for i := range services {
		services[i].Methods = maps.Clone(services[i].Methods)
	}
	return services
}

// watchStalledConns starts a watch over all connections while the server's account has no room. It repeats the watch as long as
// something waits, since what fills the account may have come later.
func (s *Server) watchStalledConns() {
	now := time.Now().UnixNano()
	last := s.stallsWatched.Load()
	if now-last < int64(s.transport.WriteTimeout) && last != 0 || !s.stallsWatched.CompareAndSwap(last, now) {
		return
	}
	time.AfterFunc(s.transport.WriteTimeout, func() {
		s.survive("a look at connections that are stuck", func() {
			if s.account.Crowded() {
				s.watchStalledConns()
			}
		})
	})
	for _, c := range s.clients.all() {
		c.h2.WatchStall()
	}
}
