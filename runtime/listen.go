package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/http2"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// listener is a port of the server.
type listener struct {
	net.Listener

	// secure makes a TLS connection. nil: there is none to make. It is a function so that the linker leaves TLS out of
	// programs that do not use it, which is a quarter of a small server.
	secure func(nc net.Conn) net.Conn
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
// to make, as those of package crypto/tls, it has to negotiate "h2".
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
	return s.addListener(&listener{l, secure})
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
	if err := s.addListener(&listener{l, secure}); err != nil {
		l.Close()
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage >= grace {
		return fmt.Errorf("gogreeter: cannot add port %v: %w", l.Addr(), ErrStopped)
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
	go s.accept(l)
}

// stop has the listener's accept loop end, which closes it.
func (l *listener) stop() {
	switch socket := l.Listener.(type) {
	case *net.TCPListener:
		socket.SetDeadline(time.Unix(1, 0))
	case *net.UnixListener:
		socket.SetDeadline(time.Unix(1, 0))
	default:
		l.Close()
	}
}

// stopAccepting closes a listener. The connections in its queue are served before: for their clients connecting has
// succeeded, and the kernel would reset them. Only when no listener is left are the clients asked to go: those that
// come back at once are not to meet one that is about to close.
func (s *Server) stopAccepting(l *listener) {
	for nc := acceptQueued(l.Listener); nc != nil; nc = acceptQueued(l.Listener) {
		s.begin(l, nc)
	}
	l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepting--
	s.shutdownLocked()
	s.endedLocked()
}

// An accept that fails for want of resources is tried again after a pause that doubles. It is said once in a while only,
// even if clients come and go meanwhile.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	acceptLogPause = time.Minute
)

// accept is the accept loop of a port.
func (s *Server) accept(l *listener) {
	defer s.stopAccepting(l)
	var pause time.Duration
	var said time.Time
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.begin(l, nc)
			continue
		}
		if s.stopping() || errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		if now := time.Now(); now.Sub(said) >= acceptLogPause {
			said = now
			s.logger.Error("Accept failed; trying again", "address", l.Addr().String(), "error", err)
		}
		select {
		case <-time.After(pause):
		case <-s.closing:
			return
		}
	}
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage >= grace
}

// begin serves a connection that was accepted, on a goroutine of its own.
func (s *Server) begin(l *listener, nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cutOff {
		nc.Close()
		return
	}
	s.serving++
	s.accepted.Add(1)
	s.handshakes[nc] = struct{}{}
	if s.stage >= grace {
		hurry(nc)
	}
	go s.serveConn(l, nc)
}

// serveConn is the life of a connection.
func (s *Server) serveConn(l *listener, nc net.Conn) {
	if c := s.setUp(l, nc); c != nil {
		s.read(c)
	}
}

// setUp makes a connection of what was accepted, or closes it. The handshake calls functions of the user's
// configuration; one that panics concerns its own connection only.
func (s *Server) setUp(l *listener, nc net.Conn) (c *connection) {
	defer func() {
		if c != nil {
			return
		}
		if reason := recover(); reason != nil {
			s.logger.Error("Exception in the TLS handshake", "peer", nc.RemoteAddr().String(), "panic", panicText(reason),
				"stack", string(debug.Stack()))
		}
		s.promote(nc, nil, errNotHTTP2)
		nc.Close()
		s.ended()
	}()
	ready, err := s.handshake(l, nc)
	return s.promote(nc, ready, err)
}

// read is the connection's reader.
func (s *Server) read(c *connection) {
	inline := &inlineRunner{}
	c.inline = inline
	returned := false
	defer func() {
		if !returned && !inline.replaced {
			// An inline handler has called runtime.Goexit, which ends this goroutine. Another goes on where it was.
			go s.read(c)
		}
	}()
	err := c.serve()
	returned = true
	var broken http2.ConnError
	if errors.As(err, &broken) {
		s.logger.Debug("Connection ended by an error", "peer", c.nc.RemoteAddr().String(), "error", err)
	}
	received, sent := c.h2.Octets()
	s.mu.Lock()
	delete(s.connections, c)
	s.received += received
	s.sent += sent
	s.mu.Unlock()
	s.ended()
}

// promote makes a connection of what was a handshake, or forgets it.
func (s *Server) promote(nc, ready net.Conn, err error) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handshakes, nc)
	if err != nil || s.cutOff {
		return nil
	}
	c := newConnection(s, ready)
	s.connections[c] = struct{}{}
	if s.watched != nil {
		s.watched(c)
	}
	s.shutdownLocked()
	return c
}

// hurry gives a client that is in the middle of its handshake, while the server stops, a second for the rest.
func hurry(nc net.Conn) { nc.SetReadDeadline(time.Now().Add(time.Second)) }

// ended is called when a connection has ended.
func (s *Server) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endedLocked()
}

func (s *Server) endedLocked() {
	s.serving--
	s.maybeTerminateLocked()
}

// handshake does what TLS needs before HTTP/2 can begin.
func (s *Server) handshake(l *listener, nc net.Conn) (net.Conn, error) {
	if l.secure != nil {
		nc = l.secure(nc)
	}
	secure, ok := nc.(socket.TLS)
	if !ok {
		return nc, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.options.SetupTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		s.logger.Debug("TLS handshake failed", "peer", nc.RemoteAddr().String(), "error", err)
		return nil, err
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		// RFC 9113, Section 3.2: HTTP/2 over TLS is negotiated by ALPN.
		s.logger.Debug("TLS client did not negotiate HTTP/2", "peer", nc.RemoteAddr().String())
		return nil, errNotHTTP2
	}
	return secure, nil
}

var errNotHTTP2 = errors.New("gogreeter: the client did not negotiate h2 by ALPN")
