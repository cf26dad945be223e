package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	goruntime "runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// oddConn is a connection of a user's own type. It cannot be hashed, and its methods do what odd says.
type oddConn struct {
	net.Conn
	odd  func(method string) error // nil: go on
	addr func() net.Addr           // nil: that of Conn
	_    []byte                    // which has no hash
}

func (c oddConn) ask(method string) error {
	if c.odd == nil {
		return nil
	}
	return c.odd(method)
}

func (c oddConn) Read(b []byte) (int, error) {
	if err := c.ask("Read"); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c oddConn) Write(b []byte) (int, error) {
	if err := c.ask("Write"); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c oddConn) Close() error {
	return errors.Join(c.Conn.Close(), c.ask("Close"))
}

func (c oddConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c oddConn) SetReadDeadline(t time.Time) error {
	if err := c.ask("SetReadDeadline"); err != nil {
		return ignored(err)
	}
	return c.Conn.SetReadDeadline(t)
}

func (c oddConn) SetWriteDeadline(t time.Time) error {
	if err := c.ask("SetWriteDeadline"); err != nil {
		return ignored(err)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c oddConn) RemoteAddr() net.Addr { return c.address(c.Conn.RemoteAddr) }
func (c oddConn) LocalAddr() net.Addr  { return c.address(c.Conn.LocalAddr) }

func (c oddConn) address(own func() net.Addr) net.Addr {
	if c.addr == nil {
		return own()
	}
	return c.addr()
}

// errIgnored has a deadline ignored without a word.
var errIgnored = errors.New("ignored")

func ignored(err error) error {
	if err == errIgnored {
		return nil
	}
	return err
}

// oddAddr is an address whose methods panic.
type oddAddr struct{ net.Addr }

// oddListener hands out odd connections.
type oddListener struct {
	*pipeListener
	make func(net.Conn) net.Conn
}

func (l oddListener) Accept() (net.Conn, error) {
	nc, err := l.pipeListener.Accept()
	if err != nil {
		return nil, err
	}
	return l.make(nc), nil
}

// panicAt panics in one of the methods, once the connection has been used for a while.
func panicAt(method string) func(string) error {
	return func(called string) error {
		if called == method {
			panic("odd " + method)
		}
		return nil
	}
}

func noDeadlines(err error) func(string) error {
	return func(method string) error {
		if method == "SetReadDeadline" || method == "SetWriteDeadline" {
			return err
		}
		return nil
	}
}

var oddConns = []struct {
	name  string
	make  func(net.Conn) net.Conn
	ends  bool // before there can be an RPC
	liar  bool // SetReadDeadline reports what it does not do
	panic bool
}{
	{name: "Unhashable", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc} }},
	{name: "NilAddress", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, addr: func() net.Addr { return nil }} }},
	{name: "NilPointerAddress", make: func(nc net.Conn) net.Conn {
		return oddConn{Conn: nc, addr: func() net.Addr { return (*net.TCPAddr)(nil) }}
	}},
	{name: "AddressPanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, addr: func() net.Addr { panic("odd address") }} }, panic: true},
	{name: "NoDeadlines", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: noDeadlines(os.ErrNoDeadline)} }},
	{name: "DeadlinesIgnored", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: noDeadlines(errIgnored)} }, liar: true},
	{name: "ReadPanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("Read")} }, ends: true, panic: true},
	{name: "WritePanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("Write")} }, ends: true, panic: true},
	{name: "ClosePanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("Close")} }, panic: true},
	{name: "SetReadDeadlinePanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("SetReadDeadline")} }, panic: true},
	{name: "SetWriteDeadlinePanics", make: func(nc net.Conn) net.Conn { return oddConn{Conn: nc, odd: panicAt("SetWriteDeadline")} }, panic: true},
}

// TestForeign_Connections serves connections of users' own types, with TLS and without, and stops while some have said
// all, some half, and some nothing.
func TestForeign_Connections(t *testing.T) {
	certificate, pool := testCertificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}
	config := &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}
	for _, odd := range oddConns {
		for _, security := range []string{"", "TLS", "ListenerWithTLS"} {
			if security == "ListenerWithTLS" && odd.name == "ClosePanics" {
				continue // package tls closes what is below a handshake that takes too long, on a goroutine of its own
			}
			for _, graceTime := range []time.Duration{0, time.Minute} {
				runInBubble(t, odd.name+security+"/"+graceTime.String(), func(t *testing.T) {
					s := newTestServer(t, ServerOptions{SetupTimeout: 3 * time.Second}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
						_, _ = Peer(ctx).Addr.String(), Peer(ctx).LocalAddr.Network()
						return request, nil
					})})
					l := oddListener{newPipeListener(), odd.make}
					switch security {
					case "TLS":
						check(t, s.AddSecureListener(l, server))
					case "ListenerWithTLS":
						check(t, s.AddListener(tls.NewListener(l, server)))
					default:
						check(t, s.AddListener(l))
					}
					dial := func() net.Conn {
						if security == "" {
							return l.dial()
						}
						return tls.Client(l.dial(), config)
					}
					client := newTestClient(t, dial())
					st := client.call("/t.S/M", "x")
					if odd.ends {
						client.waitEnd()
					} else {
						st.result().want(codes.OK, "", "x")
					}
					half, silent := dial(), dial()
					go half.Write([]byte("PRI * HT")) // and with TLS, the client's first flight
					synctest.Wait()
					if !odd.liar { // when the time is over, all of them are gone but the first
						time.Sleep(3 * time.Second)
						if security != "" {
							time.Sleep(5 * time.Second) // which package tls may take to say goodbye to those who do not read
						}
						synctest.Wait()
						s.clients.mu.Lock()
						if n := len(s.clients.pending) + len(s.clients.connections); n != int(1-btoi(odd.ends)) {
							t.Errorf("%d connections after the SetupTimeout", n)
						}
						s.clients.mu.Unlock()
					}
					began := time.Now()
					terminated := s.Stop(graceTime)
					wantClosed(t, "termination", terminated)
					if took := time.Since(began); took > graceTime+5*time.Second {
						t.Errorf("it took %v", took)
					}
					half.Close()
					silent.Close()
					client.close()
					if got := s.log.lines("Exception in"); (len(got) > 0) != odd.panic {
						t.Errorf("logged %q", got)
					}
				})
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// oddAccept is what the Accept of a listener does before it works.
type oddAccept struct {
	*pipeListener
	accept func() (net.Conn, error)
	addr   func() net.Addr
	close  func() error
}

func (l *oddAccept) Accept() (net.Conn, error) {
	if f := l.accept; f != nil {
		l.accept = nil
		return f()
	}
	return l.pipeListener.Accept()
}

func (l *oddAccept) Addr() net.Addr { return l.addr() }

func (l *oddAccept) Close() error {
	l.pipeListener.Close()
	return l.close()
}

// TestForeign_Listeners has listeners of users' own types do what they should not. They are served nevertheless.
func TestForeign_Listeners(t *testing.T) {
	fine := func() net.Addr { return &net.UnixAddr{Name: "odd"} }
	closes := func() error { return nil }
	for _, tt := range []struct {
		name   string
		accept func() (net.Conn, error)
		addr   func() net.Addr
		close  func() error
		logged string // "" nothing
	}{
		{"NilNil", func() (net.Conn, error) { return nil, nil }, fine, closes, "neither a connection nor an error"},
		{"NilPointer", func() (net.Conn, error) { return (*net.TCPConn)(nil), nil }, fine, closes, "Exception in a method of a connection"},
		{"AcceptPanics", func() (net.Conn, error) { panic("odd accept") }, fine, closes, "odd accept"},
		{"NilAddress", func() (net.Conn, error) { return nil, os.ErrClosed }, func() net.Addr { return nil }, closes, "address=unknown"},
		{"NoAddress", func() (net.Conn, error) { return nil, os.ErrClosed }, func() net.Addr { panic("odd address") }, closes, "address=unknown"},
		{"AddressPanics", func() (net.Conn, error) { return nil, os.ErrClosed }, func() net.Addr { return oddAddr{} }, closes, "address=unknown"},
		{"ClosePanics", nil, fine, func() error { panic("odd close") }, "odd close"},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			l := &oddAccept{newPipeListener(), tt.accept, tt.addr, tt.close}
			check(t, s.AddListener(l))
			client := newTestClient(t, l.dial())
			client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			client.close()
			wantClosed(t, "termination", s.Stop(time.Minute))
			if err := s.AddListener(l); !errors.Is(err, ErrStopped) {
				t.Errorf("AddListener: %v", err)
			}
			if n := len(s.log.lines(tt.logged)); tt.logged != "" && n != 1 || tt.logged == "" && s.log.String() != "" {
				t.Errorf("logged %q", s.log.String())
			}
		})
	}
}

