package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// Options configures a [Server]. The zero value of each field is a safe default.
type Options struct {
	// Logger receives what the server has to report: panics, undecodable requests, failures to accept. It writes
	// nothing for an RPC that goes as it should. Default slog.Default().
	Logger *slog.Logger

	// Grace is the time that [Server.Serve] gives to running RPCs when it stops. Default 5 s; a negative value is none.
	Grace time.Duration

	// DrainDelay is how long [Server.Serve] goes on as before when it is about to stop, with [Server.Draining] closed:
	// the time that load balancers need to see that the server is not ready, and to send their clients elsewhere.
	// Default none.
	DrainDelay time.Duration

	// Interceptors are called around every RPC; the first is outermost.
	Interceptors []Interceptor

	// Methods says where the handlers of some methods run, by full path ("/package.Service/Method").
	Methods map[string]MethodOptions

	// Workers bounds how many handlers run at a time; further RPCs wait in the order in which they came. It is
	// grpc-python's ThreadPoolExecutor(max_workers=n). Interceptors are not bounded: RPCs wait, in the order in which the
	// interceptors have called next, on a goroutine each. Default no bound.
	Workers int

	// MaxConcurrentRPCs bounds how many RPCs there are at a time, running or waiting, those included whose client has
	// given up and whose handler has not returned. Further ones are answered with RESOURCE_EXHAUSTED, before interceptors
	// see them. Default no bound.
	MaxConcurrentRPCs int

	// MaxReceiveMessageBytes bounds a request message, as it comes and after inflating. A larger one is answered with
	// RESOURCE_EXHAUSTED before it has been received. Default 4 MiB; a negative value is no bound.
	MaxReceiveMessageBytes int

	// MaxSendMessageBytes bounds a response message as it goes out. A larger one is replaced by RESOURCE_EXHAUSTED.
	// Default no bound.
	MaxSendMessageBytes int

	// MaxConnectionBytes bounds what a client makes the server hold, for each connection: metadata, requests that are under
	// way or wait for their handler, and what it has not taken of responses, statuses included, all by the memory behind
	// them. Requests have three quarters of it at most, and responses too. Near the limit, flow control holds requests back,
	// further RPCs do not begin although their deadlines run, handlers wait before a response is encoded, and then new
	// requests are refused with REFUSED_STREAM, after which clients try again. A client that takes nothing for the time of
	// WriteTimeout, while its responses keep something from going on, loses its connection. Default 64 MiB; a negative value
	// is no bound.
	MaxConnectionBytes int

	// MaxServerBytes bounds the sum of that over all connections, in the same way. Default no bound.
	MaxServerBytes int

	// Compression is how responses are compressed, for clients that accept it, unless [SetCompression] says otherwise.
	Compression Compression

	// MaxConcurrentStreams bounds the RPCs that a client may have open on one connection; it is announced, and clients
	// queue what is beyond. Default 1,000.
	MaxConcurrentStreams int

	// MaxMetadataBytes bounds the invocation metadata, counted as RFC 9113, Section 6.5.2 says: 32 octets for each
	// entry beside key and value. More is answered with RESOURCE_EXHAUSTED. Default 16 KiB.
	MaxMetadataBytes int

	// MaxMetadataFields bounds the number of entries of the invocation metadata, pseudo-header fields included, in the same
	// way. For both limits each value counts of those that a "-bin" field joins by commas. Default 250.
	MaxMetadataFields int

	// Floods bounds what costs the server more than the client.
	Floods FloodOptions

	// SetupTimeout bounds the time from accepting a connection to the client's first SETTINGS frame, the TLS handshake
	// included. Default 10 s.
	SetupTimeout time.Duration

	// WriteTimeout is how long a client may accept nothing of what is sent to it before its connection ends. Default
	// 30 s.
	WriteTimeout time.Duration

	// Connections says how long connections live, and how it is found out that a client is gone.
	Connections ConnectionOptions
}

// FloodOptions bounds what a well-behaved client seldom does, and an attacker often, on each connection. A client beyond a
// bound is told so by GOAWAY with ENHANCE_YOUR_CALM, and loses its connection. A proxy that has many users on a connection
// may need more than the defaults.
type FloodOptions struct {
	// Resets bounds the streams that end by RST_STREAM before they are answered, whoever sends it; half of the streams that
	// the client opens it may reset besides. Default 1,000 at once and 33 a second.
	Resets Rate

	// Controls bounds the frames that cost an answer or more: SETTINGS, PRIORITY, and those PINGs that MinPingInterval
	// permits. Default 1,000 at once and 100 a second.
	Controls Rate

	// Empties bounds frames without content: DATA, HEADERS and CONTINUATION. Default 10,000 at once and 1,000 a second.
	Empties Rate
}

