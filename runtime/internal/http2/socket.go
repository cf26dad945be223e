package http2

import (
	"net"
	"time"
)

// abort makes the reader's next read fail. It is for whoever finds the connection broken, and holds Conn.mu: Close
// waits until a read or write under way has ended, and with TLS writes an alert.
func (s *socket) abort() {
	if s.SetReadDeadline(time.Unix(1, 0)) != nil {
		s.Close() // not a socket of the system's
	}
}

// readAll reads nc piece by piece; see socket.readAll.
func readAll(nc net.Conn, buf func() []byte, got func(n int) (more bool)) error {
	for {
		n, err := nc.Read(buf())
		if n > 0 && !got(n) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
