// Command route_guide_server serves routeguide.RouteGuide. The servicer is in route_guide.go; this file is the life of the
// process around it.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/health"
	"github.com/gogreeter/gogreeter/runtime/reflection"
)

var (
	address  = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")
	certFile = flag.String("tls-cert", "", "PEM `file` with the certificate chain; serves TLS, together with -tls-key")
	keyFile  = flag.String("tls-key", "", "PEM `file` with the certificate's private key")
	drain    = flag.Duration("drain", 0, "`time` to go on serving, as not ready, once the server is told to stop")
	grace    = flag.Duration("grace", 5*time.Second, "`time` that running RPCs have to finish after that")
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "route_guide_server:", err)
		os.Exit(1)
	}
}

// serve returns once a signal has ended the server and its RPCs have finished, or drain and grace are over.
func serve() error {
	features, err := routeguide.Features()
	if err != nil {
		return err
	}
	server := runtime.NewServer(runtime.ServerOptions{DrainDelay: *drain, Grace: *grace})
	if err := routeguide.AddRouteGuideToServer(&routeGuide{features: features}, server); err != nil {
		return err
	}
	// Load balancers ask whether the server is ready, and tools such as grpcurl ask what it serves.
	ready := health.NewServicer()
	ready.Set(routeguide.RouteGuide_service, health.Serving)
	if err := health.AddToServer(ready, server); err != nil {
		return err
	}
	if err := reflection.AddToServer(server); err != nil {
		return err
	}
	listening, err := addPort(server)
	if err != nil {
		return err
	}

	// The first Ctrl-C ends ctx, and with it Serve begins to drain, and then the grace. From then on signals do again what
	// they do to any process, so that a second Ctrl-C ends this one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	fmt.Printf("listening on %s\n", listening)
	return server.Serve(ctx)
}

// addPort binds the address the flags name, with TLS if they name a certificate, and returns what was bound.
func addPort(server *runtime.Server) (string, error) {
	host, _, err := net.SplitHostPort(*address)
	if err != nil {
		return "", err
	}
	var port int
	if *certFile == "" && *keyFile == "" {
		port, err = server.AddInsecurePort(*address)
	} else {
		port, err = addSecurePort(server)
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

func addSecurePort(server *runtime.Server) (int, error) {
	certificate, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err != nil {
		return 0, err
	}
	return server.AddSecurePort(*address, &tls.Config{Certificates: []tls.Certificate{certificate}})
}
