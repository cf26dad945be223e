package runtimetest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how many octets each direction of a [Pipe] holds, about what a socket does.
const pipeBuffer = 64 << 10

// Pipe returns the two ends of a connection in memory. Unlike those of net.Pipe they have buffers: what one end writes
// waits, up to 64 KiB, for the other to read it. An end that is closed leaves what it has written to the other. All
// waiting is on condition variables, so that testing/synctest sees it.
func Pipe() (client, server net.Conn) {
	up, down := newDirection(), newDirection()
	return &end{in: down, out: up}, &end{in: up, out: down}
}

// Addr is the address of both ends of connections in memory.
type Addr struct{}

// Network returns "memory".
func (Addr) Network() string { return "memory" }

func (Addr) String() string { return "memory" }

// direction is what one end writes and the other reads.
type direction struct {
	mu      sync.Mutex
	changed *sync.Cond
	// Guarded by mu.
	buf         []byte
	readClosed  bool
	writeClosed bool
	read, write deadline
}

func newDirection() *direction {
	d := &direction{}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// update changes a direction, and wakes all that wait for it.
func (d *direction) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.changed.Broadcast()
}

// deadline is a moment after which one kind of operation fails.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) setLocked(at time.Time, wake func()) {
	d.clearLocked()
	if d.at = at; !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), wake)
	}
}

func (d *deadline) clearLocked() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// end is one end of a pipe.
type end struct{ in, out *direction }

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	d := e.in
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.readClosed:
			return 0, e.error("read", net.ErrClosed)
		case d.read.passed():
			return 0, e.error("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(d.buf) > 0:
			n := copy(b, d.buf)
			if d.buf = d.buf[n:]; len(d.buf) == 0 {
				d.buf = nil
			}
			d.changed.Broadcast()
			return n, nil
		case d.writeClosed:
			return 0, io.EOF
		}
		d.changed.Wait()
	}
}

// Write implements net.Conn.
func (e *end) Write(b []byte) (written int, err error) {
	d := e.out
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.writeClosed:
			return written, e.error("write", net.ErrClosed)
		case d.readClosed:
			return written, e.error("write", io.ErrClosedPipe)
		case d.write.passed():
			return written, e.error("write", os.ErrDeadlineExceeded)
		}
		n := min(len(b), pipeBuffer-len(d.buf))
		if d.buf = append(d.buf, b[:n]...); n > 0 {
			d.changed.Broadcast()
		}
		written += n
		if b = b[n:]; len(b) == 0 {
			return written, nil
		}
		d.changed.Wait()
	}
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.in.update(func() {
		e.in.readClosed, e.in.buf = true, nil
		e.in.read.clearLocked()
	})
	e.out.update(func() {
		e.out.writeClosed = true
		e.out.write.clearLocked()
	})
	return nil
}

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error {
	if err := e.SetReadDeadline(t); err != nil {
		return err
	}
	return e.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (e *end) SetReadDeadline(t time.Time) (err error) {
	d := e.in
	d.update(func() {
		if d.readClosed {
			err = e.error("set", net.ErrClosed)
			return
		}
		d.read.setLocked(t, func() { d.update(func() {}) })
	})
	return err
}

// SetWriteDeadline implements net.Conn.
func (e *end) SetWriteDeadline(t time.Time) (err error) {
	d := e.out
	d.update(func() {
		if d.writeClosed {
			err = e.error("set", net.ErrClosed)
			return
		}
		d.write.setLocked(t, func() { d.update(func() {}) })
	})
	return err
}

// LocalAddr implements net.Conn.
func (e *end) LocalAddr() net.Addr { return Addr{} }

// RemoteAddr implements net.Conn.
func (e *end) RemoteAddr() net.Addr { return Addr{} }

// error makes an error of the form that those of sockets have. io.EOF must stay itself, and does not come here.
func (e *end) error(op string, err error) error {
	return &net.OpError{Op: op, Net: Addr{}.Network(), Addr: Addr{}, Err: err}
}
