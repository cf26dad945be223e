package http2

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// tlsConn serves a connection with TLS on a socket of the system's, as the runtime makes it or, if foreign, as a
// listener of package tls does.
func tlsConn(t *testing.T, app Application, config Config, foreign bool) (c *Conn, client *tls.Conn, served chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	below := accepted
	if !foreign {
		below = socket.UnderTLS(accepted)
	}
	server := tls.Server(below, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	client = tls.Client(&recorded{Conn: nc}, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	c = NewConn(server, app, config.WithDefaults(), budget.New(-1, nil, nil))
	served = make(chan error, 1)
	go func() { served <- c.Serve() }()
	return c, client, served
}

// recorded is a connection that keeps what is read from it.
type recorded struct {
	net.Conn
	read []byte
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read = append(r.read, b[:n]...)
	return n, err
}

// endsWithAlert reports whether the last record, of TLS 1.3, is an alert: two octets, their type, and 16 of the cipher's.
// For package tls a bare end of the socket's is as good.
func (r *recorded) endsWithAlert() bool {
	last := 0
	for rest := r.read; len(rest) >= 5; {
		last = int(rest[3])<<8 | int(rest[4])
		if len(rest) < 5+last {
			return false
		}
		rest = rest[5+last:]
	}
	return last == 2+1+16
}

// TestTLS_Serves has responses of all sizes sealed, and the end of the connection told by an alert.
func TestTLS_Serves(t *testing.T) {
	for name, foreign := range map[string]bool{"OurOwn": false, "Foreign": true} {
		t.Run(name, func(t *testing.T) {
			app := newTestApp()
			app.onRequest = func(st *testStream, _ bool) bool {
				st.replyWith(bytes.Repeat([]byte{byte(st.id)}, 10_000*int(st.id)))
				return true
			}
			c, client, served := tlsConn(t, app, Config{}, foreign)
			client.Write(tcpGreeting)
			client.Write(rawFrame(0x4, 0, 0, "\x00\x04", 1<<30))
			client.Write(rawFrame(0x8, 0, 0, 1<<30))
			const last = 41
			for id := uint32(1); id <= last; id += 2 {
				client.Write(rawFrame(0x1, 0x5, id, okBlock))
			}
			replies, ends := make(map[uint32]int), 0
			for p := h2test.NewPeer(t, client); ; {
				f, err := p.Read()
				if err == io.EOF {
					break // the alert: a bare end of the socket's is another error
				} else if err != nil {
					t.Fatal(err)
				}
				if f.Type == h2test.Data {
					replies[f.StreamID] += bytes.Count(f.Payload, []byte{byte(f.StreamID)})
				}
				if f.Type == h2test.Headers && f.Ends() {
					if ends++; ends == (last+1)/2 {
						c.End(ErrCodeNo, "")
					}
				}
			}
			client.Close()
			mustEnd(t, served)
			for id := uint32(1); id <= last; id += 2 {
				if replies[id] != 10_000*int(id) {
					t.Errorf("stream %d got %d of %d octets", id, replies[id], 10_000*int(id))
				}
			}
		})
	}
}

// TestTLS_PeerThatDoesNotReadPinsNobody checks that who flushes comes back, whatever the peer does.
func TestTLS_PeerThatDoesNotReadPinsNobody(t *testing.T) {
	for name, foreign := range map[string]bool{"OurOwn": false, "Foreign": true} {
		t.Run(name, func(t *testing.T) {
			app := newTestApp()
			opened := make(chan *testStream, 1)
			app.onRequest = func(st *testStream, _ bool) bool { opened <- st; return true }
			c, client, served := tlsConn(t, app, Config{WriteTimeout: time.Hour}, foreign)
			client.Write(tcpGreeting)
			client.Write(rawFrame(0x4, 0, 0, "\x00\x04", 1<<30))
			client.Write(rawFrame(0x8, 0, 0, 1<<30))
			client.Write(rawFrame(0x1, 0x5, 1, okBlock))
			st := <-opened
			back := make(chan struct{})
			go func() {
				defer close(back)
				for range 64 { // far more than the buffers of a socket
					st.Write(outgoing{Headers: okHeaders, Data: make([]byte, 1<<20)})
					c.Flush()
				}
			}()
			select {
			case <-back:
			case <-time.After(20 * time.Second):
				t.Error("a flush does not come back")
			}
			c.mu.Lock()
			out := len(c.out.buf)
			c.mu.Unlock()
			if out > 2*outBufferSize {
				t.Errorf("%d octets are in the out-buffer", out)
			}
			c.End(ErrCodeNo, "")
			mustEnd(t, served) // within lingerTime, not the 5 s that package tls allows, nor WriteTimeout
		})
	}
}

// TestTLS_SaysWhyItEnds has reading fail: the client gets the alert of package tls, or the one that says that nothing more
// comes. A bare end of the socket's may be somebody else's doing.
func TestTLS_SaysWhyItEnds(t *testing.T) {
	raw := func(record string) func(client *tls.Conn) {
		return func(client *tls.Conn) { client.NetConn().Write([]byte(record)) }
	}
	for _, tt := range []struct {
		name string
		send func(client *tls.Conn)
		want string // the client's error
	}{
		{"BadRecord", raw("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)), "remote error: tls: bad record MAC"},
		{"RecordTooLarge", raw("\x17\x03\x03\xff\xff"), "remote error: tls: record overflow"},
		{"NoTLS", raw("GET / HTTP/1.1\r\n"), "remote error: tls: protocol version not supported"},
		{"UnknownRecord", raw("\x63\x03\x03\x00\x20" + strings.Repeat("x", 32)), "remote error: tls: bad record MAC"},
		{"NoHTTP2", func(client *tls.Conn) { client.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, "EOF"},
		{"ClientEnds", func(client *tls.Conn) { client.CloseWrite() }, "EOF"},
		{"ClientEndsAfterRequests", func(client *tls.Conn) {
			client.Write(tcpGreeting)
			client.Write(rawFrame(0x1, 0x5, 1, okBlock))
			client.CloseWrite()
		}, "EOF"},
	} {
		for name, foreign := range map[string]bool{"OurOwn": false, "Foreign": true} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				_, client, served := tlsConn(t, newTestApp(), Config{}, foreign)
				tt.send(client)
				_, err := io.Copy(io.Discard, client)
				if err == nil {
					err = io.EOF // as Copy has it
				}
				// Package tls leaves the alert out if a write is under way, and a foreign connection's may be.
				writing := foreign && tt.name == "ClientEndsAfterRequests"
				if alert := client.NetConn().(*recorded).endsWithAlert(); err.Error() != tt.want || !alert && !writing {
					t.Errorf("the client reads %q, with an alert: %v; want %q, and an alert", err, alert, tt.want)
				}
				mustEnd(t, served)
			})
		}
	}
}

// TestTLS_EndDoesNotWait ends a connection whose peer reads nothing, with a response half written: to say so must neither
// wait nor cut into a record.
func TestTLS_EndDoesNotWait(t *testing.T) {
	app := newTestApp()
	opened := make(chan *testStream, 1)
	app.onRequest = func(st *testStream, _ bool) bool { opened <- st; return true }
	c, client, served := tlsConn(t, app, Config{WriteTimeout: time.Hour}, false)
	client.Write(tcpGreeting)
	client.Write(rawFrame(0x4, 0, 0, "\x00\x04", 1<<30))
	client.Write(rawFrame(0x8, 0, 0, 1<<30))
	client.Write(rawFrame(0x1, 0x5, 1, okBlock))
	st := <-opened
	st.Write(outgoing{Headers: okHeaders, Data: make([]byte, 32<<20)})
	c.Flush()
	untilStuck(c)
	client.CloseWrite()
	mustEnd(t, served) // while the peer has read nothing
	if _, err := io.Copy(io.Discard, client); err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client reads %v, want an end in the middle of a record", err)
	}
}

// untilStuck waits until a connection's writer makes no progress any more: its socket is full.
func untilStuck(c *Conn) {
	for last, same := uint64(0), 0; same < 10; time.Sleep(5 * time.Millisecond) {
		if _, sent := c.Octets(); sent == 0 || sent != last {
			last, same = sent, 0
		} else {
			same++
		}
	}
}
