package runtime

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestServer_GraceEndsHandshakes has clients that stand still in the middle of their handshake when the grace ends, sooner than
// they have been given for the rest of it.
func TestServer_GraceEndsHandshakes(t *testing.T) {
	certificate, _ := testCertificate(t)
	for _, grace := range []time.Duration{0, 100 * time.Millisecond} {
		runInBubble(t, grace.String(), func(t *testing.T) {
			s := secureServer(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, handlers{"M": echo()})
			for range 3 {
				nc := s.listener.dial()
				defer nc.Close()
			}
			synctest.Wait()
			began := time.Now()
			<-s.Stop(grace)
			if took := time.Since(began); took != grace {
				t.Errorf("the server has terminated after %v, want %v", took, grace)
			}
		})
	}
}

// TestServer_GraceAsksLateConnections has a client come out of its handshake during the grace, behind all others. It is asked to go
// as they were, and its connection ends, so that the server can terminate before the grace is over.
func TestServer_GraceAsksLateConnections(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := secureServer(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, handlers{"M": echo()})
		nc := s.listener.dial()
		synctest.Wait()
		terminated := s.Stop(time.Hour)
		synctest.Wait()
		client := newTestClient(t, tls.Client(nc, &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}))
		client.waitEnd()
		if len(client.goAways) != 2 {
			t.Errorf("%d GOAWAY frames, want 2", len(client.goAways))
		}
		began := time.Now()
		<-terminated
		if took := time.Since(began); took >= time.Minute {
			t.Errorf("the server has terminated after %v", took)
		}
	})
}

// lateHandshake is a connection whose handshake ends when the test says so, whatever happens to the connection meanwhile.
type lateHandshake struct {
	net.Conn
	ends chan struct{}
}

func (c *lateHandshake) HandshakeContext(context.Context) error { <-c.ends; return nil }

func (c *lateHandshake) NetConn() net.Conn { return c.Conn }

func (c *lateHandshake) CloseWrite() error { return c.Conn.Close() }

func (*lateHandshake) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{NegotiatedProtocol: "h2"}
}

// TestServer_GraceIsOverForHandshakes has a handshake succeed just after the grace has ended. Nobody would end its connection.
func TestServer_GraceIsOverForHandshakes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		client, server := net.Pipe()
		defer client.Close()
		nc := &lateHandshake{server, make(chan struct{})}
		s.listener.conns <- nc
		synctest.Wait()
		terminated := s.Stop(0)
		synctest.Wait()
		select {
		case <-terminated:
			t.Error("the server has terminated before the handshake")
		default:
		}
		close(nc.ends)
		began := time.Now()
		<-terminated
		if took := time.Since(began); took != 0 || s.Stats().Connections != 0 {
			t.Errorf("the server has terminated %v after the handshake, with %d connections", took, s.Stats().Connections)
		}
	})
}

// countedConn counts octets, from the client's side.
type countedConn struct {
	net.Conn
	read, written atomic.Uint64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(uint64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(uint64(n))
	return n, err
}

// TestServer_StatsOfEndedConnections counts octets, and goes on counting those of clients that have gone.
func TestServer_StatsOfEndedConnections(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(context.Context, *raw) (*raw, error) {
			return &raw{Data: make([]byte, 1000)}, nil
		})})
		var received, sent uint64
		for i := range 3 {
			nc := &countedConn{Conn: s.listener.dial()}
			client := newTestClient(t, nc)
			client.call("/t.S/M", "x").result().want(codes.OK, "", string(make([]byte, 1000)))
			synctest.Wait()
			wantOctets := func(when string) {
				t.Helper()
				stats := s.Stats()
				if stats.ReceivedBytes != received+nc.written.Load() || stats.SentBytes != sent+nc.read.Load() {
					t.Errorf("client %d, %s: %d octets received and %d sent, want %d and %d", i, when,
						stats.ReceivedBytes, stats.SentBytes, received+nc.written.Load(), sent+nc.read.Load())
				}
			}
			wantOctets("while it is there")
			client.close()
			synctest.Wait()
			wantOctets("when it has gone")
			received, sent = received+nc.written.Load(), sent+nc.read.Load()
		}
		if stats := s.Stats(); stats.Connections != 0 || received == 0 || sent <= received {
			t.Errorf("%d connections are left; %d octets were received, %d sent", stats.Connections, received, sent)
		}
	})
}

// slowListener takes its time to close.
type slowListener struct {
	*pipeListener
	closes chan struct{}
}

func (l *slowListener) Close() error {
	<-l.closes
	return l.pipeListener.Close()
}

// TestServer_GraceBeginsWithTheListeners has a listener that is not closed yet. Clients are not asked to go before: they would
// come back to a port that is about to close.
func TestServer_GraceBeginsWithTheListeners(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		slow := &slowListener{newPipeListener(), make(chan struct{})}
		check(t, s.AddListener(slow))
		client := s.dial()
		client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		terminated := s.Stop(time.Hour)
		synctest.Wait()
		if n := len(client.goAways); n != 0 {
			t.Errorf("%d GOAWAY frames while a port is open", n)
		}
		client.call("/t.S/M", "y").result().want(codes.OK, "", "y")
		close(slow.closes)
		client.waitEnd()
		if n := len(client.goAways); n != 2 {
			t.Errorf("%d GOAWAY frames, want 2", n)
		}
		<-terminated
	})
}

// TestServer_GraceLimitsLateHandshakes has a client be accepted when the server has begun to stop, and stand still in the middle of its
// handshake. It has a second.
func TestServer_GraceLimitsLateHandshakes(t *testing.T) {
	certificate, _ := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		slow := &slowListener{newPipeListener(), make(chan struct{})}
		check(t, s.AddSecureListener(slow, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		terminated := s.Stop(time.Hour)
		synctest.Wait()
		nc := slow.dial()
		defer nc.Close()
		began := time.Now()
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("the server has said something")
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the connection has ended after %v", took)
		}
		close(slow.closes)
		<-terminated
	})
}
