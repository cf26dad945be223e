// Command interop_server serves grpc.testing.TestService, the server's half of gRPC's interop tests, and the load
// reports (ORCA) that some of the cases ask for.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gogreeter/gogreeter/runtime"
)

var (
	address  = flag.String("addr", "127.0.0.1:0", "`address` to listen on; port 0 picks a free port")
	certFile = flag.String("tls-cert", "", "PEM `file` with the certificate chain; serves TLS, together with -tls-key")
	keyFile  = flag.String("tls-key", "", "PEM `file` with the certificate's private key")
	workers  = flag.Int("workers", 0, "how many handlers run at a time; 0 is no bound")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "interop_server:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	server := runtime.NewServer(runtime.ServerOptions{Workers: *workers})
	for _, service := range new(servicer).services() {
		if err := server.AddService(service); err != nil {
			return err
		}
	}
	port, err := addPort(server)
	if err != nil {
		return err
	}
	fmt.Printf("listening on 127.0.0.1:%d\n", port)
	return server.Serve(ctx)
}

func addPort(server *runtime.Server) (port int, err error) {
	if *certFile == "" && *keyFile == "" {
		return server.AddInsecurePort(*address)
	}
	certificate, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err != nil {
		return 0, err
	}
	return server.AddSecurePort(*address, &tls.Config{Certificates: []tls.Certificate{certificate}})
}