// Rate is a token bucket: Burst at once, and PerSecond over time. Zero fields are the default; a negative Burst is no bound.
type Rate struct {
	Burst     int
	PerSecond float64
}

// ConnectionOptions configures the life of connections (gRPC proposals A8 and A9, and grpc-python's channel arguments of
// the same names). The zero value of each field is a safe default.
type ConnectionOptions struct {
	// MaxIdle is how long a connection may have no RPC, and MaxAge how long it lives, give or take a tenth, until the
	// client is asked to make a new one; its RPCs go on. They may do so for MaxAgeGrace, and then end with the connection.
	// Defaults no limit.
	MaxIdle, MaxAge, MaxAgeGrace time.Duration

	// KeepaliveTime is how long nothing may come from a client before it is asked by a PING whether it is still there, and
	// KeepaliveTimeout how long it may take to answer before its connection ends. Defaults 2 h and 20 s; a negative
	// KeepaliveTime is never.
	KeepaliveTime, KeepaliveTimeout time.Duration

	// MinPingInterval is how long clients have to wait between the PINGs of their own keepalive. Without RPCs that is two
	// hours, unless PingsWithoutRPCs is set. A client whose third PING in a row comes too early is told so by GOAWAY with
	// ENHANCE_YOUR_CALM, "too_many_pings". Default 5 min; a negative value is no limit.
	MinPingInterval  time.Duration
	PingsWithoutRPCs bool
}

// MethodOptions configures a method.
type MethodOptions struct {
	// Executor is where the method's handlers run. Default: what the handler itself asks for, or else Options.Workers.
	Executor *Executor
}

const (
	defaultGrace          = 5 * time.Second
	defaultReceiveMessage = 4 << 20
	defaultStreams        = 1000
	defaultConnection     = 64 << 20
	minConnection         = 256 << 10
	streamWindow          = 1<<16 - 1
	defaultSetupTimeout   = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.MaxReceiveMessageBytes == 0 {
		o.MaxReceiveMessageBytes = defaultReceiveMessage
	}
	o.Methods, o.Interceptors = maps.Clone(o.Methods), slices.Clone(o.Interceptors) // the caller's may change
	o.MaxReceiveMessageBytes = min(o.MaxReceiveMessageBytes, math.MaxInt32)         // no message can be longer on all systems
	if o.MaxConnectionBytes == 0 {
		o.MaxConnectionBytes = defaultConnection
	}
	if o.MaxConnectionBytes > 0 {
		o.MaxConnectionBytes = max(o.MaxConnectionBytes, minConnection)
	}
	if o.MaxConcurrentStreams <= 0 {
		o.MaxConcurrentStreams = defaultStreams
	}
	o.MaxConcurrentStreams = min(o.MaxConcurrentStreams, math.MaxInt32)
	if o.SetupTimeout <= 0 {
		o.SetupTimeout = defaultSetupTimeout
	}
	return o
}

func (o *Options) transport() *http2.Config {
	c := o.Connections
	return http2.Config{
		MaxConcurrentStreams: o.MaxConcurrentStreams,
		MaxHeaderListBytes:   o.MaxMetadataBytes,
		MaxHeaderFields:      o.MaxMetadataFields,
		Resets:               http2.Rate(o.Floods.Resets),
		Controls:             http2.Rate(o.Floods.Controls),
		Empties:              http2.Rate(o.Floods.Empties),
		StreamWindow:         streamWindow,
		SetupTimeout:         o.SetupTimeout,
		WriteTimeout:         o.WriteTimeout,
		MaxIdle:              c.MaxIdle,
		MaxAge:               c.MaxAge,
		MaxAgeGrace:          c.MaxAgeGrace,
		KeepaliveTime:        c.KeepaliveTime,
		KeepaliveTimeout:     c.KeepaliveTimeout,
		MinPingInterval:      c.MinPingInterval,
		PingsWithoutStreams:  c.PingsWithoutRPCs,
	}.WithDefaults()
}

