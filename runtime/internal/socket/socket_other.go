//go:build !linux

package socket

import (
	"net"
	"time"
)

// Socket reads and writes a connection.
type Socket struct{ net.Conn }

// New returns a socket that reads and writes nc.
func New(nc net.Conn) *Socket { return &Socket{nc} }

// Fill waits for input and reads what there is, as far as it fits into the buffer.
func (s *Socket) Fill(b Buffer) (n int, err error) { return s.Read(b.Space()) }

// Write writes b and returns what is left of it: nothing, if it may wait. A wait for longer than timeout fails. If it
// may not wait, everything is left.
func (s *Socket) Write(b []byte, timeout time.Duration, wait bool) (rest []byte, err error) {
	if !wait {
		return b, nil
	}
	s.SetWriteDeadline(time.Now().Add(timeout))
	_, err = s.Conn.Write(b)
	return nil, err
}

// closeTLS sends the alert that says that nothing more comes, for which package tls may wait.
func (s *Socket) closeTLS(secure TLS) { s.closeTLSAside(secure) }

// UnderTLS returns what a tls.Conn is to be made on, for a connection on it to write without waiting.
func UnderTLS(nc net.Conn) net.Conn { return nc }
