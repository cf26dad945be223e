package socket

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// Socket reads and writes a connection. If that is a socket of the system's, it calls read and write itself, which
// has two advantages over net.Conn: a connection that waits needs no read buffer, and the scheduler is not told of
// calls that cannot block.
type Socket struct {
	net.Conn
	raw syscall.RawConn // nil: use Conn
	tls *underTLS       // not nil: Conn reads, and makes the records that raw writes

	// Owned by the reader.
	readReady func(fd uintptr) (done bool)
	buffer    Buffer
	n         int
	readErr   error

	// Owned by the writer.
	writeReady func(fd uintptr) (done bool)
	rest       []byte
	sealed     []byte // with TLS: the records that rest is the end of
	writeErr   error
	timeout    time.Duration
	wait       bool
	timed      bool
}

// New returns a socket that reads and writes nc.
func New(nc net.Conn) *Socket {
	s := &Socket{Conn: nc, raw: rawConn(nc)}
	if secure, ok := nc.(TLS); ok {
		if s.tls, ok = secure.NetConn().(*underTLS); ok {
			s.raw = s.tls.raw
			s.tls.begin()
		}
	}
	s.readReady, s.writeReady = s.readSome, s.writeSome
	return s
}

// rawConn returns the system's socket that nc is, or nil.
func rawConn(nc net.Conn) (raw syscall.RawConn) {
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		raw, _ = nc.SyscallConn()
	}
	return raw
}

// Fill waits for input and reads what there is, as far as it fits into the buffer. It returns before the input is processed:
// raw.Read admits one goroutine at a time, and another may have to go on reading.
func (s *Socket) Fill(b Buffer) (n int, err error) {
	if s.raw == nil || s.tls != nil {
		return s.Read(b.Space())
	}
	s.buffer, s.n, s.readErr = b, 0, nil
	if err := s.raw.Read(s.readReady); err != nil {
		return 0, err // the read deadline has passed, for one
	}
	return s.n, s.readErr
}

// readSome reads what there is, or reports that the reader has to wait.
func (s *Socket) readSome(fd uintptr) (done bool) {
	for {
		n, errno := rawCall(syscall.SYS_READ, fd, s.buffer.Space())
		switch {
		case errno == syscall.EAGAIN:
			s.buffer.Idle()
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			s.readErr = os.NewSyscallError("read", errno)
		case n == 0:
			s.readErr = io.EOF
		}
		s.n = max(n, 0)
		return true
	}
}

// Write writes b and returns what is left of it: nothing, if it may wait. A wait for longer than timeout fails. What is
// left may be in another form, with TLS, and is what has to be written next. Only a socket of the system's knows how not to
// wait, with TLS or without: if that is wanted of another connection, everything is left.
func (s *Socket) Write(b []byte, timeout time.Duration, wait bool) (rest []byte, err error) {
	if s.raw == nil {
		if !wait {
			return b, nil
		}
		s.SetWriteDeadline(time.Now().Add(timeout))
		_, err := s.Conn.Write(b)
		return nil, err
	}
	if s.tls != nil && !wait {
		if s.sealed, err = s.tls.seal(s.Conn, b); err != nil {
			return nil, err
		}
		b = s.sealed
	}
	s.rest, s.timeout, s.wait, s.writeErr = b, timeout, wait, nil
	err = s.raw.Write(s.writeReady)
	rest, s.rest = s.rest, nil
	if s.timed {
		s.timed = false
		s.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		err = s.writeErr
	}
	if len(rest) == 0 || err != nil {
		buffer.Put(s.sealed)
		s.sealed = nil
	}
	if s.tls != nil && len(rest) == 0 {
		s.tls.writing.Store(false)
	}
	return rest, err
}

// writeSome writes what the socket takes. Only when that is not everything is there a deadline to be set.
func (s *Socket) writeSome(fd uintptr) (done bool) {
	var errno syscall.Errno
	s.rest, errno = writeNow(fd, s.rest)
	switch {
	case errno == syscall.EAGAIN && s.wait:
		s.timed = true
		s.SetWriteDeadline(time.Now().Add(s.timeout))
		return false
	case errno != 0 && errno != syscall.EAGAIN:
		s.writeErr = os.NewSyscallError("write", errno)
	}
	return true
}

// writeNow writes what the socket takes, and returns what it does not, with the reason.
func writeNow(fd uintptr, b []byte) (rest []byte, errno syscall.Errno) {
	for len(b) > 0 {
		n, errno := rawCall(syscall.SYS_WRITE, fd, b)
		if errno != 0 && errno != syscall.EINTR {
			return b, errno
		}
		b = b[max(n, 0):]
	}
	return b, 0
}

// rawCall reads or writes a socket, which does not block since the net package has made it so.
func rawCall(trap, fd uintptr, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(r), errno
}
