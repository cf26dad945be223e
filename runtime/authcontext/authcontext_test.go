package authcontext_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/authcontext"
)

// facts are what a handler learns of its client.
type facts struct {
	name       string
	identities []string
	key        string
	auth       map[string][]string
	hasAda     bool
}

func factsOf(ctx context.Context) facts {
	return facts{
		authcontext.PeerName(ctx), authcontext.PeerIdentities(ctx), authcontext.PeerIdentityKey(ctx), authcontext.Of(ctx),
		authcontext.HasPeerCommonName(ctx, "eve", "ada"),
	}
}

// call calls a server, and returns what its handler has learned. bind gives the server a port, and returns how to dial
// it.
func call(t *testing.T, bind func(t *testing.T, server *runtime.Server) (target string), client credentials.TransportCredentials) facts {
	t.Helper()
	learned := make(chan facts, 1)
	server := runtime.NewServer(runtime.ServerOptions{})
	err := server.AddService(runtime.Service{Name: "t.S", Methods: map[string]*runtime.MethodHandler{
		"M": runtime.UnaryUnary(func(ctx context.Context, request *emptypb.Empty) (*emptypb.Empty, error) {
			learned <- factsOf(ctx)
			return request, nil
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	target := bind(t, server)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { <-server.Stop(0) }()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(client))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Invoke(t.Context(), "/t.S/M", &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	return <-learned
}

// onTCP binds a port of an address of this machine.
func onTCP(host string, config *tls.Config) func(t *testing.T, server *runtime.Server) string {
	return func(t *testing.T, server *runtime.Server) string {
		t.Helper()
		address := net.JoinHostPort(host, "0")
		var port int
		var err error
		if config == nil {
			port, err = server.AddInsecurePort(address)
		} else {
			port, err = server.AddSecurePort(address, config)
		}
		if err != nil {
			if host == "::1" {
				t.Skipf("no IPv6 here: %v", err)
			}
			t.Fatal(err)
		}
		return "passthrough:///" + net.JoinHostPort(host, strconv.Itoa(port))
	}
}

var insecureAuth = map[string][]string{
	"transport_security_type": {"insecure"},
	"security_level":          {"TSI_SECURITY_NONE"},
}

func TestFacts_WithoutTLS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	onUnix := func(t *testing.T, server *runtime.Server) string {
		t.Helper()
		if _, err := server.AddInsecurePort("unix:" + path); err != nil {
			t.Fatal(err)
		}
		return "unix://" + path
	}
	for _, tt := range []struct {
		name string
		bind func(t *testing.T, server *runtime.Server) string
		want string // of the peer's name, its beginning
	}{
		{"TCP4", onTCP("127.0.0.1", nil), "ipv4:127.0.0.1:"},
		{"TCP6", onTCP("::1", nil), "ipv6:[::1]:"},
		{"Unix", onUnix, "unix:" + path},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := call(t, tt.bind, insecure.NewCredentials())
			if !strings.HasPrefix(got.name, tt.want) {
				t.Errorf("the peer's name is %q, want %q", got.name, tt.want)
			}
			if got.identities != nil || got.key != "" || got.hasAda {
				t.Errorf("identities are %q of %q", got.identities, got.key)
			}
			if !reflect.DeepEqual(got.auth, insecureAuth) {
				t.Errorf("the auth context is %q", got.auth)
			}
		})
	}
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	var signed tls.Certificate
	signed, a.key = a.sign(t, template)
	a.certificate = signed.Leaf
	a.pool.AddCert(a.certificate)
	return a
}

// sign completes and signs a certificate; an authority without one signs its own.
func (a *authority) sign(t testing.TB, template *x509.Certificate) (tls.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := a.signFor(t, template, key)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, key
}

func (a *authority) signFor(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) (der []byte) {
	t.Helper()
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(2)
	}
	template.NotBefore, template.NotAfter = time.Unix(0, 0), time.Unix(1<<33, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// serverConfig returns the configuration of a server at 127.0.0.1.
func (a *authority) serverConfig(t *testing.T, clients tls.ClientAuthType) *tls.Config {
	t.Helper()
	certificate, _ := a.sign(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: clients, ClientCAs: a.pool}
}

func (a *authority) client(certificates ...tls.Certificate) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{RootCAs: a.pool, Certificates: certificates, ServerName: "127.0.0.1"})
}

var tlsAuth = map[string][]string{
	"transport_security_type": {"ssl"},
	"security_level":          {"TSI_PRIVACY_AND_INTEGRITY"},
	"ssl_session_reused":      {"false"},
}

func TestFacts_WithTLS(t *testing.T) {
	a := newAuthority(t)
	ada, _ := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ada"}})
	for _, tt := range []struct {
		name    string
		clients tls.ClientAuthType
		client  credentials.TransportCredentials
	}{
		{"NoCertificate", tls.NoClientCert, a.client()},
		{"CertificateNotAskedFor", tls.NoClientCert, a.client(ada)},
		{"CertificateNotGiven", tls.VerifyClientCertIfGiven, a.client()},
		{"CertificateNotVerified", tls.RequireAnyClientCert, a.client(ada)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := call(t, onTCP("127.0.0.1", a.serverConfig(t, tt.clients)), tt.client)
			if !strings.HasPrefix(got.name, "ipv4:127.0.0.1:") {
				t.Errorf("the peer's name is %q", got.name)
			}
			if got.identities != nil || got.key != "" || got.hasAda {
				t.Errorf("identities are %q of %q", got.identities, got.key)
			}
			if !reflect.DeepEqual(got.auth, tlsAuth) {
				t.Errorf("the auth context is %q", got.auth)
			}
		})
	}
}