// TestForeign_ListenerHangs has a listener whose Close waits, and asks the server something. Stop returns all the same.
func TestForeign_ListenerHangs(t *testing.T) {
	s := newTestServer(t, ServerOptions{}, nil)
	asked, release := make(chan struct{}), make(chan struct{})
	l := &oddAccept{newPipeListener(), nil, func() net.Addr { return nil }, func() error {
		s.Stats()
		close(asked)
		<-release
		return nil
	}}
	check(t, s.AddListener(l))
	terminated := s.Stop(time.Minute)
	wantClosed(t, "the close of the listener", asked)
	select {
	case <-terminated:
		t.Error("terminated before the listener was closed")
	default:
	}
	close(release)
	wantClosed(t, "termination", terminated)
}

// curiousListener asks the server something whenever it is called, and then does what odd says.
type curiousListener struct {
	net.Listener
	server *Server
	odd    func()
}

func (l curiousListener) Addr() net.Addr {
	l.server.Stats()
	return l.Listener.Addr()
}

func (l curiousListener) Close() error {
	l.server.Stats()
	err := l.Listener.Close()
	l.odd()
	return err
}

// TestForeign_CuriousListeners stops servers in each stage whose listeners ask them something, and end the goroutine that
// closes them.
func TestForeign_CuriousListeners(t *testing.T) {
	for name, odd := range map[string]func(){
		"Returns": func() {}, "Panics": func() { panic("no") }, "Exits": goruntime.Goexit,
	} {
		for _, starts := range []bool{false, true} {
			if name == "Exits" && !starts {
				continue // it ends the caller of Stop
			}
			runInBubble(t, fmt.Sprintf("%s/%v", name, starts), func(t *testing.T) {
				s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
				l := curiousListener{newPipeListener(), s, odd}
				check(t, s.AddListener(l))
				if starts {
					check(t, s.Start())
				}
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					<-s.Stop(0)
				}()
				synctest.Wait()
				select {
				case <-stopped:
				default:
					t.Fatal("the server does not stop")
				}
				if starts && s.AddListener(l) == nil {
					t.Error("the server has taken another listener")
				}
			})
		}
	}
}

