package http2

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe is a connection in memory whose two directions have buffers, as those of a socket have. Unlike net.Pipe it lets
// a test write and then look at what came back, and it can be full: a limit makes a peer that does not read.
//
// All waiting is on condition variables, so that testing/synctest sees it.
type pipe struct{ in, out *direction }

// newPipe returns the two ends of a connection.
func newPipe() (a, b *pipe) {
	ab, ba := newDirection(), newDirection()
	return &pipe{in: ba, out: ab}, &pipe{in: ab, out: ba}
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

func (p *pipe) Read(b []byte) (int, error) {
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

func (p *pipe) Write(b []byte) (written int, err error) {
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
func (p *pipe) Close() error {
	p.in.update(func() { p.in.broken = true })
	p.CloseWrite()
	return nil
}

// CloseWrite ends what this end writes.
func (p *pipe) CloseWrite() { p.out.update(func() { p.out.ended = true }) }

func (p *pipe) SetDeadline(at time.Time) error {
	p.SetReadDeadline(at)
	return p.SetWriteDeadline(at)
}

func (p *pipe) SetReadDeadline(at time.Time) error {
	p.in.setDeadline(&p.in.read, at)
	return nil
}

func (p *pipe) SetWriteDeadline(at time.Time) error {
	p.out.setDeadline(&p.out.write, at)
	return nil
}

func (p *pipe) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipe) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
