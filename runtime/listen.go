package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// listener is a port of the server.
type listener struct {
	net.Listener

	// secure makes a TLS connection. nil: there is none to make. It is a function so that the linker leaves TLS out of
	// programs that do not use it, which is a quarter of a small server.
	secure func(nc net.Conn) net.Conn

	// file is the file of a Unix socket, as it was when the listener became the server's. nil: there is none.
	file os.FileInfo

	closing sync.Once
}

// unlinker is a *net.UnixListener, of which package net leaves out this method on Plan 9.
type unlinker interface{ SetUnlinkOnClose(unlink bool) }

func newListener(l net.Listener, secure func(net.Conn) net.Conn) *listener {
	made := &listener{Listener: l, secure: secure}
	if unix, ok := l.(*net.UnixListener); ok {
		made.file, _ = os.Lstat(unix.Addr().String()) // an abstract one has none
	}
	return made
}

// address is the listener's address for the log.
func (l *listener) address() (text string) {
	text = logtext.Unknown
	defer func() { _ = recover() }() // of a user's listener
	return logtext.Address(l.Addr())
}

// close closes the listener. Package net unlinks the path of a Unix socket then, whoever has bound it: not if that is a
// successor. While the old socket is open, the new one's file cannot have the same inode.
func (s *Server) close(l *listener) { l.closing.Do(func() { s.closeOnce(l) }) }

func (s *Server) closeOnce(l *listener) {
	defer s.contain("the close of a listener")
	if unix, ok := l.Listener.(unlinker); ok && l.file != nil {
		if file, err := os.Lstat(l.Addr().String()); err == nil && !os.SameFile(file, l.file) {
			unix.SetUnlinkOnClose(false)
		}
	}
	l.Close()
}

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
	secure, err := overTLS(config)
	if err != nil {
		return 0, fmt.Errorf("gogreeter: port %q: %w", address, err)
	}
	return s.addPort(address, secure)
}

// overTLS returns a function that makes TLS connections, by a user's configuration completed for HTTP/2.
func overTLS(config *tls.Config) (func(net.Conn) net.Conn, error) {
	switch {
	case config == nil:
		return nil, errors.New("the TLS configuration is nil; without TLS, use AddInsecurePort or AddListener")
	case len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil:
		return nil, errors.New("the TLS configuration has no certificate")
	case config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS12:
		return nil, errors.New("the TLS configuration has a MaxVersion below TLS 1.2, which HTTP/2 needs")
	}
	config = tlsConfig(config)
	return func(nc net.Conn) net.Conn { return tls.Server(socket.UnderTLS(nc), config) }, nil
}

// tlsConfig completes a user's configuration for HTTP/2.
func tlsConfig(config *tls.Config) *tls.Config {
	config = config.Clone()
	if choose := config.GetConfigForClient; choose != nil {
		// What it returns replaces the configuration as a whole. Session tickets go on with the keys of the original.
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return tlsConfig(chosen), nil
		}
	}
	if config.MinVersion < tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS12 // RFC 9113, Section 9.2
	}
	if config.CipherSuites == nil {
		config.CipherSuites = []uint16{ // those of TLS 1.2 that RFC 9113, Appendix A does not prohibit
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	}
	config.NextProtos = []string{"h2"}
	return config
}

// AddListener serves the connections of a listener, which becomes the server's: Stop closes it. If they have a handshake
// to make, as those of package crypto/tls, it has to negotiate "h2". Listeners and connections may be of any type; those
// whose deadlines do not work have no keepalive, and their Close has to end reads and writes.
func (s *Server) AddListener(l net.Listener) error { return s.addAnyListener(l, nil) }

// AddSecureListener is AddListener for connections with TLS by a configuration as [Server.AddSecurePort] takes it. It
// spends less on each connection than a listener of package crypto/tls.
func (s *Server) AddSecureListener(l net.Listener, config *tls.Config) error {
	secure, err := overTLS(config)
	if err != nil {
		return fmt.Errorf("gogreeter: AddSecureListener: %w", err)
	}
	return s.addAnyListener(l, secure)
}

func (s *Server) addAnyListener(l net.Listener, secure func(net.Conn) net.Conn) error {
	if l == nil {
		return errors.New("gogreeter: the listener is nil")
	}
	return s.addListener(newListener(l, secure))
}

func (s *Server) addPort(address string, secure func(net.Conn) net.Conn) (port int, err error) {
	network, target, err := splitAddress(address)
	if err != nil {
		return 0, fmt.Errorf("gogreeter: cannot bind %q: %w", address, err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), network, target)
	if err != nil {
		return 0, fmt.Errorf("gogreeter: cannot bind %q: %w", address, err)
	}
	made := newListener(l, secure)
	if err := s.addListener(made); err != nil {
		s.close(made)
		return 0, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		port = tcp.Port
	}
	return port, nil
}

// splitAddress reads an address. Where grpc-python takes a missing port for 443 and wraps a large one around, it
// refuses.
func splitAddress(address string) (network, target string, err error) {
	if name, ok := strings.CutPrefix(address, "unix-abstract:"); ok {
		address = "unix:@" + name // as package net writes it
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" || path == "@" {
			return "", "", errors.New("the path of the Unix socket is empty")
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("%w; an address is \"host:port\" or \"unix:path\"", err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	return "tcp", address, nil
}

func (s *Server) addListener(l *listener) error {
	address := l.address() // without mu: a user's listener may ask the server something
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage >= grace {
		return fmt.Errorf("gogreeter: cannot add port %v: %w", address, ErrStopped)
	}
	s.listeners = append(s.listeners, l)
	if s.stage >= started {
		s.acceptLocked(l)
	}
	return nil
}

func (s *Server) acceptLocked(l *listener) {
	s.serving++
	s.accepting++
	s.spawn("an accept loop", func() { s.accept(l) })
}
