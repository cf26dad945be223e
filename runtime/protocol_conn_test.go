package runtime

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/gogreeter/gogreeter/runtime/internal/protocol"
)

// served is a protocol that has net/http serve a connection.
func served(handler http.Handler) *protocol.Protocol {
	return &protocol.Protocol{Serve: func(c *protocol.Conn) {
		l := &singleListener{conn: &closeTold{Conn: c, closed: make(chan struct{})}}
		server := &http.Server{
			Handler:     handler,
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		}
		server.Serve(l) // returns once there is no other connection
		select {
		case <-c.Draining:
			server.Shutdown(context.Background())
		case <-l.conn.closed:
		}
		<-l.conn.closed
	}}
}

type connKey struct{}

// singleListener accepts one connection.
type singleListener struct {
	conn  *closeTold
	taken bool
}

func (l *singleListener) Accept() (net.Conn, error) {
	if l.taken {
		return nil, io.EOF
	}
	l.taken = true
	return l.conn, nil
}

func (*singleListener) Close() error   { return nil }
func (*singleListener) Addr() net.Addr { return &net.UnixAddr{} }

// closeTold tells when it is closed.
type closeTold struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closeTold) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// http1 is a client of HTTP/1.1 on a connection.
type http1 struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func newHTTP1(t testing.TB, nc net.Conn) *http1 {
	t.Cleanup(func() { nc.Close() })
	return &http1{t, nc, bufio.NewReader(nc)}
}

func (c *http1) send(request string, piece int) {
	for len(request) > 0 {
		n := min(piece, len(request))
		c.nc.Write([]byte(request[:n]))
		request = request[n:]
	}
}

// answer reads the response to a request.
func (c *http1) answer() (status int, content string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(response.Body)
	check(c.t, err)
	return response.StatusCode, string(b)
}

// ended waits for the end of the connection.
func (c *http1) ended() error {
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 {
		c.t.Errorf("%q is sent before the end", rest)
	}
	return err
}

const getHello = "GET /hello HTTP/1.1\r\nHost: test\r\n\r\n"

var helloHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "hello %s", body)
})

// TestProtocolConn_HTTP1 has a server of HTTP/1.1 and of gRPC at one port, without TLS. The first octets come in pieces.
func TestProtocolConn_HTTP1(t *testing.T) {
	for _, piece := range []int{1, 7, 1 << 20} {
		runInBubble(t, fmt.Sprint(piece), func(t *testing.T) {
			s, o := observedServer(t, ServerOptions{SetupTimeout: time.Second}, handlers{"M": echo()})
			protocol.Install(s.Server, served(helloHandler))
			c := newHTTP1(t, s.listener.dial())
			sent := 0
			for i := range 3 {
				request := getHello
				if i == 1 { // begins as the preface does
					request = "PUT /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nworld"
				}
				c.send(request, piece)
				sent += len(request)
				if code, content := c.answer(); code != 200 || content != []string{"hello ", "hello world"}[i%2] {
					t.Errorf("got %d %q", code, content)
				}
				time.Sleep(time.Hour) // no timeout of the server's holds any more
			}
			s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
			if stats := s.Stats(); stats.Connections != 2 || stats.Accepted != 2 {
				t.Errorf("counted are %+v", stats)
			}
			synctest.Wait()
			for info := range s.Connections() {
				if info.ID == 1 && (info.ReceivedBytes != uint64(sent) || info.SentBytes < 100 || info.Active != 0) {
					t.Errorf("the connection is %+v, of %d octets", info, sent)
				}
			}
			c.nc.Close()
			synctest.Wait()
			if n := s.Stats().Connections; n != 1 {
				t.Errorf("%d connections are left", n)
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			events := o.connections[0].events
			if len(events) != 2 || events[0].Kind != ConnectionOpened || events[1].Kind != ConnectionClosed || events[1].Err != nil ||
				events[1].Totals.ReceivedBytes != uint64(sent) {
				t.Errorf("told are %+v", events)
			}
		})
	}
}

// TestProtocolConn_TLS has clients negotiate all there is.
func TestProtocolConn_TLS(t *testing.T) {
	certificate, pool := testCertificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for _, chosen := range []*tls.Config{config, {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return config, nil }}} {
		for _, tt := range []struct {
			offered []string
			got     string
			h2      bool
		}{
			{[]string{"h2"}, "h2", true},
			{[]string{"http/1.1", "h2"}, "h2", true},
			{[]string{"http/1.1"}, "http/1.1", false},
			{nil, "", false},
		} {
			runInBubble(t, fmt.Sprint(tt.offered), func(t *testing.T) {
				var peer *protocol.Conn
				options := ServerOptions{SetupTimeout: time.Second, ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
					if _, ok := nc.(*tls.Conn); !ok {
						t.Errorf("the connection is a %T", nc)
					}
					return ctx
				}}
				s := newTestServer(t, options, handlers{"M": echo()})
				l := newPipeListener()
				check(t, s.AddSecureListener(l, chosen))
				protocol.Install(s.Server, served(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					peer = r.Context().Value(connKey{}).(*protocol.Conn)
					helloHandler(w, r)
				})))
				nc := tls.Client(l.dial(), &tls.Config{NextProtos: tt.offered, RootCAs: pool, ServerName: "test"})
				check(t, nc.Handshake())
				if got := nc.ConnectionState().NegotiatedProtocol; got != tt.got {
					t.Errorf("negotiated is %q", got)
				}
				if tt.h2 {
					newTestClient(t, nc).call("/t.S/M", "x").result().want(codes.OK, "", "x")
					return
				}
				c := newHTTP1(t, nc)
				for range 2 {
					c.send(getHello, 1<<20)
					if code, content := c.answer(); code != 200 || content != "hello " {
						t.Errorf("got %d %q", code, content)
					}
					time.Sleep(time.Hour)
				}
				info, ok := peer.Peer.AuthInfo.(credentials.TLSInfo)
				if !ok || info.State.ServerName != "test" || peer.Peer.Addr.String() != "pipe" {
					t.Errorf("the peer is %v", peer.Peer)
				}
			})
		}
	}
}

