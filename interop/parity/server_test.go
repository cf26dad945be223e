package parity

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// variants are the servers that rows speak of, by name; testdata/server.py has the same.
var variants = map[string]runtime.ServerOptions{
	"":             {},
	"receive100":   {MaxReceiveMessageBytes: 100},
	"receive-any":  {MaxReceiveMessageBytes: -1},
	"send1000":     {MaxSendMessageBytes: 1000},
	"gzip":         {Compression: runtime.Gzip},
	"deflate":      {Compression: runtime.Deflate},
	"limit1":       {MaxConcurrentRPCs: 1},
	"limit3":       {MaxConcurrentRPCs: 3},
	"interceptors": {Interceptors: []runtime.ServerInterceptor{interceptorAt(0), interceptorAt(1), interceptorAt(2)}},
	"workers1":     {Workers: 1},
	"streams1":     {MaxConcurrentStreams: 1},
	"empty":        {},
	"tls":          {},
	"mtls":         {},
	"unix":         {},
	"ipv6":         {},
}

// interceptorAt does what the metadata "intercept" says to the interceptor at its position, "what@position".
func interceptorAt(position int) runtime.ServerInterceptor {
	return func(ctx context.Context, c *runtime.ServerCall, next runtime.ServerNext) error {
		what, where, _ := strings.Cut(runtime.InvocationMetadata(ctx).Get("intercept"), "@")
		if where != fmt.Sprint(position) {
			return next(ctx, c)
		}
		switch what {
		case "raise":
			panic("interceptor")
		case "none":
			return status.Error(codes.Unimplemented, "Method not found!") // Go's interceptors have no None to return
		case "deny":
			return status.Error(codes.Unauthenticated, "denied")
		case "rewrite":
			path := c.Method()
			if err := c.SetMethod("/parity.P/" + path[len(path)-2:]); err != nil {
				return err
			}
		}
		return next(ctx, c)
	}
}

// goServer makes gogreeter servers in this process.
type goServer struct {
	certs  *certificates
	events *events
}

func (s *goServer) name() string { return "gogreeter" }

func (s *goServer) start(t testing.TB, variant string) instance {
	t.Helper()
	options, ok := variants[variant]
	if !ok {
		t.Fatalf("there is no server %q", variant)
	}
	options.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	server := runtime.NewServer(options)
	i := &goInstance{Server: server, servicer: &servicer{events: s.events, server: server}}
	if variant != "empty" {
		i.addHandlers(t)
	}
	i.listen(t, variant, s.certs)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-server.Stop(0) })
	return i
}

func (s *goServer) signal(_ testing.TB, name string) { s.events.signal(name) }

func (s *goServer) happened(_ testing.TB, name string) bool { return s.events.happened(name) }

func (s *goServer) await(t testing.TB, name string) {
	t.Helper()
	if !s.events.await(name) {
		t.Fatalf("in vain waited for: %s", name)
	}
}

// goInstance is one gogreeter server.
type goInstance struct {
	*runtime.Server
	servicer *servicer
	to       target
}

func (i *goInstance) target() target { return i.to }

func (i *goInstance) stop(_ testing.TB, seconds float64) {
	i.Server.Stop(time.Duration(seconds * float64(time.Second)))
}

func (i *goInstance) wantTerminated(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := i.WaitForTermination(ctx); err != nil {
		t.Errorf("the server does not terminate: %v", err)
	}
}

func (i *goInstance) addService(t testing.TB, name string) {
	t.Helper()
	if err := i.AddService(runtime.Service{Name: name, Methods: i.servicer.methods()}); err != nil {
		t.Fatal(err)
	}
}

func (i *goInstance) listen(t testing.TB, variant string, certs *certificates) {
	t.Helper()
	var port int
	var err error
	switch variant {
	case "unix":
		i.to.Address = "unix:" + filepath.Join(t.TempDir(), "go.sock")
		_, err = i.AddInsecurePort(i.to.Address)
	case "tls", "mtls":
		i.to = certs.target(variant)
		port, err = i.AddSecurePort("127.0.0.1:0", certs.server(t, variant == "mtls"))
	default:
		port, err = i.AddInsecurePort(hostOf(variant) + "0")
	}
	if err != nil {
		t.Fatal(err)
	}
	if i.to.Address == "" {
		i.to.Address = hostOf(variant) + fmt.Sprint(port)
	}
}

// hostOf returns the address of a variant, without the port.
func hostOf(variant string) string {
	if variant == "ipv6" {
		return "[::1]:"
	}
	return "127.0.0.1:"
}

func (i *goInstance) addHandlers(t testing.TB) {
	t.Helper()
	methods := i.servicer.methods()
	methods["none"] = nil
	services := []runtime.Service{
		{Name: "parity.P", Methods: methods},
		{Name: "parity.BadRequest", Methods: badRequests()},
		{Name: "parity.BadResponse", Methods: badResponses()},
	}
	for _, service := range services {
		if err := i.AddService(service); err != nil {
			t.Fatal(err)
		}
	}
	for _, generic := range []runtime.GenericHandler{raising{}, catching(i.servicer.methods())} {
		if err := i.AddGenericHandler(generic); err != nil {
			t.Fatal(err)
		}
	}
}

// raising is a generic handler that fails.
type raising struct{}

func (raising) Service(details runtime.HandlerCallDetails) *runtime.MethodHandler {
	if details.Method == "/parity.Raising/uu" {
		panic("service")
	}
	return nil
}

// catching is a generic handler that looks at the methods of parity.Generic.
type catching map[string]*runtime.MethodHandler

func (c catching) Service(details runtime.HandlerCallDetails) *runtime.MethodHandler {
	if method, ok := strings.CutPrefix(details.Method, "/parity.Generic/"); ok {
		return c[method]
	}
	return nil
}

// reachable reports whether this machine has an address.
func reachable(network, address string) bool {
	l, err := net.Listen(network, address)
	if err == nil {
		l.Close()
	}
	return err == nil
}
