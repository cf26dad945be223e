// Package serve is what the Go servers under measurement have in common: their flags and their port.
package serve

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net"

	"github.com/gogreeter/gogreeter/bench/internal/report"
)

var (
	address     = flag.String("addr", "127.0.0.1:50051", "`address` to listen on; port 0 picks a free port")
	certificate = flag.String("tls", "", "serve TLS with the certificate and the key in this PEM `file`")

	// Gzip has responses compressed for clients that accept it.
	Gzip = flag.Bool("gzip", false, "compress responses with gzip, for clients that accept it")

	// Intercept has an interceptor around each RPC, which looks at the method, the context and the clock as one that
	// logs or counts does, and writes nothing.
	Intercept = flag.Bool("intercept", false, "have an interceptor around each RPC")

	// Methods is how many methods are registered besides those of the Greeter.
	Methods = flag.Int("methods", 0, "`number` of methods of bench.Many to register")
)

// Listen listens where the flags say; the configuration is nil if TLS is not wanted.
func Listen() (net.Listener, *tls.Config, error) {
	listener, err := net.Listen("tcp", *address)
	if err != nil || *certificate == "" {
		return listener, nil, err
	}
	pair, err := tls.LoadX509KeyPair(*certificate, *certificate)
	if err != nil {
		return nil, nil, err
	}
	return listener, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}, nil
}

// Announce says where the server listens, and has the server answer the questions of package report.
func Announce(listener net.Listener) {
	fmt.Printf("listening on %s\n", listener.Addr())
	report.Answer()
}