// TestProtocolConn_TLSOverSockets has net/http's own client, and more content than the buffers of sockets have room for.
func TestProtocolConn_TLSOverSockets(t *testing.T) {
	t.Cleanup(func() { wantNoGoroutines(t) })
	certificate, pool := testCertificate(t)
	s := newTestServer(t, ServerOptions{}, nil)
	content := strings.Repeat("content ", 1<<20)
	protocol.Install(s.Server, served(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, content)
	})))
	port, err := s.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	check(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "test"}} // which offers HTTP/1.1 alone
	defer transport.CloseIdleConnections()
	for range 3 {
		request, err := http.NewRequest("POST", fmt.Sprintf("https://127.0.0.1:%d/", port), strings.NewReader(content))
		check(t, err)
		response, err := transport.RoundTrip(request)
		check(t, err)
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if string(got) != content || err != nil || response.TLS.NegotiatedProtocol == "h2" {
			t.Errorf("%d octets with %v, by %q", len(got), err, response.TLS.NegotiatedProtocol)
		}
	}
	if stats := s.Stats(); stats.Accepted != 1 || stats.SentBytes < 3<<23 || stats.ReceivedBytes < 3<<23 {
		t.Errorf("counted are %+v", stats)
	}
}

// TestProtocolConn_NotHTTP2 has connections that end before it is known what they speak, or do not keep to what they negotiated.
func TestProtocolConn_NotHTTP2(t *testing.T) {
	certificate, pool := testCertificate(t)
	for _, tt := range []struct {
		name, sent string
		negotiated bool // h2
		takes      time.Duration
		answer     string
	}{
		{"nothing", "", false, 2 * time.Second, ""},
		{"half of the preface", "PRI * HT", false, 2 * time.Second, ""},
		{"HTTP/1.1 for h2", getHello, true, 0, "HTTP/1.1 505"},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{SetupTimeout: 2 * time.Second}, nil)
			protocol.Install(s.Server, &protocol.Protocol{Serve: func(*protocol.Conn) { t.Error("it is served") }})
			nc := s.listener.dial()
			if tt.negotiated {
				l := newPipeListener()
				check(t, s.AddSecureListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
				nc = tls.Client(l.dial(), &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"})
			}
			defer nc.Close()
			began := time.Now()
			nc.Write([]byte(tt.sent))
			answer, _ := io.ReadAll(nc)
			if took := time.Since(began); took != tt.takes || !strings.HasPrefix(string(answer), tt.answer) {
				t.Errorf("answered with %q, ended after %v", answer, took)
			}
		})
	}
}