// stage is where a server is in its life:
//
//	          Start            Serve's ctx            Stop           the last connection has ended
//	stopped ─────────▶ started ───────────▶ draining ───────▶ grace ──────────────────────────────▶ terminated
//
// As _ServerStage in grpc-python, which knows no draining, and calls the last stage STOPPED too although a server cannot
// be started twice. A server that drains serves as one that is started; Stop without Serve does not dwell there.
type stage uint8

const (
	stopped stage = iota
	started
	draining
	grace
	terminated
)

// Errors of a server that is asked for something its stage does not allow.
var (
	ErrAlreadyStarted = errors.New("gogreeter: cannot start an already-started server")
	ErrStopped        = errors.New("gogreeter: the server has been stopped; make a new one")
)

// Server is a gRPC server. Its methods may be called by any goroutine, handlers included.
type Server struct {
	shared

	// Immutable after NewServer.
	options  Options
	draining chan struct{}     // closed when the stage draining is reached
	done     chan struct{}     // closed when the server has terminated
	watched  func(*connection) // tests look at each connection; nil: none does

	accepted      atomic.Uint64
	stallsWatched atomic.Int64 // when lookForStalls had all connections watched last, as UnixNano

	mu sync.Mutex
	// Guarded by mu.
	stage       stage
	listeners   []*listener
	connections map[*connection]struct{}
	arrivals    map[*arrival]struct{}
	serving     int  // accept loops, arrivals and connections that have not ended
	accepting   int  // accept loops alone
	leaving     bool // clients have been asked to go, and new ones are as they come
	cutOff      bool // the grace is over
	graceTimer  *time.Timer
	graceEnds   time.Time
	counted     map[string]*counters // by path of the method; kept when a service is removed
	received    uint64               // octets, of the connections that have ended
	sent        uint64
}

// NewServer returns a server without ports and services. It panics if an interceptor is nil, which may have been a check
// of who may do what, so that to leave it out is not for the server to decide; and if Options.Compression is none.
func NewServer(options Options) *Server {
	if err := options.Compression.check(); err != nil {
		panic(fmt.Sprintf("gogreeter: NewServer: Options.Compression: %v", err))
	}
	s := &Server{
		options:     options.withDefaults(),
		done:        make(chan struct{}),
		draining:    make(chan struct{}),
		connections: make(map[*connection]struct{}),
		arrivals:    make(map[*arrival]struct{}),
	}
	s.share()
	s.counted = map[string]*counters{otherMethods: s.other}
	return s
}

// share sets what the server shares with its connections and RPCs.
func (s *Server) share() {
	o := &s.options
	s.limits = limits{
		rpcs:        o.MaxConcurrentRPCs,
		streams:     o.MaxConcurrentStreams,
		connection:  o.MaxConnectionBytes,
		received:    o.MaxReceiveMessageBytes,
		sent:        o.MaxSendMessageBytes,
		compression: o.Compression,
	}
	s.methods = o.Methods
	s.transport = o.transport()
	if o.MaxServerBytes > 0 {
		s.account = budget.New(int64(o.MaxServerBytes), nil, nil)
	}
	s.logger = slog.New(guardedLog{o.Logger.Handler()})
	s.chain = chain(o.Interceptors)
	s.closing = make(chan struct{})
	s.watchStalls = s.lookForStalls
	s.other = &counters{}
	s.workers = work.NewPool(s.panicked)
	if o.Workers > 0 {
		s.bound = work.NewBound(s.workers, o.Workers)
	}
	s.table.Store(&dictionary{})
}

// Format implements fmt.Formatter: it prints the address. Package fmt would read all fields, while the server writes them.
func (s *Server) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%T)(%p)", s, s) }

