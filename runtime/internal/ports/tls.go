package ports

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/gogreeter/gogreeter/runtime/internal/socket"
)

// OverTLS returns a function that makes TLS connections, by a user's configuration completed for HTTP/2.
func OverTLS(config *tls.Config) (Secure, error) {
	switch {
	case config == nil:
		return nil, errors.New("the TLS configuration is nil; without TLS, use AddInsecurePort or AddListener")
	case len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil:
		return nil, errors.New("the TLS configuration has no certificate")
	case config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS12:
		return nil, errors.New("the TLS configuration has a MaxVersion below TLS 1.2, which HTTP/2 needs")
	}
	h2, both := forHTTP2(config), forHTTP2(config, "http/1.1")
	return func(nc net.Conn, others bool) net.Conn {
		if others {
			return tls.Server(socket.UnderTLS(nc), both)
		}
		return tls.Server(socket.UnderTLS(nc), h2)
	}, nil
}

// forHTTP2 completes a user's configuration for HTTP/2, and for other protocols behind it. The original may be in use elsewhere, and stays as it is. Cipher suites
// that the user has chosen are not changed.
func forHTTP2(config *tls.Config, others ...string) *tls.Config {
	config = config.Clone()
	if choose := config.GetConfigForClient; choose != nil {
		// What it returns replaces the configuration as a whole. Session tickets go on with the keys of the original.
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return forHTTP2(chosen, others...), nil
		}
	}
	if config.MinVersion < tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS12 // RFC 9113, Section 9.2
	}
	if config.CipherSuites == nil {
		config.CipherSuites = []uint16{ // those of TLS 1.2 that RFC 9113, Appendix A does not prohibit
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		}
	}
	config.NextProtos = append([]string{"h2"}, others...)
	return config
}