// TestForeign_ReadExits has a connection end the goroutine that reads it. The connection ends, and the server can stop.
func TestForeign_ReadExits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var reads atomic.Int32
		s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
		pipe := newPipeListener()
		check(t, s.AddListener(oddListener{pipe, func(nc net.Conn) net.Conn {
			return oddConn{Conn: nc, odd: func(method string) error {
				if method == "Read" {
					if reads.Add(1) > 100 {
						time.Sleep(time.Hour) // so that the test ends
					}
					goruntime.Goexit()
				}
				return nil
			}}
		}}))
		check(t, s.Start())
		pipe.dial()
		synctest.Wait()
		if n := s.Stats().Connections; n != 0 || reads.Load() != 1 {
			t.Errorf("%d connections are open, and %d readers were ended", n, reads.Load())
		}
		<-s.Stop(0)
	})
}

// TestForeign_WriteExits has a connection end the goroutine that writes to it. The connection ends, and the server can stop.
func TestForeign_WriteExits(t *testing.T) {
	for _, exits := range []string{"Write", "SetWriteDeadline"} {
		runInBubble(t, exits, func(t *testing.T) {
			s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
			pipe := newPipeListener()
			check(t, s.AddListener(oddListener{pipe, func(nc net.Conn) net.Conn {
				return oddConn{Conn: nc, odd: func(method string) error {
					if method == exits {
						goruntime.Goexit()
					}
					return nil
				}}
			}}))
			check(t, s.Start())
			pipe.dial().Write([]byte(http2.ClientPreface))
			synctest.Wait()
			if n := s.Stats().Connections; n != 0 {
				t.Errorf("%d connections are open", n)
			}
			<-s.Stop(0)
		})
	}
}

// TestForeign_CloseExits has a connection end the goroutine that closes it: after a handshake that has failed, when its RPCs
// have ended, and at the end of the grace. The server can stop.
func TestForeign_CloseExits(t *testing.T) {
	certificate, _ := testCertificate(t)
	for name, client := range map[string]func(nc net.Conn){
		"NoTLS":   func(nc net.Conn) { nc.Write([]byte(http2.ClientPreface)); nc.Close() },
		"Nothing": func(net.Conn) {},
		"Closes":  func(nc net.Conn) { nc.Close() },
	} {
		for _, secure := range []bool{false, true} {
			runInBubble(t, fmt.Sprintf("%s/%v", name, secure), func(t *testing.T) {
				var closes atomic.Int32
				s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
				pipe := newPipeListener()
				l := oddListener{pipe, func(nc net.Conn) net.Conn {
					return oddConn{Conn: nc, odd: func(method string) error {
						if method == "Close" {
							if closes.Add(1) > 100 {
								time.Sleep(time.Hour) // so that the test ends
							}
							goruntime.Goexit()
						}
						return nil
					}}
				}}
				if secure {
					check(t, s.AddSecureListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
				} else {
					check(t, s.AddListener(l))
				}
				check(t, s.Start())
				nc := pipe.dial()
				client(nc)
				synctest.Wait()
				terminated := s.Stop(0)
				time.Sleep(time.Minute)
				if !isClosed(terminated) {
					t.Error("the server does not terminate")
				}
				if n := closes.Load(); n > 3 {
					t.Errorf("Close was called %d times", n)
				}
				nc.Close()
			})
		}
	}
}
