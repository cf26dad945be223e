package runtime

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// AddInsecurePort binds an address at once and serves it, without TLS, once the server is started, or right away if it
// is. Addresses are "host:port", where port 0 picks one and "[::]:port" is every address of the machine, and
// "unix:path" or, on Linux, "unix-abstract:name". It returns the port that was bound, 0 for a Unix socket. The error has
// the system's reason.
func (s *Server) AddInsecurePort(address string) (port int, err error) {
	return s.addPort(address, nil)
}

// AddSecurePort is AddInsecurePort for connections with TLS. config needs certificates; the application-layer protocol
// is set to HTTP/2, and TLS 1.2 is the lowest version. That holds for what config.GetConfigForClient returns too.
func (s *Server) AddSecurePort(address string, config *tls.Config) (port int, err error) {
	secure, err := ports.OverTLS(config)
	if err != nil {
		return 0, fmt.Errorf("gogreeter: port %q: %w", address, err)
	}
	return s.addPort(address, secure)
}

// AddListener serves the connections of a listener, which becomes the server's: Stop closes it. If they have a handshake
// to make, as those of package crypto/tls, it has to negotiate "h2". Listeners and connections may be of any type; those
// whose deadlines do not work have no keepalive, and their Close has to end reads and writes.
func (s *Server) AddListener(l net.Listener) error { return s.addAnyListener(l, nil) }

// AddSecureListener is AddListener for connections with TLS by a configuration as [Server.AddSecurePort] takes it. It
// spends less on each connection than a listener of package crypto/tls.
func (s *Server) AddSecureListener(l net.Listener, config *tls.Config) error {
	secure, err := ports.OverTLS(config)
	if err != nil {
		return fmt.Errorf("gogreeter: AddSecureListener: %w", err)
	}
	return s.addAnyListener(l, secure)
}

func (s *Server) addAnyListener(l net.Listener, secure ports.Secure) error {
	if l == nil {
		return errors.New("gogreeter: the listener is nil")
	}
	return s.add(ports.New(l, secure))
}

func (s *Server) addPort(address string, secure ports.Secure) (number int, err error) {
	p, err := ports.Bind(address, secure)
	if err != nil {
		return 0, fmt.Errorf("gogreeter: cannot bind %q: %w", address, err)
	}
	if err := s.add(p); err != nil {
		s.closePort(p)
		return 0, err
	}
	return p.Number(), nil
}

// add has the server serve a port: right away, if it is started.
func (s *Server) add(p *ports.Port) error {
	serve, err := s.life.add(p)
	if err != nil {
		return fmt.Errorf("gogreeter: cannot add port %v: %w", p.Address(), err)
	}
	if serve {
		s.serve(p)
	}
	return nil
}

// closePort closes a port, which may wait for a user's listener.
func (s *Server) closePort(p *ports.Port) {
	p.Close(func(reason any) { s.panicked("the close of a listener", reason) })
}
