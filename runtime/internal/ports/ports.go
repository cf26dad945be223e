// Package ports binds addresses, accepts connections, and takes them to the point where HTTP/2 can begin. Listeners and
// connections may be of types that we do not know: what these do that they should not, it makes an error. It knows nothing
// of servers.
package ports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// Port is a listener that belongs to a server.
type Port struct {
	listener net.Listener
	secure   Secure

	// file is the file of a Unix socket, as it was when the listener became the server's. nil: there is none.
	file os.FileInfo

	closing sync.Once
}

// Secure makes a TLS connection; nil: there is none to make. others says whether to offer HTTP/1.1 too. It is a function so
// that the linker leaves TLS out of programs that do not use it, which is a quarter of a small server.
type Secure func(nc net.Conn, others bool) net.Conn

// New returns a port that accepts the connections of a listener.
func New(l net.Listener, secure Secure) *Port {
	p := &Port{listener: l, secure: secure}
	if unix, ok := l.(*net.UnixListener); ok {
		p.file, _ = os.Lstat(unix.Addr().String()) // an abstract one has none
	}
	return p
}

// Bind binds an address: "host:port", "unix:path" or "unix-abstract:name".
func Bind(address string, secure Secure) (*Port, error) {
	network, target, err := split(address)
	if err != nil {
		return nil, err
	}
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), network, target)
	if err != nil {
		return nil, err
	}
	return New(l, secure), nil
}

// split reads an address. Where grpc-python takes a missing port for 443 and wraps a large one around, it refuses.
func split(address string) (network, target string, err error) {
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

// Number returns the number of a TCP port, and 0 for everything else.
func (p *Port) Number() int {
	if tcp, ok := p.listener.Addr().(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// Address returns the port's address for the log.
func (p *Port) Address() (text string) {
	text = logtext.Unknown
	defer func() { _ = recover() }() // of a user's listener
	return logtext.Address(p.listener.Addr())
}

var errNoConn = errors.New("gogreeter: Accept has returned neither a connection nor an error")

// Accept accepts a connection. Whatever a user's listener does, there is a connection or an error.
func (p *Port) Accept() (nc net.Conn, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			nc, err = nil, &acceptPanic{p.listener, reason}
		}
	}()
	nc, err = p.listener.Accept()
	if nc == nil && err == nil {
		return nil, errNoConn
	}
	return nc, err
}

// acceptPanic is the error of a listener whose Accept has panicked. The log prints it, which may panic again.
type acceptPanic struct {
	listener net.Listener
	reason   any
}

// Error implements error.
func (e *acceptPanic) Error() string {
	return fmt.Sprintf("gogreeter: Accept of a %T has panicked: %v", e.listener, e.reason)
}

// Interrupt makes an Accept that waits return an error, and reports whether that was possible. If it was not, only Close
// does it, which may wait for a user's listener.
func (p *Port) Interrupt() bool {
	switch socket := p.listener.(type) {
	case *net.TCPListener:
		return socket.SetDeadline(time.Unix(1, 0)) == nil
	case *net.UnixListener:
		return socket.SetDeadline(time.Unix(1, 0)) == nil
	}
	return false
}

// unlinker is a *net.UnixListener, of which package net leaves out this method on Plan 9.
type unlinker interface{ SetUnlinkOnClose(unlink bool) }

// Close closes the listener; further calls wait until that has happened. It calls panicked if a user's listener panics, while
// that unwinds the stack.
//
// Package net unlinks the path of a Unix socket then, even if a successor has bound it anew: that one's socket has to stay.
// Its file cannot have the inode of ours, as long as ours is open.
func (p *Port) Close(panicked func(reason any)) {
	p.closing.Do(func() {
		defer func() {
			if reason := recover(); reason != nil {
				panicked(reason)
			}
		}()
		if unix, ok := p.listener.(unlinker); ok && p.file != nil {
			if file, err := os.Lstat(p.listener.Addr().String()); err == nil && !os.SameFile(file, p.file) {
				unix.SetUnlinkOnClose(false)
			}
		}
		p.listener.Close()
	})
}

// ErrNotHTTP2 is the error of a client that speaks TLS, and not HTTP/2.
var ErrNotHTTP2 = errors.New("gogreeter: the client did not negotiate h2 by ALPN")

// Handshake does what TLS needs, until a moment at the latest, and returns the connection that HTTP/2 can begin on, or if others
// is true, an Other. Functions of the user's configuration run here; their panics are the caller's to recover.
func (p *Port) Handshake(nc net.Conn, end time.Time, others bool) (net.Conn, error) {
	if p.secure != nil {
		nc = p.secure(nc, others)
	}
	secure, ok := nc.(socket.TLS)
	if !ok {
		return nc, nil
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	switch {
	case secure.ConnectionState().NegotiatedProtocol == "h2": // RFC 9113, Section 3.2: HTTP/2 over TLS is negotiated by ALPN
		return secure, nil
	case others:
		return Other{secure}, nil
	}
	return nil, ErrNotHTTP2
}

// Other is a connection whose TLS has not negotiated HTTP/2.
type Other struct{ socket.TLS }
