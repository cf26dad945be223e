package ports

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// Report is called with the first panic of a connection of a type that we do not know, while that unwinds the stack.
type Report func(nc net.Conn, method string, reason any)

// Contain returns the connection with its panics kept to itself. It returns connections of package net, and TLS on one, as
// they are.
func Contain(nc net.Conn, report Report) net.Conn {
	if isOurs(nc) {
		return nc
	}
	if secure, ok := nc.(socket.TLS); ok {
		return &foreignTLS{foreignConn{Conn: nc, report: report}, secure}
	}
	return &foreignConn{Conn: nc, report: report}
}

// Uncontained returns the connection that Contain was given.
func Uncontained(nc net.Conn) net.Conn {
	switch nc := nc.(type) {
	case *foreignConn:
		return nc.Conn
	case *foreignTLS:
		return nc.Conn
	case Other:
		return Uncontained(nc.TLS)
	}
	return nc
}

// isOurs reports whether a connection is a socket of package net's, or TLS on one.
func isOurs(nc net.Conn) bool {
	switch nc := nc.(type) {
	case *net.TCPConn:
		return nc != nil
	case *net.UnixConn:
		return nc != nil
	case interface{ NetConn() net.Conn }:
		below := net.Conn(nil)
		func() {
			defer func() { _ = recover() }()
			below = nc.NetConn()
		}()
		return below != nil && isOurs(below)
	}
	return false
}

// foreignConn is a connection of a type that we do not know, from a user's listener. The transport calls its methods while
// it holds locks, and has package tls call them, so a panic is made an error where it happens.
//
// A connection without write deadlines is closed when one has passed during a write. Nothing can be done for one without
// read deadlines: it has no keepalive.
type foreignConn struct {
	net.Conn
	report   Report
	reported atomic.Bool
	exited   atomic.Bool // Read has ended its goroutine (runtime.Goexit)
	closed   atomic.Bool
	writeEnd atomic.Pointer[time.Time] // the write deadline, if Conn has refused it
}

var errForeign = errors.New("gogreeter: a method of the connection has panicked")

// recoverPanic is deferred by the methods. It makes a panic an error.
func (c *foreignConn) recoverPanic(method string, err *error) {
	reason := recover()
	if reason == nil {
		return
	}
	*err = errForeign
	if !c.reported.Swap(true) {
		c.report(c.Conn, method, reason)
	}
}

// Read implements net.Conn.
func (c *foreignConn) Read(b []byte) (n int, err error) {
	defer c.recoverPanic("Read", &err)
	if c.exited.Load() {
		return 0, errForeign // or it would end one reader after the other
	}
	c.exited.Store(true) // until it returns, or panics, which is an error too
	n, err = c.Conn.Read(b)
	c.exited.Store(false)
	if n < 0 || n > len(b) {
		return 0, fmt.Errorf("gogreeter: Read of a %T has returned %d, for a buffer of %d octets", c.Conn, n, len(b))
	}
	return n, err
}

// Write implements net.Conn.
func (c *foreignConn) Write(b []byte) (n int, err error) {
	defer c.recoverPanic("Write", &err)
	if end := c.writeEnd.Load(); end != nil {
		late := time.AfterFunc(time.Until(*end), c.closeLate)
		defer late.Stop()
	}
	n, err = c.Conn.Write(b)
	if n != len(b) && err == nil { // the client would take what comes next for the rest of a frame
		return 0, fmt.Errorf("gogreeter: Write of a %T has returned %d, for %d octets", c.Conn, n, len(b))
	}
	return n, err
}

// Close implements net.Conn. It is the user's once: one that ends its goroutine would end each that tries again.
func (c *foreignConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	return c.try("Close", c.Conn.Close)
}

// closeLate ends a write that takes too long.
func (c *foreignConn) closeLate() {
	var err error
	defer c.recoverPanic("Close", &err)
	c.Close()
}

// try calls a method. Read and Write, which are called more often, do the same without a closure.
func (c *foreignConn) try(method string, call func() error) (err error) {
	defer c.recoverPanic(method, &err)
	return call()
}

// SetDeadline implements net.Conn.
func (c *foreignConn) SetDeadline(t time.Time) error {
	return c.try("SetDeadline", func() error { return c.Conn.SetDeadline(t) })
}

// SetReadDeadline implements net.Conn.
func (c *foreignConn) SetReadDeadline(t time.Time) error {
	return c.try("SetReadDeadline", func() error { return c.Conn.SetReadDeadline(t) })
}

// SetWriteDeadline implements net.Conn. Write sees to a deadline that Conn refuses.
func (c *foreignConn) SetWriteDeadline(t time.Time) error {
	err := c.try("SetWriteDeadline", func() error { return c.Conn.SetWriteDeadline(t) })
	if err != nil && !t.IsZero() {
		refused := t // which is on the heap, unlike t
		c.writeEnd.Store(&refused)
	}
	return err
}

// RemoteAddr implements net.Conn. It is nil if that of Conn panics.
func (c *foreignConn) RemoteAddr() (addr net.Addr) {
	c.try("RemoteAddr", func() error { addr = c.Conn.RemoteAddr(); return nil })
	return addr
}

// LocalAddr implements net.Conn, as RemoteAddr does.
func (c *foreignConn) LocalAddr() (addr net.Addr) {
	c.try("LocalAddr", func() error { addr = c.Conn.LocalAddr(); return nil })
	return addr
}

// NetConn returns the user's own connection: it is for the functions of a tls.Config, which get this one to see.
func (c *foreignConn) NetConn() net.Conn { return c.Conn }

// foreignTLS is a foreignConn with TLS, from a listener that makes such connections.
type foreignTLS struct {
	foreignConn
	secure socket.TLS
}

// HandshakeContext implements socket.TLS. Its panics are for the caller of Port.Handshake to recover.
func (c *foreignTLS) HandshakeContext(ctx context.Context) error {
	return c.secure.HandshakeContext(ctx)
}

// ConnectionState implements socket.TLS.
func (c *foreignTLS) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }

// NetConn implements socket.TLS.
func (c *foreignTLS) NetConn() net.Conn { return c.secure.NetConn() }

// CloseWrite implements socket.TLS.
func (c *foreignTLS) CloseWrite() error { return c.try("CloseWrite", c.secure.CloseWrite) }

// Close implements net.Conn. Package tls takes up to 5 s to say goodbye, if the connection below knows deadlines.
func (c *foreignTLS) Close() error {
	late := time.AfterFunc(maxGoodbye, c.closeBelow)
	defer late.Stop()
	return c.foreignConn.Close()
}

const maxGoodbye = 5 * time.Second

func (c *foreignTLS) closeBelow() {
	var err error
	defer c.recoverPanic("NetConn().Close", &err)
	c.secure.NetConn().Close()
}

// unknownAddr stands for an address that a connection does not know.
type unknownAddr struct{}

func (unknownAddr) Network() string { return logtext.Unknown }
func (unknownAddr) String() string  { return logtext.Unknown }

// Known returns the address, or if it is missing, one whose text says that it is unknown.
func Known(addr net.Addr) net.Addr {
	if logtext.Missing(addr) {
		return unknownAddr{}
	}
	return addr
}
