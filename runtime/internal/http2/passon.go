package http2

import (
	"net"
	"time"
)

// passOn passes the connection on, with what has been read. Nothing has been sent.
func (c *Conn) passOn(serve func(nc net.Conn, done func())) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage != serving {
		return endOfConn{}
	}
	c.life.stage = passedOn
	c.life.stopTimers()
	c.out.drop()
	c.nc.SetReadDeadline(time.Time{})
	serve(&passedOnConn{c.nc.Conn, c}, c.release)
	for c.life.stage == passedOn {
		c.waitWrittenLocked()
	}
	return endOfConn{}
}

func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked()
}

// releaseLocked wakes the reader, which closes the socket.
func (c *Conn) releaseLocked() {
	c.life.stage = lingering
	c.out.signalWritten()
}

// passedOnConn is a connection for those to whom it was passed on. Its octets are counted.
type passedOnConn struct {
	net.Conn
	c *Conn
}

// Read implements net.Conn.
func (p *passedOnConn) Read(b []byte) (n int, err error) {
	if read := &p.c.in.buf; len(read.unread()) > 0 {
		n = copy(b, read.unread())
		read.skip(n)
		read.Idle()
		return n, nil
	}
	n, err = p.Conn.Read(b)
	p.c.received.Add(uint64(n))
	return n, err
}

// Write implements net.Conn.
func (p *passedOnConn) Write(b []byte) (n int, err error) {
	n, err = p.Conn.Write(b)
	p.c.sent.Add(uint64(n))
	return n, err
}
