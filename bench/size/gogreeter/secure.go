//go:build secure

package main

import (
	"crypto/tls"

	"github.com/gogreeter/gogreeter/runtime"
)

func addPort(server *runtime.Server) (port int, err error) {
	certificate, err := tls.LoadX509KeyPair("certificate.pem", "key.pem")
	if err != nil {
		return 0, err
	}
	return server.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
}
