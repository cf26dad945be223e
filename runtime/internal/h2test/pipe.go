package h2test

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe is one end of a connection in memory whose two directions have buffers, as those of a socket have. Unlike net.Pipe it lets
// a test write and then look at what came back, and it can be full: a limit makes a peer that does not read.
//
// All waiting is on condition variables, so that testing/synctest sees it.
type Pipe struct{ in, out *direction }

// NewPipe returns the two ends of a connection.
func NewPipe() (a, b *Pipe) {
	ab, ba := newDirection(), newDirection()
	return &Pipe{in: ba, out: ab}, &Pipe{in: ab, out: ba}
}

// direction is what one end writes and the other reads.
type direction struct {
	mu      sync.Mutex
	changed *sync.Cond
	buf     []byte
	limit   int // octets that buf takes; negative: any number
	chunk   int // octets that one Read returns at most; 0: any number
	ended   bool
	broken  bool // the reading end is closed
	read    deadline
	write   deadline
}

func newDirection() *direction {
	d := &direction{limit: -1}
	d.changed = sync.NewCond(&d.mu)
	return d
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *direction) setDeadline(which *deadline, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if which.timer != nil {
		which.timer.Stop()
		which.timer = nil
	}
	which.at = at
	if !at.IsZero() {
		which.timer = time.AfterFunc(time.Until(at), func() {
			d.mu.Lock()
			d.changed.Broadcast()
			d.mu.Unlock()
		})
	}
	d.changed.Broadcast()
}

// update changes a direction under its lock, and wakes those who wait.
func (d *direction) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.changed.Broadcast()
}

func (p *Pipe) Read(b []byte) (int, error) {
	d := p.in
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.broken:
			return 0, net.ErrClosed
		case d.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(d.buf) > 0:
			if d.chunk > 0 {
				b = b[:min(len(b), d.chunk)]
			}
			n := copy(b, d.buf)
			d.buf = d.buf[n:]
			d.changed.Broadcast()
			return n, nil
		case d.ended:
			return 0, io.EOF
		}
		d.changed.Wait()
	}
}

func (p *Pipe) Write(b []byte) (written int, err error) {
	d := p.out
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.ended:
			return written, net.ErrClosed
		case d.broken:
			return written, io.ErrClosedPipe
		case d.write.passed():
			return written, os.ErrDeadlineExceeded
		}
		n := len(b)
		if d.limit >= 0 {
			n = max(0, min(n, d.limit-len(d.buf)))
		}
		d.buf = append(d.buf, b[:n]...)
		written += n
		d.changed.Broadcast()
		if b = b[n:]; len(b) == 0 {
			return written, nil
		}
		d.changed.Wait()
	}
}

// Close closes both directions.
func (p *Pipe) Close() error {
	p.CloseRead()
	p.CloseWrite()
	return nil
}

// Take returns what has come and was not read, without waiting.
func (p *Pipe) Take() (b []byte) {
	p.in.update(func() { b, p.in.buf = p.in.buf, nil })
	return b
}

// Unread returns how many octets the other end has not read yet.
func (p *Pipe) Unread() (n int) {
	p.out.update(func() { n = len(p.out.buf) })
	return n
}

// Limit has this end take n octets, and no more until they are read. A negative n is no limit.
func (p *Pipe) Limit(n int) { p.in.update(func() { p.in.limit = n }) }

// Chunk has the other end read n octets at a time at most.
func (p *Pipe) Chunk(n int) { p.out.update(func() { p.out.chunk = n }) }

// CloseRead has the other end's writes fail.
func (p *Pipe) CloseRead() { p.in.update(func() { p.in.broken = true }) }

// CloseWrite ends what this end writes.
func (p *Pipe) CloseWrite() { p.out.update(func() { p.out.ended = true }) }

func (p *Pipe) SetDeadline(at time.Time) error {
	p.SetReadDeadline(at)
	return p.SetWriteDeadline(at)
}

func (p *Pipe) SetReadDeadline(at time.Time) error {
	p.in.setDeadline(&p.in.read, at)
	return nil
}

func (p *Pipe) SetWriteDeadline(at time.Time) error {
	p.out.setDeadline(&p.out.write, at)
	return nil
}

func (p *Pipe) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *Pipe) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
