package http2

import (
	"bytes"
	"fmt"
)

// refuseHTTP1 is called when a client does not begin with HTTP/2's preface. It may speak HTTP/1: someone has opened the port
// in a browser, or a probe asks for a page. It is told what the port speaks, and the connection ends. The error is of a
// client that speaks something else; there is none before there is enough to see.
func (s *server) refuseHTTP1() error {
	c := s.c
	input := c.in.buf.unread()
	line, _, whole := bytes.Cut(input[:min(len(input), longestRequestLine)], []byte("\r\n"))
	method := 0
	for method < len(line) && 'A' <= line[method] && line[method] <= 'Z' {
		method++
	}
	switch {
	case method < len(line) && (method == 0 || line[method] != ' '):
		return errNoPreface
	case !whole && len(input) < longestRequestLine:
		return nil // SetupTimeout ends the wait for more
	case !whole || !bytes.Contains(line, []byte(" HTTP/1.")):
		return errNoPreface
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage < ending {
		c.life.setErr(ConnError{ErrCodeHTTP11Required, "the client speaks HTTP/1"})
		c.out.buf = append(c.out.buf[:0], http1Answer...) // in place of our preface
		c.closeAfterFlushLocked()
		c.flushLocked()
	}
	return nil
}

// errNoPreface ends a connection if the client speaks neither HTTP/2 nor HTTP/1.
var errNoPreface = ConnError{ErrCodeProtocol, "no HTTP/2 client preface"}

// longestRequestLine is how much of an HTTP/1 request is looked at.
const longestRequestLine = 2 << 10

// http1Answer refuses an HTTP/1 request (RFC 9110, Section 15.6.6).
var http1Answer = func() string {
	const text = "This port speaks gRPC, over HTTP/2 alone, and the client has to begin with HTTP/2's preface\n" +
		"(as curl does with --http2-prior-knowledge). Browsers need a proxy that translates.\n"
	const head = "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text)
}()
