package runtime

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
)

// testCertificate returns a certificate for "test" that signs itself, and a pool that trusts it.
func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	template.Raw = der
	leaf, err := x509.ParseCertificate(der)
	check(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestServer_AddSecurePortRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"Nil":            {nil, "the TLS configuration is nil"},
		"NoCertificates": {&tls.Config{}, "the TLS configuration has no certificate"},
		"TLS11":          {&tls.Config{Certificates: make([]tls.Certificate, 1), MaxVersion: tls.VersionTLS11}, "MaxVersion below TLS 1.2"},
	} {
		_, err := NewServer(ServerOptions{}).AddSecurePort("127.0.0.1:0", tt.config)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `"127.0.0.1:0"`) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		err = NewServer(ServerOptions{}).AddSecureListener(newPipeListener(), tt.config)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: AddSecureListener: got %v, want %q", name, err, tt.want)
		}
	}
}

// secureServer returns a server with TLS in memory.
func secureServer(t *testing.T, config *tls.Config, methods handlers) *testServer {
	t.Helper()
	s := newTestServer(t, ServerOptions{SetupTimeout: 3 * time.Second}, methods)
	secure := newPipeListener()
	check(t, s.AddSecureListener(secure, config))
	s.listener = secure
	return s
}

// TestTLS_Handshakes has clients of all sorts at a port with TLS. None keeps the others from being served.
func TestTLS_Handshakes(t *testing.T) {
	certificate, pool := testCertificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	tests := []struct {
		name   string
		client *tls.Config // nil: does not speak TLS
		ok     bool
	}{
		{"TLS13", &tls.Config{NextProtos: []string{"h2"}}, true},
		{"TLS12", &tls.Config{NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12}, true},
		{"TLS11", &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, false},
		{"Both", &tls.Config{NextProtos: []string{"http/1.1", "h2"}}, true},
		{"NoALPN", &tls.Config{}, false},
		{"OtherALPN", &tls.Config{NextProtos: []string{"http/1.1"}}, false},
		{
			"ProhibitedCipher", &tls.Config{
				NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
			}, false,
		},
		{"Plaintext", nil, false},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			chosen := server.Clone()
			if tt.client != nil && tt.client.MaxVersion == tls.VersionTLS11 {
				// A suite that TLS 1.1 could use: it must fail because of its version.
				chosen.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			}
			s := secureServer(t, chosen, handlers{"M": echo()})
			var nc net.Conn = s.listener.dial()
			if tt.client != nil {
				config := tt.client.Clone()
				config.RootCAs, config.ServerName = pool, "test"
				nc = tls.Client(nc, config)
			}
			client := newTestClient(t, nc)
			if tt.ok {
				client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			} else {
				client.waitEnd()
			}
			good := newTestClient(t, tls.Client(s.listener.dial(), &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}))
			good.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			if log := s.log.lines("level=ERROR"); log != nil {
				t.Errorf("logged %s", log)
			}
		})
	}
}

// TestTLS_HandshakeWhileStopping has a server stop before a client's handshake. The RPC that the client makes at once is
// served, and the client is asked to go.
func TestTLS_HandshakeWhileStopping(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := secureServer(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, handlers{"M": echo()})
		nc := s.listener.dial()
		synctest.Wait()
		terminated := s.Stop(time.Hour)
		gated := gatedConn{nc, make(chan struct{})}
		client := newTestClient(t, tls.Client(gated, &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}))
		st := client.call("/t.S/M", "x") // is on its way before the client can answer the PING between the two GOAWAY frames
		close(gated.open)
		st.result().want(codes.OK, "", "x")
		wantClosed(t, "termination", terminated)
		client.waitEnd()
		if client.lastID != st.id || len(client.goAways) != 2 {
			t.Errorf("%d GOAWAY frames, the last with stream %d", len(client.goAways), client.lastID)
		}
	})
}

// gatedConn is a connection that writes nothing until it is opened.
type gatedConn struct {
	net.Conn
	open chan struct{}
}

func (c gatedConn) Write(b []byte) (int, error) {
	<-c.open
	return c.Conn.Write(b)
}