// TestProtocolConn_Fails has a protocol that panics, ends its goroutine, or returns without an answer.
func TestProtocolConn_Fails(t *testing.T) {
	for name, fail := range map[string]func(){"returns": func() {}, "panics": func() { panic("a bug") }, "exits": goruntime.Goexit} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			protocol.Install(s.Server, &protocol.Protocol{Serve: func(c *protocol.Conn) {
				io.ReadFull(c, make([]byte, 3))
				fail()
			}})
			c := newHTTP1(t, s.listener.dial())
			c.send("GET", 3)
			if err := c.ended(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if n := s.Stats().Connections; n != 0 {
				t.Errorf("%d connections are left", n)
			}
			s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
			if logged := s.log.lines("a connection of another protocol"); (len(logged) == 1) != (name == "panics") {
				t.Errorf("logged %s", logged)
			}
		})
	}
}

// TestProtocolConn_Stop has a server stop, with a connection that waits, one that is being answered, and one that has said nothing.
func TestProtocolConn_Stop(t *testing.T) {
	certificate, pool := testCertificate(t)
	for _, secure := range []bool{false, true} {
		for _, grace := range []time.Duration{time.Hour, time.Second, 0} {
			runInBubble(t, fmt.Sprint(secure, grace), func(t *testing.T) {
				s := newTestServer(t, ServerOptions{SetupTimeout: 3 * time.Hour}, nil)
				l := newPipeListener()
				check(t, s.AddSecureListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
				protocol.Install(s.Server, served(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						time.Sleep(time.Minute)
					}
					helloHandler(w, r)
				})))
				dial := func() *http1 {
					if secure {
						return newHTTP1(t, tls.Client(l.dial(), &tls.Config{NextProtos: []string{"http/1.1"}, RootCAs: pool, ServerName: "test"}))
					}
					return newHTTP1(t, s.listener.dial())
				}
				idle, slow := dial(), dial()
				idle.send(getHello, 1<<20)
				idle.answer()
				slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n", 1<<20)
				synctest.Wait()
				began := time.Now()
				terminated := s.Stop(grace)
				idle.ended()
				if took := time.Since(began); took > time.Second {
					t.Errorf("a connection that waits ends after %v", took)
				}
				if grace > time.Minute {
					if code, content := slow.answer(); code != 200 || content != "hello " {
						t.Errorf("got %d %q", code, content)
					}
				}
				slow.ended()
				<-terminated
				want := min(grace, time.Minute)
				if took := time.Since(began); took < want || took > want+time.Second {
					t.Errorf("the server has terminated after %v", took)
				}
				time.Sleep(2 * time.Minute) // the handler ends
			})
		}
	}
}

// TestProtocolConn_StopWhileUndecided has a server stop before a client has said what it speaks.
func TestProtocolConn_StopWhileUndecided(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, nil)
		protocol.Install(s.Server, served(helloHandler))
		nc := s.listener.dial()
		defer nc.Close()
		go io.Copy(io.Discard, nc)
		synctest.Wait()
		began := time.Now()
		terminated := s.Stop(time.Hour)
		synctest.Wait()
		nc.Write([]byte(getHello))
		<-terminated
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the server has terminated after %v", took)
		}
	})
}

// TestProtocolConn_NotRead has a client that reads nothing while the grace ends, with TLS and without.
func TestProtocolConn_NotRead(t *testing.T) {
	certificate, pool := testCertificate(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint(secure), func(t *testing.T) {
			t.Cleanup(func() { wantNoGoroutines(t) })
			s := newTestServer(t, ServerOptions{}, nil)
			writing := make(chan struct{})
			protocol.Install(s.Server, &protocol.Protocol{Serve: func(c *protocol.Conn) {
				io.ReadFull(c, make([]byte, 3))
				close(writing)
				for err := error(nil); err == nil; {
					_, err = c.Write(make([]byte, 1<<20))
				}
			}})
			port, err := s.AddInsecurePort("127.0.0.1:0")
			if secure {
				port, err = s.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
			}
			check(t, err)
			nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			check(t, err)
			defer nc.Close()
			if secure {
				nc = tls.Client(nc, &tls.Config{NextProtos: []string{"http/1.1"}, RootCAs: pool, ServerName: "test"})
			}
			_, err = nc.Write([]byte("GET"))
			check(t, err)
			<-writing
			wantClosed(t, "termination", s.Stop(0))
		})
	}
}

