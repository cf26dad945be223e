// Package socket reads and writes connections at the least cost that the system allows: on Linux it calls read and write
// itself, and has TLS seal its records into memory, so that no writer has to wait unless it wants to.
//
// A Socket has one reader and one writer at a time. Its user sees to that.
package socket

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// TLS is a connection with TLS: a *tls.Conn, and known by its methods, so that the linker can leave TLS out.
type TLS interface {
	net.Conn
	HandshakeContext(ctx context.Context) error
	ConnectionState() tls.ConnectionState
	NetConn() net.Conn
	CloseWrite() error
}

// Abort makes the reader's next read fail. It is for a goroutine that finds the connection broken and holds a lock: Close
// waits until a read or write under way has ended, and with TLS writes an alert.
func (s *Socket) Abort() {
	if s.SetReadDeadline(time.Unix(1, 0)) != nil {
		s.Close() // not a socket of the system's
	}
}

// Buffer is what [Socket.Fill] reads into.
type Buffer interface {
	// Space returns memory to read into. It is called before each read.
	Space() []byte

	// Idle is called before a wait, and may take the memory away. Only a socket of the system's can wait without.
	Idle()
}

// closeTLSAside sends the alert on a goroutine of its own, since that may wait. It is of no consequence whether it is sent.
func (s *Socket) closeTLSAside(secure TLS) {
	go func() {
		defer func() { _ = recover() }() // of a user's connection below
		secure.CloseWrite()
	}()
}

// CloseWrite tells the peer that nothing more comes.
func (s *Socket) CloseWrite() {
	switch nc := s.Conn.(type) {
	case *net.TCPConn:
		nc.CloseWrite()
	case *net.UnixConn:
		nc.CloseWrite()
	case TLS:
		s.closeTLS(nc)
	}
}