func TestFacts_WithMutualTLS(t *testing.T) {
	a := newAuthority(t)
	parse := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, tt := range []struct {
		name       string
		template   x509.Certificate
		identities []string
		key        string
		auth       map[string][]string // beside what all have
		hasAda     bool
	}{
		{
			"CommonName",
			x509.Certificate{Subject: pkix.Name{CommonName: "ada", Organization: []string{"Engines"}}},
			[]string{"ada"},
			"x509_common_name",
			map[string][]string{"x509_subject": {"CN=ada,O=Engines"}, "x509_common_name": {"ada"}},
			true,
		},
		{
			"AlternativeNames",
			x509.Certificate{
				Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"a.example", "b.example"},
				EmailAddresses: []string{"ada@example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1), net.IPv6loopback},
				URIs: []*url.URL{parse("spiffe://engines.example/ada")},
			},
			[]string{"a.example", "b.example", "ada@example", "10.0.0.1", "::1", "spiffe://engines.example/ada"},
			"x509_subject_alternative_name",
			map[string][]string{
				"x509_subject": {"CN=ada"}, "x509_common_name": {"ada"},
				"x509_subject_alternative_name": {"a.example", "b.example", "ada@example", "10.0.0.1", "::1", "spiffe://engines.example/ada"},
				"peer_dns":                      {"a.example", "b.example"}, "peer_email": {"ada@example"}, "peer_ip": {"10.0.0.1", "::1"},
				"peer_uri": {"spiffe://engines.example/ada"}, "peer_spiffe_id": {"spiffe://engines.example/ada"},
			},
			false, // the common name is no identity beside alternative names
		},
		{
			"TwoURIsAreNoSPIFFEID",
			x509.Certificate{URIs: []*url.URL{parse("spiffe://e.example/a"), parse("https://e.example/")}},
			[]string{"spiffe://e.example/a", "https://e.example/"},
			"x509_subject_alternative_name",
			map[string][]string{
				"x509_subject":                  {""},
				"x509_subject_alternative_name": {"spiffe://e.example/a", "https://e.example/"},
				"peer_uri":                      {"spiffe://e.example/a", "https://e.example/"},
			},
			false,
		},
		{
			"SPIFFEIDWithoutPath",
			x509.Certificate{URIs: []*url.URL{parse("spiffe://e.example")}},
			[]string{"spiffe://e.example"},
			"x509_subject_alternative_name",
			map[string][]string{
				"x509_subject": {""}, "x509_subject_alternative_name": {"spiffe://e.example"}, "peer_uri": {"spiffe://e.example"},
			},
			false,
		},
		{"Nameless", x509.Certificate{}, nil, "", map[string][]string{"x509_subject": {""}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			certificate, _ := a.sign(t, &tt.template)
			got := call(t, onTCP("127.0.0.1", a.serverConfig(t, tls.RequireAndVerifyClientCert)), a.client(certificate))
			if !reflect.DeepEqual(got.identities, tt.identities) || got.key != tt.key || got.hasAda != tt.hasAda {
				t.Errorf("identities are %q of %q, and ada's: %v", got.identities, got.key, got.hasAda)
			}
			for key, values := range tlsAuth {
				tt.auth[key] = values
			}
			pem := got.auth["x509_pem_cert"]
			if len(pem) != 1 || !strings.HasPrefix(pem[0], "-----BEGIN CERTIFICATE-----\n") || !reflect.DeepEqual(pem, got.auth["x509_pem_cert_chain"]) {
				t.Errorf("the certificate is %q", pem)
			}
			delete(got.auth, "x509_pem_cert")
			delete(got.auth, "x509_pem_cert_chain")
			if !reflect.DeepEqual(got.auth, tt.auth) {
				t.Errorf("the auth context is\n%q, want\n%q", got.auth, tt.auth)
			}
		})
	}
}
