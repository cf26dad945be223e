//go:build !secure

package main

import "github.com/gogreeter/gogreeter/runtime"

func addPort(server *runtime.Server) (port int, err error) {
	return server.AddInsecurePort("127.0.0.1:0")
}
