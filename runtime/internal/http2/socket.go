package http2

import "net"

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
