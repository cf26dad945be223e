//go:build secure

package main

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func newServer() (*grpc.Server, error) {
	secure, err := credentials.NewServerTLSFromFile("certificate.pem", "key.pem")
	if err != nil {
		return nil, err
	}
	return grpc.NewServer(grpc.Creds(secure)), nil
}
