package runtime

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
	"github.com/gogreeter/gogreeter/runtime/internal/ports"
)

// TestServer_StopServesTheQueue has clients that have connected when the server stops, whether they have been accepted or
// not. All of them get an answer, and none is reset.
func TestServer_StopServesTheQueue(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("what waits in the queue of a listener is served on Linux only")
	}
	const clients = 20
	for range 20 {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		port, err := s.AddInsecurePort("127.0.0.1:0")
		check(t, err)
		connected := make([]net.Conn, clients)
		for i := range connected {
			connected[i], err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			check(t, err)
		}
		terminated := s.Stop(time.Hour)
		for _, nc := range connected {
			w := newFramePeer(t, nc)
			w.Preface()
			w.call(1, "/t.S/M")
		}
		for _, nc := range connected {
			answered, goAway := false, false
			newFramePeer(t, nc).Until(func(f h2test.Frame) bool {
				goAway = goAway || f.Type == h2test.GoAway
				answered = answered || f.Type == h2test.Headers && f.Ends()
				return answered && goAway
			})
			nc.Close()
		}
		wantClosed(t, "the server's termination", terminated)
	}
}

// reset ends a connection by a TCP reset, if it is one of TCP.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	nc.Close()
}

// queuedClients are what clients have done by the time that the server, which stops, accepts them.
var queuedClients = []struct {
	name string
	do   func(t *testing.T, nc net.Conn)
}{
	{"Reset", func(_ *testing.T, nc net.Conn) { reset(nc) }},
	{"Closed", func(_ *testing.T, nc net.Conn) { nc.Close() }},
	{"HalfAPrefaceAndReset", func(_ *testing.T, nc net.Conn) {
		nc.Write([]byte(h2test.ClientPreface[:12]))
		reset(nc)
	}},
	{"HalfAPrefaceAndClosed", func(_ *testing.T, nc net.Conn) {
		nc.Write([]byte(h2test.ClientPreface[:12]))
		nc.Close()
	}},
	{"HalfAPreface", func(_ *testing.T, nc net.Conn) { nc.Write([]byte(h2test.ClientPreface[:12])) }},
	{"Nothing", func(*testing.T, net.Conn) {}},
	{"Garbage", func(_ *testing.T, nc net.Conn) { nc.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }},
	{"GarbageAndReset", func(_ *testing.T, nc net.Conn) {
		nc.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		reset(nc)
	}},
	{"CallAndReset", func(t *testing.T, nc net.Conn) {
		w := newFramePeer(t, nc)
		w.Preface()
		w.call(1, "/t.S/M")
		reset(nc)
	}},
}

// TestServer_StopsWithClientsInTheQueue stops a server whose queue is full of clients that have connected and done all sorts
// of things, and one that wants an answer. It gets one, and the process lives.
func TestServer_StopsWithClientsInTheQueue(t *testing.T) {
	certificate, pool := testCertificate(t)
	config := &tls.Config{RootCAs: pool, ServerName: "test", NextProtos: []string{"h2"}}
	for _, network := range []string{"tcp", "tls", "unix"} {
		for _, graceTime := range []time.Duration{0, time.Minute} {
			t.Run(network+"/"+graceTime.String(), func(t *testing.T) {
				t.Cleanup(func() { wantNoGoroutines(t) })
				for range 5 {
					s := NewServer(ServerOptions{Logger: newTestLogger(&testLog{})})
					check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": UnaryUnary(func(ctx context.Context, r *raw) (*raw, error) {
						_, _ = Peer(ctx).Addr.String(), Peer(ctx).LocalAddr.String()
						return r, nil
					})}}))
					dial := bindQueue(t, s, network, certificate)
					var clients []net.Conn
					for range 5 {
						for _, client := range queuedClients {
							nc := dial()
							client.do(t, nc)
							clients = append(clients, nc)
						}
					}
					last := dial()
					check(t, s.Start())
					terminated := s.Stop(graceTime)
					if network == "tls" {
						last = tls.Client(last, config)
					}
					if graceTime > 0 && goruntime.GOOS == "linux" {
						c := newTestClient(t, last)
						c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
						c.close()
					}
					last.Close()
					for _, nc := range clients {
						nc.Close()
					}
					wantClosed(t, "termination", terminated)
				}
			})
		}
	}
}

// bindQueue gives a server a port, and returns a function that connects to it.
func bindQueue(t *testing.T, s *Server, network string, certificate tls.Certificate) (dial func() net.Conn) {
	t.Helper()
	var port int
	var err error
	address := filepath.Join(t.TempDir(), "s")
	switch network {
	case "unix":
		_, err = s.AddInsecurePort("unix:" + address)
	case "tls":
		port, err = s.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	default:
		port, err = s.AddInsecurePort("127.0.0.1:0")
	}
	check(t, err)
	if network != "unix" {
		network, address = "tcp", fmt.Sprintf("127.0.0.1:%d", port)
	}
	return func() net.Conn {
		nc, err := net.Dial(network, address)
		check(t, err)
		return nc
	}
}

// TestServer_QueueIsBounded has clients connect for ever while the server stops. It serves some, and closes the listener;
// it looks at each of them whether the grace is over.
func TestServer_QueueIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ most, endsAfter, want int }{
		"Number": {100, 1000, 100},
		"Grace":  {100, 10, 11},
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{}, nil)
			client := newTestClient(t, s.listener.dial()) // keeps the server from terminating
			client.ping()
			s.Stop(time.Hour)
			taken := 0
			s.serveQueue(ports.New(s.listener, nil), tt.most, func() (net.Conn, net.Addr) {
				if taken == tt.endsAfter {
					s.Stop(0)
				}
				taken++
				a, b := net.Pipe()
				b.Close()
				return a, nil
			})
			if taken != tt.want {
				t.Errorf("%d connections were taken, want %d", taken, tt.want)
			}
		})
	}
}
