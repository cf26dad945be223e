package http2

import (
	"bytes"
	"fmt"
)

// maybeHTTP1 looks whether a client without a preface speaks HTTP/1: someone has opened the port in a browser, or a probe
// asks for a page. It is told what the port speaks, and the connection ends. It reports false if the client speaks
// something else; it also reports true before there is enough to see.
func (c *Conn) maybeHTTP1() bool {
	line, _, whole := bytes.Cut(c.buf[:min(c.end, longestRequestLine)], []byte("\r\n"))
	method := 0
	for method < len(line) && 'A' <= line[method] && line[method] <= 'Z' {
		method++
	}
	switch {
	case method < len(line) && (method == 0 || line[method] != ' '):
		return false
	case !whole:
		return c.end < longestRequestLine // SetupTimeout ends the wait for more
	case !bytes.Contains(line, []byte(" HTTP/1.")):
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.stage < ending {
		c.life.because(ConnError{ErrCodeHTTP11Required, "the client speaks HTTP/1"})
		c.out.buf = append(c.out.buf[:0], http1Answer...) // in place of our preface
		c.lastWordsLocked()
		c.flushLocked()
	}
	return true
}

// longestRequestLine is how much of an HTTP/1 request is looked at.
const longestRequestLine = 2 << 10

// http1Answer refuses an HTTP/1 request (RFC 9110, Section 15.6.6).
var http1Answer = func() string {
	const text = "This port speaks gRPC, over HTTP/2 alone, and the client has to begin with HTTP/2's preface\n" +
		"(as curl does with --http2-prior-knowledge). Browsers need a proxy that translates.\n"
	const head = "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text)
}()
