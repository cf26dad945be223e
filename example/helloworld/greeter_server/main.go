// Command greeter_server serves helloworld.Greeter. The servicer is in greeter.go; this file is the life of the
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

	"github.com/gogreeter/gogreeter/example/helloworld"
	"github.com/gogreeter/gogreeter/runtime"
)

var (
	address  = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")
	certFile = flag.String("tls-cert", "", "PEM `file` with the certificate chain; serves TLS, together with -tls-key")
	keyFile  = flag.String("tls-key", "", "PEM `file` with the certificate's private key")
	grace    = flag.Duration("grace", 5*time.Second, "`time` that running RPCs have to finish once the server is told to stop")
	delay    = flag.Duration("delay", 0, "`time` that each SayHello works before it answers")
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "greeter_server:", err)
		os.Exit(1)
	}
}

// serve returns once a signal has ended the server and its RPCs have finished, or the grace is over.
func serve() error {
	server := runtime.NewServer(runtime.ServerOptions{Grace: *grace})
	if err := helloworld.AddGreeterToServer(&greeter{delay: *delay}, server); err != nil {
		return err
	}
	listening, err := addPort(server)
	if err != nil {
		return err
	}

	// The first Ctrl-C ends ctx, and with it Serve begins the grace. From then on signals do again what they do to any
	// process, so that a second Ctrl-C ends this one at once.
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
