package runtime

import (
	"crypto/tls"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestTLS_UnknownIssuer has a client with a certificate that nobody vouches for: no handler runs.
func TestTLS_UnknownIssuer(t *testing.T) {
	certificate, pool := testCertificate(t)
	unknown, _ := testCertificate(t)
	inBubble(t, func(t *testing.T) {
		s := secureServer(t, &tls.Config{
			Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		}, handlers{"M": echo()})
		config := &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &unknown, nil }
		newTestClient(t, tls.Client(s.listener.dial(), config)).waitEnd()
		if handled := s.Stats().Methods["/t.S/M"].Handled; len(handled) != 0 {
			t.Errorf("handled %v", handled)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
		newTestClient(t, tls.Client(s.listener.dial(), config)).call("/t.S/M", "x").result().want(codes.OK, "", "x")
	})
}

// TestTLS_CertificateReplaced replaces the certificate of a server that serves: new connections see the new one, and those
// that are open go on.
func TestTLS_CertificateReplaced(t *testing.T) {
	first, firstPool := testCertificate(t)
	second, secondPool := testCertificate(t)
	for _, way := range []string{"GetCertificate", "GetConfigForClient"} {
		runInBubble(t, way, func(t *testing.T) {
			var current atomic.Pointer[tls.Certificate]
			current.Store(&first)
			config := &tls.Config{}
			if way == "GetCertificate" {
				config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }
			} else {
				config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
					return &tls.Config{Certificates: []tls.Certificate{*current.Load()}}, nil
				}
			}
			s := secureServer(t, config, handlers{"M": echo()})
			client := &tls.Config{NextProtos: []string{"h2"}, RootCAs: firstPool, ServerName: "test"}
			old := newTestClient(t, tls.Client(s.listener.dial(), client))
			old.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			current.Store(&second)
			client = &tls.Config{NextProtos: []string{"h2"}, RootCAs: secondPool, ServerName: "test"}
			newTestClient(t, tls.Client(s.listener.dial(), client)).call("/t.S/M", "y").result().want(codes.OK, "", "y")
			old.call("/t.S/M", "z").result().want(codes.OK, "", "z")
		})
	}
}
