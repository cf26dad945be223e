package attack

import (
	"context"
	"crypto/tls"
	"flag"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
	"github.com/gogreeter/gogreeter/runtime/reflection"
)

// kind is a way to set a server up. The attacks are played against victims of several kinds.
type kind struct {
	name       string
	tls        bool // clients come by the ports with TLS
	services   bool // health and reflection are registered
	companions bool // so are all interceptors; and responses are compressed, which the clients accept
	wrapped    bool // connections are of a type of our own, so that the runtime finds no socket in them
	workers    int  // ServerOptions.Workers
	metered    bool // has the default profile alone, and tells what it holds and spends; see meter
}

var kinds = []kind{
	{name: "plain"},
	{name: "companions", services: true, companions: true},
	{name: "workers", workers: 1}, // so that one that is pinned is missed
	{name: "wrapped", wrapped: true, workers: 1},
	{name: "tls", tls: true},
	{name: "metered", services: true, metered: true},
}

var kindNames = flag.String("kinds", "plain", "what the victims are: plain, companions, workers, wrapped, tls; several are separated by commas")

// facing is the kind of the victim that is attacked.
var facing = kinds[0]

func kindNamed(name string) (k kind, ok bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// eachKind plays attacks against a victim of each kind that the flag names.
func eachKind(t *testing.T, play func(t *testing.T, v *victim)) {
	t.Helper()
	for name := range strings.SplitSeq(*kindNames, ",") {
		t.Run(name, func(t *testing.T) {
			k, ok := kindNamed(name)
			if !ok {
				t.Fatalf("there is no kind %q of victims", name)
			}
			play(t, startVictim(t, k))
		})
	}
}

// options completes those of a profile.
func (k kind) options(o runtime.ServerOptions) runtime.ServerOptions {
	o.Logger = slog.New(slog.DiscardHandler)
	if o.Workers = k.workers; k.workers > 0 && o.WriteTimeout == 0 {
		o.WriteTimeout = 5 * patience // a worker that is pinned for so long is pinned for good
	}
	if k.companions {
		o.Compression = runtime.Gzip
		o.Interceptors = companions(o.Logger)
	}
	return o
}

// companions are all interceptors, set up so that they let everything through. The rate limit's buckets take a second to be
// full again, all of which time they are kept.
func companions(logger *slog.Logger) []runtime.ServerInterceptor {
	return []runtime.ServerInterceptor{
		interceptor.MaskErrors(interceptor.MaskErrorsOptions{}),
		interceptor.Logging(interceptor.LoggingOptions{Logger: logger}),
		interceptor.Recovery(interceptor.RecoveryOptions{
			Hook: func(context.Context, *runtime.ServerCall, any, []byte) error { return nil },
		}),
		interceptor.Auth(interceptor.AuthOptions{
			Check: func(ctx context.Context, _ *runtime.ServerCall) (context.Context, error) { return ctx, nil },
		}),
		interceptor.RateLimit(interceptor.RateLimitOptions{PerSecond: 1, Burst: 1 << 30}),
		interceptor.ConcurrencyLimit(interceptor.ConcurrencyLimitOptions{Limit: 1 << 20}),
		interceptor.Deadline(interceptor.DeadlineOptions{Max: time.Hour}),
	}
}

// addServices adds what is attacked.
func (k kind) addServices(s *runtime.Server, m *meter) error {
	protocol.Install(s, others)
	if err := s.AddService(runtime.Service{Name: "attack.S", Methods: k.methods(s, m)}); err != nil || !k.services {
		return err
	}
	if err := s.AddService(described()); err != nil {
		return err
	}
	if err := health.AddToServer(health.NewServicer(), s); err != nil {
		return err
	}
	return reflection.AddToServer(s)
}

// listen binds the ports of a server.
func (k kind) listen(s *runtime.Server, config *tls.Config) (p ports, err error) {
	if !k.wrapped {
		if p.Plain, err = s.AddInsecurePort("127.0.0.1:0"); err != nil {
			return p, err
		}
		p.TLS, err = s.AddSecurePort("127.0.0.1:0", config)
		return p, err
	}
	add := func(port *int, add func(l net.Listener) error) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*port = l.Addr().(*net.TCPAddr).Port
		return add(wrappedListener{l})
	}
	if err := add(&p.Plain, s.AddListener); err != nil {
		return p, err
	}
	return p, add(&p.TLS, func(l net.Listener) error { return s.AddSecureListener(l, config) })
}

// wrappedListener wraps its connections, as golang.org/x/net/netutil.LimitListener does.
type wrappedListener struct{ net.Listener }

func (l wrappedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wrappedConn{Conn: nc}, nil
}

type wrappedConn struct {
	net.Conn
	once sync.Once
	err  error
}

func (c *wrappedConn) Close() error {
	c.once.Do(func() { c.err = c.Conn.Close() })
	return c.err
}
