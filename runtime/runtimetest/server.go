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

// Server is a server in memory: a [runtime.Server] that has been started, and the Listener that it accepts from.
type Server struct {
	*runtime.Server
	*Listener
}

// NewServer starts a server in memory, after having called each of add with it: generated registrars, as in
//
//	func(r runtime.Registrar) error { return helloworld.AddGreeterToServer(&greeter{}, r) }
//
// The server has to be closed.
func NewServer(options runtime.Options, add ...func(server runtime.Registrar) error) (*Server, error) {
	s := &Server{runtime.NewServer(options), NewListener()}
	for _, f := range add {
		if err := f(s.Server); err != nil {
			return nil, err
		}
	}
	if err := s.AddListener(s.Listener); err != nil {
		return nil, err
	}
	return s, s.Start()
}

// Close stops the server at once, as Stop(0) does, and waits until it has terminated. Handlers that do not heed their
// context can outlive it.
func (s *Server) Close() { <-s.Stop(0) }
