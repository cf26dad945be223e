package runtime

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"
)

// Options configures a [Server]. The zero value is right.
type Options struct {
	Logger                 *slog.Logger
	Grace                  time.Duration
	MaxConcurrentRPCs      int
	MaxReceiveMessageBytes int
	MaxSendMessageBytes    int
}

// Server is a gRPC server.
type Server struct{}

func NewServer(options Options) *Server                                { panic("TODO") }
func (s *Server) AddService(service Service) error                     { panic("TODO") }
func (s *Server) AddGenericHandler(handler GenericHandler) error       { panic("TODO") }
func (s *Server) AddInsecurePort(address string) (port int, err error) { panic("TODO") }
func (s *Server) AddSecurePort(address string, config *tls.Config) (port int, err error) {
	panic("TODO")
}
func (s *Server) AddListener(listener net.Listener) error      { panic("TODO") }
func (s *Server) Start() error                                 { panic("TODO") }
func (s *Server) Stop(grace time.Duration) <-chan struct{}     { panic("TODO") }
func (s *Server) WaitForTermination(ctx context.Context) error { panic("TODO") }
func (s *Server) Serve(ctx context.Context) error              { panic("TODO") }
