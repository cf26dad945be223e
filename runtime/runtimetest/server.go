package runtimetest

import (
	"context"
	"net"
	"sync"

	"github.com/gogreeter/gogreeter/runtime"
)

// Listener is a net.Listener of connections in memory. Its methods may be called by any goroutine.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a listener that nobody accepts from yet.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// DialContext returns the client's end of a new connection, once its other end was accepted. The address means nothing;
// the parameter is there for grpc-go's WithContextDialer.
func (l *Listener) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	client, server := Pipe()
	var err error
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: Addr{}.Network(), Addr: Addr{}, Err: err}
}

// Dial is DialContext without a bound on the time.
func (l *Listener) Dial() (net.Conn, error) { return l.DialContext(context.Background(), "") }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return Addr{} }

// Server is a server in memory that has been started. It is a [runtime.Drainer].
type Server struct {
	server   *runtime.Server
	listener *Listener
}

// NewServer starts a server in memory, after having called each of add with it: generated registrars, as in
//
//	func(r runtime.Registrar) error { return helloworld.AddGreeterToServer(&greeter{}, r) }
//
// The server has to be closed.
func NewServer(options runtime.ServerOptions, add ...func(server runtime.Registrar) error) (*Server, error) {
	s := &Server{runtime.NewServer(options), NewListener()}
	for _, f := range add {
		if err := f(s.server); err != nil {
			return nil, err
		}
	}
	if err := s.server.AddListener(s.listener); err != nil {
		return nil, err
	}
	return s, s.server.Start()
}

// Server returns the server itself, for what else it can do.
func (s *Server) Server() *runtime.Server { return s.server }

// AddService implements [runtime.Registrar].
func (s *Server) AddService(service runtime.Service) error { return s.server.AddService(service) }

// Draining implements [runtime.Drainer].
func (s *Server) Draining() <-chan struct{} { return s.server.Draining() }

// DialContext returns the client's end of a new connection to the server, as [Listener.DialContext] does.
func (s *Server) DialContext(ctx context.Context, address string) (net.Conn, error) {
	return s.listener.DialContext(ctx, address)
}

// Dial is DialContext without a bound on the time.
func (s *Server) Dial() (net.Conn, error) { return s.listener.Dial() }

// Close stops the server at once, as Stop(0) does, and waits until it has terminated. Handlers that do not heed their
// context can outlive it.
func (s *Server) Close() { <-s.server.Stop(0) }
