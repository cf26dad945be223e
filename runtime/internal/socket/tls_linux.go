package socket

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// closeTLS sends the alert that says that nothing more comes. Package tls would wait for up to 5 s to do so.
func (s *Socket) closeTLS(secure TLS) {
	if s.tls == nil {
		s.closeTLSAside(secure)
		return
	}
	secure.CloseWrite()
	s.SetWriteDeadline(time.Time{}) // CloseWrite leaves one that has passed
	s.Write(nil, 0, false)
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

	writing atomic.Bool // the socket above has records of which not all are written; set with mu held

	mu locks.Mutex[locks.Records]
	// Guarded by mu.
	begun   bool
	sealing bool // seal waits for records
	records []byte
}

// maxOwnRecords bounds what TLS has to say of its own accord between two writes: answers to updates of the key.
const maxOwnRecords = 4 << 10

var errKeyUpdates = errors.New("tls: too many TLS key updates")

func (u *underTLS) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun = true
}

// Write implements net.Conn.
func (u *underTLS) Write(b []byte) (int, error) {
	u.mu.Lock()
	if !u.begun {
		u.mu.Unlock() // Close needs it, to end a write that waits
		return u.Conn.Write(b)
	}
	defer u.mu.Unlock()
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
	u.sealing = false
	if err != nil {
		return nil, err // Close sends what there is: the alert that says why package tls writes no more, for one
	}
	records, u.records = u.records, nil
	u.writing.Store(true)
	return records, nil
}

// Close implements net.Conn. What TLS has to say last, its alerts, goes out before, as far as the socket takes it at once:
// unless a record is half written, into which it would cut.
func (u *underTLS) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.records) > 0 && !u.writing.Load() {
		u.Conn.SetWriteDeadline(time.Time{}) // package tls leaves one that has passed
		u.raw.Write(func(fd uintptr) (done bool) {
			writeNow(fd, u.records)
			return true
		})
	}
	u.records = nil
	return u.Conn.Close()
}