// TestProtocolConn_OfUsersType has a connection of a user's type that panics in its methods, once it is served.
func TestProtocolConn_OfUsersType(t *testing.T) {
	for _, method := range []string{"Read", "Write", "Close", "SetReadDeadline"} {
		runInBubble(t, method, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, nil)
			serving := false
			protocol.Install(s.Server, &protocol.Protocol{Serve: func(c *protocol.Conn) {
				serving = true
				c.SetReadDeadline(time.Time{})
				io.Copy(c, c)
			}})
			client, server := net.Pipe()
			defer client.Close()
			s.listener.conns <- oddConn{Conn: server, odd: func(called string) error {
				if called == method && serving {
					panic("a user's bug")
				}
				return nil
			}}
			client.Write([]byte("GET"))
			client.Close()
			<-s.Stop(time.Hour)
		})
	}
}

// TestProtocolConn_NoDeadlines has a connection of a user's type that knows no deadlines. The time for the setup is over once it is
// clear what the client speaks.
func TestProtocolConn_NoDeadlines(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{SetupTimeout: time.Second}, nil)
		protocol.Install(s.Server, &protocol.Protocol{Serve: func(c *protocol.Conn) { io.Copy(c, c) }})
		protocol.Install(s.Server, &protocol.Protocol{Serve: func(*protocol.Conn) { t.Error("the second protocol serves") }})
		client, server := net.Pipe()
		defer client.Close()
		s.listener.conns <- oddConn{Conn: server, odd: func(called string) error {
			if strings.Contains(called, "Deadline") {
				return errors.New("there are no deadlines")
			}
			return nil
		}}
		client.Write([]byte("GET"))
		io.ReadFull(client, make([]byte, 3))
		time.Sleep(time.Hour)
		client.Write([]byte("more"))
		if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
			t.Error(err)
		}
	})
}

// TestProtocolConn_ReachesServicers has an HTTP/1.1 client call a method, by a connection in memory from the server to itself. There
// the request is one on HTTP/2 that is not gRPC's.
func TestProtocolConn_ReachesServicers(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
		return rawOf(Peer(ctx).Addr.String() + " says " + string(request.Data)), nil
	})})
	protocol.Install(s.Server, &protocol.Protocol{Route: bareCall})
	inMemory := newPipeListener()
	check(t, s.AddListener(inMemory))
	protocol.Install(s.Server, &protocol.Protocol{Serve: func(c *protocol.Conn) {
		within := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			inMemory.conns <- addressed{server, c.Peer.Addr}
			return client, nil
		}}
		within.Protocols.SetUnencryptedHTTP2(true)
		defer within.CloseIdleConnections()
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "within"})
		proxy.Transport = within
		served(proxy).Serve(c)
	}})
	c := newHTTP1(t, nc)
	for _, message := range []string{"one", "two"} {
		c.send(fmt.Sprintf("POST /t.S/M HTTP/1.1\r\nHost: test\r\nContent-Type: %s\r\nContent-Length: 3\r\n\r\n%s", bareType, message), 1<<20)
		if code, content := c.answer(); code != 200 || content != nc.LocalAddr().String()+" says "+message {
			t.Errorf("got %d %q", code, content)
		}
		c.send("GET /t.S/None?m=x HTTP/1.1\r\nHost: test\r\n\r\n", 1<<20)
		if code, content := c.answer(); code != 400 || content != "Unimplemented: Method not found!" {
			t.Errorf("got %d %q", code, content)
		}
	}
	if n := s.Stats().Methods["/t.S/M"].Handled[codes.OK]; n != 2 {
		t.Errorf("%d RPCs are counted", n)
	}
}

// addressed is a connection with another address of its peer.
type addressed struct {
	net.Conn
	peer net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.peer }
