package http2

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// socket reads and writes a connection. If that is a socket of the system's, it calls read and write itself, which
// has two advantages over net.Conn: a connection that waits needs no read buffer, and the scheduler is not told of
// calls that cannot block.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil: use Conn
	tls *underTLS       // not nil: Conn reads, and makes the records that raw writes

	// Owned by the reader.
	readReady func(fd uintptr) (done bool)
	buf       func() []byte
	idle      func()
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

func newSocket(nc net.Conn) *socket {
	s := &socket{Conn: nc, raw: rawConn(nc)}
	if secure, ok := nc.(*tls.Conn); ok {
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

// readAll calls got for each piece of input, until got reports false, the input ends or reading fails. buf is asked
// for memory before each read; idle is called before a wait, and may take the memory away.
func (s *socket) readAll(buf func() []byte, got func(n int) (more bool), idle func()) error {
	if s.raw == nil || s.tls != nil {
		return readAll(s.Conn, buf, got)
	}
	s.buf, s.idle = buf, idle
	for {
		if err := s.raw.Read(s.readReady); err != nil {
			return err // the read deadline has passed, for one
		}
		if s.readErr != nil {
			return s.readErr
		}
		if !got(s.n) { // while nobody is in raw.Read, which admits one goroutine at a time: another may have to go on
			return nil
		}
	}
}

// readSome reads what there is, or reports that the reader has to wait.
func (s *socket) readSome(fd uintptr) (done bool) {
	for {
		n, errno := rawCall(syscall.SYS_READ, fd, s.buf())
		switch {
		case errno == syscall.EAGAIN:
			s.idle()
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			s.readErr = os.NewSyscallError("read", errno)
		case n == 0:
			s.readErr = io.EOF
		}
		s.n = n
		return true
	}
}

// write writes b and returns what is left of it: nothing, if it may wait. A wait for longer than timeout fails. What is
// left may be in another form, with TLS, and is what has to be written next. A socket of the
// system's knows how not to wait; of TLS on another, everything is left; and a connection of any other kind waits.
func (s *socket) write(b []byte, timeout time.Duration, wait bool) (rest []byte, err error) {
	if s.raw == nil {
		if _, secure := s.Conn.(*tls.Conn); secure && !wait {
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
	return rest, err
}

// writeSome writes what the socket takes. Only when that is not everything is there a deadline to be set.
func (s *socket) writeSome(fd uintptr) (done bool) {
	for len(s.rest) > 0 {
		n, errno := rawCall(syscall.SYS_WRITE, fd, s.rest)
		switch {
		case errno == syscall.EAGAIN && !s.wait:
			return true
		case errno == syscall.EAGAIN:
			s.timed = true
			s.SetWriteDeadline(time.Now().Add(s.timeout))
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			s.writeErr = os.NewSyscallError("write", errno)
			return true
		}
		s.rest = s.rest[n:]
	}
	return true
}

// rawCall reads or writes a socket, which does not block since the net package has made it so.
func rawCall(trap, fd uintptr, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(r), errno
}

// closeTLS sends the alert that says that nothing more comes. Package tls would wait for up to 5 s to do so.
func (s *socket) closeTLS(secure *tls.Conn) {
	if s.tls == nil {
		go secure.CloseWrite()
		return
	}
	secure.CloseWrite()
	s.write(nil, 0, false)
}

// UnderTLS returns what a tls.Conn is to be made on, for a connection on it to write without waiting.
func UnderTLS(nc net.Conn) net.Conn {
	if raw := rawConn(nc); raw != nil {
		return &underTLS{Conn: nc, raw: raw}
	}
	return nc
}

// underTLS is a socket of the system's below a tls.Conn. Once the handshake is over it keeps the records that are
// written to it, and the socket above takes them: it can write without waiting, and many records at a time.
type underTLS struct {
	net.Conn
	raw syscall.RawConn

	mu sync.Mutex
	// Guarded by mu.
	begun   bool
	sealing bool // seal waits for records
	records []byte
}

// maxOwnRecords bounds what TLS has to say of its own accord between two writes: answers to updates of the key.
const maxOwnRecords = 4 << 10

var errKeyUpdates = errors.New("http2: too many TLS key updates")

func (u *underTLS) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun = true
}

// Write implements net.Conn.
func (u *underTLS) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.begun {
		return u.Conn.Write(b)
	}
	if !u.sealing && len(u.records)+len(b) > maxOwnRecords {
		return 0, errKeyUpdates
	}
	u.records = append(u.records, b...)
	return len(b), nil
}

// seal returns the records that b becomes, behind those that wait.
func (u *underTLS) seal(secure net.Conn, b []byte) (records []byte, err error) {
	if len(b) > 0 {
		u.mu.Lock()
		u.sealing = true
		if u.records == nil {
			u.records = buffer.Get(len(b) + len(b)/32 + 512) // 22 octets for each record, of 1,200 octets at least
		}
		u.mu.Unlock()
		_, err = secure.Write(b)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	records, u.records, u.sealing = u.records, nil, false
	return records, err
}
