package http2

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestConn_AnswersHTTP1 has clients say other things than the preface, in pieces. Those that speak HTTP/1 are told what
// the port speaks; all lose their connection.
func TestConn_AnswersHTTP1(t *testing.T) {
	for _, row := range []struct {
		name, sent string
		answered   bool
		ends       time.Duration
	}{
		{"GET", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", true, lingerTime},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", true, lingerTime},
		{"POST, with content", "POST /a.S/M HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", true, lingerTime},
		{"half of a line", "GET /index.ht", false, 10 * time.Second},
		{"a word", "PUT", false, 10 * time.Second},
		{"half of the preface", "PRI * HTT", false, 10 * time.Second},
		{"another preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", false, 0},
		{"HTTP/3", "GET / HTTP/3\r\n\r\n", false, 0},
		{"a line without end", "GET /" + strings.Repeat("x", longestRequestLine), false, 0},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", false, 0},
		{"no method", " / HTTP/1.1\r\n\r\n", false, 0},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", false, 0},
		{"lower case", "get / HTTP/1.1\r\n\r\n", false, 0},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			if len(row.sent) > 1000 && piece == 1 {
				continue
			}
			t.Run(row.name, func(t *testing.T) {
				withPeer(t, Config{SetupTimeout: 10 * time.Second}, func(p *peer) {
					for rest := row.sent; rest != "" && !p.stopped.Load(); rest = rest[min(piece, len(rest)):] {
						p.Write([]byte(rest[:min(piece, len(rest))]))
						synctest.Wait()
					}
					began := time.Now()
					if row.answered {
						r, err := http.ReadResponse(bufio.NewReader(p.nc), nil)
						if err != nil {
							t.Fatal(err)
						}
						text, err := io.ReadAll(r.Body)
						if r.StatusCode != http.StatusHTTPVersionNotSupported || err != nil || !strings.Contains(string(text), "gRPC") || !r.Close {
							t.Errorf("the answer is %v, %q, %v", r.Status, text, err)
						}
					}
					if rest, _ := io.ReadAll(p.nc); len(rest) > 0 {
						t.Errorf("%q is sent", rest)
					}
					if ended := time.Since(began); ended != row.ends {
						t.Errorf("the connection has ended after %v, want %v", ended, row.ends)
					}
				})
			})
		}
	}
}
