package parity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// target is where a server is, and what a client needs to be let in.
type target struct {
	Address       string
	CA, Cert, Key string // files; empty: none
}

// tls is the configuration of a Go client.
func (to target) tls(t testing.TB) *tls.Config {
	t.Helper()
	config := &tls.Config{RootCAs: pool(t, to.CA)}
	if to.Cert != "" {
		config.Certificates = []tls.Certificate{keyPair(t, to.Cert, to.Key)}
	}
	return config
}

// certificates are files with a certificate authority and what it has signed.
type certificates struct {
	directory             string
	authority             *x509.Certificate
	authorityKey          *ecdsa.PrivateKey
	ca                    string
	serverCert, serverKey string
	clientCert, clientKey string
}

func newCertificates(t testing.TB) *certificates {
	t.Helper()
	c := &certificates{directory: t.TempDir()}
	c.authorityKey = newKey(t)
	c.authority = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "parity CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	c.ca = c.write(t, "ca", "CERTIFICATE", c.sign(t, c.authority, c.authorityKey))
	c.serverCert, c.serverKey = c.issue(t, "server", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	})
	c.clientCert, c.clientKey = c.issue(t, "client", &x509.Certificate{
		DNSNames: []string{"client.parity.test"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "parity.test", Path: "/client"}},
	})
	return c
}

// target returns what a client of a TLS variant needs; the address is missing.
func (c *certificates) target(variant string) target {
	to := target{CA: c.ca}
	if variant == "mtls" {
		to.Cert, to.Key = c.clientCert, c.clientKey
	}
	return to
}

// server is the configuration of a Go server.
func (c *certificates) server(t testing.TB, mutual bool) *tls.Config {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{keyPair(t, c.serverCert, c.serverKey)}}
	if mutual {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool(t, c.ca)
	}
	return config
}

// issue signs a certificate, and returns the files of it and of its key.
func (c *certificates) issue(t testing.TB, name string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = c.authority.NotBefore, c.authority.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	key := newKey(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c.write(t, name, "CERTIFICATE", c.sign(t, template, key)), c.write(t, name+"-key", "PRIVATE KEY", pkcs8)
}

func (c *certificates) sign(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, c.authority, &key.PublicKey, c.authorityKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (c *certificates) write(t testing.TB, name, label string, der []byte) string {
	t.Helper()
	path := filepath.Join(c.directory, name+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPair(t testing.TB, certFile, keyFile string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func pool(t testing.TB, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}