// TestTLS_HandshakeStandsStill closes a connection whose client stops in the handshake; the server can stop meanwhile.
func TestTLS_HandshakeStandsStill(t *testing.T) {
	certificate, _ := testCertificate(t)
	for _, stop := range []bool{false, true} {
		for _, says := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
			runInBubble(t, "", func(t *testing.T) {
				s := secureServer(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, nil)
				nc := s.listener.dial()
				defer nc.Close()
				nc.Write([]byte(says))
				began := time.Now()
				if stop {
					wantClosed(t, "termination", s.Stop(time.Hour))
				} else if _, err := nc.Read(make([]byte, 1000)); err == nil {
					t.Error("the server has answered half a record")
				}
				if took := time.Since(began); stop && took != time.Second || !stop && took != 3*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// TestTLS_Peer is what a handler learns of its client.
func TestTLS_Peer(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := secureServer(t, &tls.Config{
			Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		}, handlers{"M": UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) {
			info, ok := Peer(ctx).AuthInfo.(credentials.TLSInfo)
			if !ok || len(info.State.VerifiedChains) != 1 || info.State.PeerCertificates[0].DNSNames[0] != "test" ||
				info.SecurityLevel != credentials.PrivacyAndIntegrity {
				t.Errorf("the peer is %v", Peer(ctx))
			}
			return request, nil
		})})
		config := &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}
		newTestClient(t, tls.Client(s.listener.dial(), config)).waitEnd() // has no certificate
		config.Certificates = []tls.Certificate{certificate}
		newTestClient(t, tls.Client(s.listener.dial(), config)).call("/t.S/M", "x").result().want(codes.OK, "", "x")
	})
}

// TestTLS_CallbacksFail has a function of the user's configuration do what it should not.
func TestTLS_CallbacksFail(t *testing.T) {
	certificate, pool := testCertificate(t)
	for name, fail := range map[string]func() error{
		"Error":  func() error { return errors.New("no certificate today") },
		"Panic":  func() error { panic("callback") },
		"Goexit": func() error { goruntime.Goexit(); return nil },
	} {
		runInBubble(t, name, func(t *testing.T) {
			s := secureServer(t, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName != "test" {
					return nil, fail()
				}
				return &certificate, nil
			}}, handlers{"M": echo()})
			config := &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "other"}
			newTestClient(t, tls.Client(s.listener.dial(), config)).waitEnd()
			config.ServerName = "test"
			newTestClient(t, tls.Client(s.listener.dial(), config)).call("/t.S/M", "x").result().want(codes.OK, "", "x")
			wantClosed(t, "termination", s.Stop(time.Hour))
		})
	}
}

// recordingConn keeps the types of the TLS records that are read.
type recordingConn struct {
	net.Conn
	octets []byte
}

func (c *recordingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.octets = append(c.octets, b[:n]...)
	return n, err
}

// lastRecord returns the type of the last record.
func (c *recordingConn) lastRecord() (kind byte) {
	for b := c.octets; len(b) >= 5; b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):] {
		kind = b[0]
	}
	return kind
}

// TestTLS_SaysThatItEnds has a server that stops say by an alert that nothing more comes, over a socket of the system's.
func TestTLS_SaysThatItEnds(t *testing.T) {
	certificate, pool := testCertificate(t)
	s := NewServer(ServerOptions{})
	port, err := s.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	check(t, err)
	check(t, s.Start())
	nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	check(t, err)
	defer nc.Close()
	recording := &recordingConn{Conn: nc}
	// In TLS 1.2 the type of a record can be seen from outside.
	client := tls.Client(recording, &tls.Config{RootCAs: pool, ServerName: "test", NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12})
	_, err = client.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	check(t, err)
	_, err = io.ReadFull(client, make([]byte, 9)) // of the server's SETTINGS
	check(t, err)
	stopped := s.Stop(0)
	_, err = io.Copy(io.Discard, client)
	check(t, err)
	if recording.lastRecord() != 21 {
		t.Errorf("the last record is of type %d, not an alert", recording.lastRecord())
	}
	client.Close()
	<-stopped
}

// TestTLS_SetupTimeoutIsOne gives a client as much time for everything as for the handshake alone.
func TestTLS_SetupTimeoutIsOne(t *testing.T) {
	certificate, pool := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := secureServer(t, &tls.Config{Certificates: []tls.Certificate{certificate}}, nil) // with a SetupTimeout of 3 s
		nc := s.listener.dial()
		began := time.Now()
		time.Sleep(2 * time.Second)
		client := tls.Client(nc, &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"})
		check(t, client.Handshake())
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the server has spoken")
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it was closed after %v", took)
		}
		client.Close()
	})
}