// AddService implements [Registrar]: it adds a service's methods to the dispatch dictionary. It may be called while
// the server serves. It fails, and changes nothing, if the service is registered already or cannot be served.
func (s *Server) AddService(service Service) error {
	return s.changeTable(func(t *dictionary) (*dictionary, error) { return t.withService(service, s.newMethodLocked) })
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

func (s *Server) changeTable(change func(*dictionary) (*dictionary, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	table, err := change(s.table.Load())
	if err != nil {
		return err
	}
	s.table.Store(table)
	return nil
}

// newMethodLocked makes a dictionary entry of a method handler.
func (s *Server) newMethodLocked(path string, h *MethodHandler, descriptor protoreflect.MethodDescriptor) *method {
	m := &method{MethodHandler: h, path: path, descriptor: descriptor}
	if m.counters = s.counted[path]; m.counters == nil {
		m.counters = &counters{}
		s.counted[path] = m.counters
	}
	s.setExecutor(m)
	return m
}

// Start begins to serve the ports that were added, and returns. It fails with ErrAlreadyStarted or ErrStopped.
func (s *Server) Start() error {
	ports, err := s.start()
	if err != nil {
		return err
	}
	// Without mu: the log is the application's, and may ask the server something.
	if ports == 0 {
		s.logger.Warn("The server has no port; nobody is served until AddInsecurePort, AddSecurePort or AddListener adds one")
	}
	s.checkNames()
	return nil
}

func (s *Server) start() (ports int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.stage {
	case stopped:
	case started, draining, grace:
		return 0, ErrAlreadyStarted
	default:
		return 0, ErrStopped
	}
	s.stage = started
	for _, l := range s.listeners {
		s.acceptLocked(l)
	}
	return len(s.listeners), nil
}

// Stop begins to stop the server and returns at once. The ports are closed, and all clients asked to make no new RPC,
// those included whose connection waited to be accepted; the RPCs that run go on for the time of grace, and are then
// ended with UNAVAILABLE. Zero or less ends them now. Of several calls the one whose grace ends first counts. The channel
// is closed when the last connection has ended and all handlers have returned, or 100 ms after that connection: a handler
// that does not heed its context can outlive it. How many RPCs were ended, and how many handlers run still, is reported to
// the log.
//
// A server that was not started closes its ports too, and the channel is closed already. Start and Serve will fail with
// ErrStopped: whoever stops a server need not know whether another goroutine has come to start it.
func (s *Server) Stop(graceTime time.Duration) (terminatedCh <-chan struct{}) {
	unused, terminated := s.stop(graceTime)
	for _, l := range unused { // without mu: a user's listener may ask the server something
		s.close(l)
	}
	return terminated
}

// stop is Stop, but for the listeners of a server that was not started. Those it returns.
func (s *Server) stop(graceTime time.Duration) (unused []*listener, terminatedCh <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == stopped {
		unused, s.listeners = s.listeners, nil
		s.stage = terminated
		close(s.draining)
		close(s.closing)
		close(s.done)
		return unused, s.done
	}
	if s.stage < grace {
		s.drainLocked()
		s.beginGraceLocked()
	}
	if s.stage == grace {
		s.setGraceLocked(graceTime)
	}
	return nil, s.done
}

// Draining returns a channel that is closed when the server begins to stop: when the context of Serve is done, or when
// Stop is called. From then on it should be reported as not ready. It still serves, for Options.DrainDelay as if nothing
// had happened; when handlers should come to an end, [Stopping] tells them.
func (s *Server) Draining() <-chan struct{} { return s.draining }

// drainLocked makes a server draining that has been started.
func (s *Server) drainLocked() {
	if s.stage == started {
		s.stage = draining
		close(s.draining)
	}
}

// drain has a server that is about to stop go on as before, until Options.DrainDelay is over or Stop is called.
func (s *Server) drain() {
	s.mu.Lock()
	s.drainLocked()
	s.mu.Unlock()
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
	if s.unstarted() {
		s.logger.Warn("WaitForTermination waits for a server that has not been started; call Start before")
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-s.done: // both at once: what was waited for has happened
		return nil
	default:
		return ctx.Err()
	}
}

func (s *Server) unstarted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage == stopped
}

// Serve is the whole life of a server: it starts it, serves until ctx is done or Stop is called, drains it for
// Options.DrainDelay, stops it with Options.Grace, and returns when it has terminated.
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

// lookForStalls has all connections watched while the whole server has no room, once in a while. It goes on by itself as long
// as anybody waits: those who fill the room may have come later than those who wait.
func (s *Server) lookForStalls() {
	now := time.Now().UnixNano()
	last := s.stallsWatched.Load()
	if now-last < int64(s.transport.WriteTimeout) && last != 0 || !s.stallsWatched.CompareAndSwap(last, now) {
		return
	}
	time.AfterFunc(s.transport.WriteTimeout, func() {
		defer s.contain("a look at connections that are stuck")
		if s.account.Crowded() {
			s.lookForStalls()
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		c.h2.WatchStall()
	}
}
