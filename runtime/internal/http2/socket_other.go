//go:build !linux

package http2

import (
	"net"
	"time"
)

// socket reads and writes a connection.
type socket struct{ net.Conn }

func newSocket(nc net.Conn) *socket { return &socket{nc} }

// readAll calls got for each piece of input, until got reports false, the input ends or reading fails. buf is asked
// for memory before each read. idle is for systems where a connection can wait without memory.
func (s *socket) readAll(buf func() []byte, got func(n int) (more bool), idle func()) error {
	return readAll(s.Conn, buf, got)
}

// write writes b and returns what is left of it: nothing, if it may wait. A wait for longer than timeout fails. Only a
// socket of the system's knows how not to wait.
func (s *socket) write(b []byte, timeout time.Duration, wait bool) (rest []byte, err error) {
	s.SetWriteDeadline(time.Now().Add(timeout))
	_, err = s.Conn.Write(b)
	return nil, err
}
