package interop

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
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// transport is a way to reach a server: HTTP/2 in clear text, or over TLS.
type transport struct {
	name     string
	certFile string // empty: clear text
	keyFile  string
}

// overTransports runs a test both ways. The certificate is made for the test and vouches for itself.
func overTransports(t *testing.T, test func(t *testing.T, tr transport)) {
	certFile, keyFile := writeCertificate(t)
	for _, tr := range []transport{{name: "h2c"}, {name: "TLS", certFile: certFile, keyFile: keyFile}} {
		t.Run(tr.name, func(t *testing.T) { test(t, tr) })
	}
}

// serverFlags returns the flags that make an example server listen this way.
func (tr transport) serverFlags() []string {
	if tr.certFile == "" {
		return nil
	}
	return []string{"-tls-cert", tr.certFile, "-tls-key", tr.keyFile}
}

// clientFlags returns the flags that make an example client, or one of the Python peers, call this way.
func (tr transport) clientFlags() []string {
	if tr.certFile == "" {
		return nil
	}
	return []string{"-tls-ca", tr.certFile}
}

// serverConfig returns the configuration for a server in this process, nil for clear text.
func (tr transport) serverConfig(t *testing.T) *tls.Config {
	if tr.certFile == "" {
		return nil
	}
	certificate, err := tls.LoadX509KeyPair(tr.certFile, tr.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}
}

// dial returns a grpc-go channel that ends with the test.
func (tr transport) dial(t *testing.T, address string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	security := insecure.NewCredentials()
	if tr.certFile != "" {
		var err error
		if security, err = credentials.NewClientTLSFromFile(tr.certFile, ""); err != nil {
			t.Fatal(err)
		}
	}
	channel, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(security))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channel.Close() })
	return channel
}

func writeCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "gogreeter interop"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	return writePEM(t, filepath.Join(directory, "cert.pem"), "CERTIFICATE", certificate),
		writePEM(t, filepath.Join(directory, "key.pem"), "PRIVATE KEY", pkcs8)
}

func writePEM(t *testing.T, path, label string, der []byte) string {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
