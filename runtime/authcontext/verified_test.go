package authcontext_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/gogreeter/gogreeter/runtime/authcontext"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// constrained is an authority below another, which may certify names below evil.example and addresses in 10.0.0.0/8 only.
type constrained struct {
	authority
	roots, intermediates *x509.CertPool
}

func newConstrained(t testing.TB) *constrained {
	t.Helper()
	root := newAuthority(t)
	c := &constrained{roots: root.pool, intermediates: x509.NewCertPool()}
	signed, key := root.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "constrained"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{".evil.example"},
		PermittedEmailAddresses:     []string{".evil.example"},
		PermittedURIDomains:         []string{".evil.example"},
		PermittedIPRanges:           []*net.IPNet{{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}},
	})
	c.certificate, c.key = signed.Leaf, key
	c.intermediates.AddCert(c.certificate)
	return c
}

var oidAlternativeNames = asn1.ObjectIdentifier{2, 5, 29, 17}

// verify signs a certificate with these octets for its alternative names. It returns what a handshake establishes of it, or
// false if package x509 does not accept it.
func (c *constrained) verify(t testing.TB, names []byte, commonName string) (tls.ConnectionState, bool) {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: commonName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{{Id: oidAlternativeNames, Value: names}},
	}
	der := c.signFor(t, template, c.key)
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.ConnectionState{}, false
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.roots, Intermediates: c.intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return tls.ConnectionState{}, false
	}
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, c.certificate}, VerifiedChains: chains}, true
}

// checkNames compares what a handler learns of a client with what package x509 has read in its certificate, and with what
// the authority may certify. It reports whether the client has an identity.
func checkNames(t testing.TB, state tls.ConnectionState) bool {
	t.Helper()
	ctx := contextOf(t, state)
	leaf := state.VerifiedChains[0][0]
	want := map[string][]string{
		authcontext.PeerDNS: leaf.DNSNames, authcontext.PeerEmail: leaf.EmailAddresses,
	}
	for _, address := range leaf.IPAddresses {
		parsed, _ := netip.AddrFromSlice(address)
		want[authcontext.PeerIP] = append(want[authcontext.PeerIP], parsed.String())
	}
	for _, uri := range leaf.URIs {
		want[authcontext.PeerURI] = append(want[authcontext.PeerURI], uri.String())
	}
	got := authcontext.Of(ctx)
	var all []string
	for _, key := range []string{authcontext.PeerDNS, authcontext.PeerEmail, authcontext.PeerIP, authcontext.PeerURI} {
		if len(got[key])+len(want[key]) > 0 && !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s is %q; package x509 has read %q", key, got[key], want[key])
		}
		for _, name := range got[key] {
			if !permitted(key, name) {
				t.Errorf("%s has %q, which the authority may not certify", key, name)
			}
		}
		all = append(all, want[key]...)
	}
	if !reflect.DeepEqual(got[authcontext.X509SubjectAlternativeName], all) {
		t.Errorf("the alternative names are %q, want %q", got[authcontext.X509SubjectAlternativeName], all)
	}
	if identities := authcontext.PeerIdentities(ctx); !reflect.DeepEqual(identities, all) {
		t.Errorf("the identities are %q, want %q", identities, all)
	}
	if authcontext.HasPeerDNSName(ctx, admin) || authcontext.HasPeerSPIFFEID(ctx, billing) || authcontext.HasPeerURI(ctx, billing) ||
		authcontext.HasPeerEmail(ctx, "root@"+admin) || authcontext.HasPeerCommonName(ctx, leaf.Subject.CommonName) {
		t.Errorf("the certificate %x has somebody else's identity", leaf.Raw)
	}
	return len(all) > 0
}

// permitted is the constraint in other words than those of package x509.
func permitted(key, name string) bool {
	domain := name
	switch key {
	case authcontext.PeerIP:
		return strings.HasPrefix(name, "10.")
	case authcontext.PeerEmail:
		domain = name[strings.LastIndexByte(name, '@')+1:]
	case authcontext.PeerURI:
		uri, err := url.Parse(name)
		if err != nil {
			return false
		}
		domain = uri.Hostname()
	}
	return strings.HasSuffix(strings.ToLower(domain), ".evil.example")
}

// contextOf returns the context of an RPC whose handshake has established this.
func contextOf(t testing.TB, state tls.ConnectionState) context.Context {
	t.Helper()
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{
		Peer: &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}},
	})
	t.Cleanup(recorder.End)
	return ctx
}

// sequence is the DER encoding of entries.
func sequence(entries ...[]byte) []byte {
	var content []byte
	for _, entry := range entries {
		content = append(content, entry...)
	}
	return element(0x30, content)
}

// element is an element with an identifier octet of any kind.
func element(identifier byte, content []byte) []byte {
	header := []byte{identifier, byte(len(content))}
	if len(content) > 127 {
		header = []byte{identifier, 0x82, byte(len(content) >> 8), byte(len(content))}
	}
	return append(header, content...)
}

func entry(identifier byte, name string) []byte { return element(identifier, []byte(name)) }

// The identifier octets of the kinds of names that package x509 reads (RFC 5280, Section 4.2.1.6).
const (
	tagEmail = 0x81
	tagDNS   = 0x82
	tagURI   = 0x86
	tagIP    = 0x87
)

const (
	admin   = "admin.example"
	billing = "spiffe://example.org/billing"
)

// TestNames_OddEncodings has an authority certify names that it may not, in encodings that package x509 does not read, and
// does not apply constraints to.
func TestNames_OddEncodings(t *testing.T) {
	c := newConstrained(t)
	const fine = "a.evil.example"
	classes := map[string]byte{"Universal": 0x00, "Application": 0x40, "Private": 0xC0, "Constructed": 0xA0, "UniversalConstructed": 0x20}
	kinds := map[string][]byte{
		"DNS": entry(tagDNS, admin), "URI": entry(tagURI, billing), "Email": entry(tagEmail, "root@"+admin), "IP": entry(tagIP, "\xC0\x00\x02\x01"),
	}
	for class, bits := range classes {
		for kind, odd := range kinds {
			t.Run(class+"/"+kind, func(t *testing.T) {
				odd[0] = odd[0]&0x1F | bits
				for _, names := range [][]byte{sequence(odd), sequence(entry(tagDNS, fine), odd), sequence(odd, entry(tagDNS, fine), odd)} {
					if state, ok := c.verify(t, names, admin); ok {
						checkNames(t, state)
					}
				}
			})
		}
	}
}

// TestNames_Constrained shows that the authority of these tests is constrained. What it certifies in plain encodings is
// accepted if it may, and refused if it may not.
func TestNames_Constrained(t *testing.T) {
	c := newConstrained(t)
	for _, tt := range []struct {
		name string
		der  []byte
		ok   bool
	}{
		{"DNS", entry(tagDNS, "a.evil.example"), true},
		{"Email", entry(tagEmail, "a@a.evil.example"), true},
		{"URI", entry(tagURI, "spiffe://a.evil.example/b"), true},
		{"IP", entry(tagIP, "\x0a\x00\x00\x01"), true},
		{"OtherDNS", entry(tagDNS, admin), false},
		{"OtherEmail", entry(tagEmail, "root@"+admin), false},
		{"OtherURI", entry(tagURI, billing), false},
		{"OtherIP", entry(tagIP, "\xC0\x00\x02\x01"), false},
		{"DNSThatLooksLikeAURI", entry(tagDNS, billing), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state, ok := c.verify(t, sequence(tt.der), admin)
			if ok != tt.ok {
				t.Fatalf("accepted: %v", ok)
			}
			if ok && !checkNames(t, state) {
				t.Error("there is no identity")
			}
		})
	}
}

// TestNames_RandomEncodings puts entries together at random.
func TestNames_RandomEncodings(t *testing.T) {
	c := newConstrained(t)
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{
		"a.evil.example", "b.evil.example", admin, billing, "spiffe://a.evil.example/b", "x@a.evil.example", "root@" + admin,
		"\x0a\x00\x00\x01", "\xC0\x00\x02\x01", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01", "",
	}
	accepted, identified := 0, 0
	for range 500 {
		var entries [][]byte
		for range 1 + random.IntN(3) {
			identifier := []byte{tagDNS, tagEmail, tagURI, tagIP}[random.IntN(4)]
			if random.IntN(2) == 0 {
				identifier ^= 0x20 << random.IntN(3)
			}
			entries = append(entries, entry(identifier, names[random.IntN(len(names))]))
		}
		der := sequence(entries...)
		state, ok := c.verify(t, der, admin)
		if !ok {
			continue
		}
		accepted++
		if checkNames(t, state) {
			identified++
		}
		if t.Failed() {
			t.Fatalf("the names are %x", der)
		}
	}
	if accepted < 50 || identified < 10 {
		t.Errorf("of 500 certificates %d were accepted, and %d had an identity: too few to tell", accepted, identified)
	}
}

// FuzzNames has the same for any octets. A handler learns what package x509 has read, and no more than what the authority
// may certify.
func FuzzNames(f *testing.F) {
	c := newConstrained(f)
	for _, names := range [][]byte{
		nil,
		{0x30, 0x80, 0, 0},
		sequence(),
		sequence(entry(tagDNS, "a.evil.example"), entry(tagURI, "spiffe://a.evil.example/b"), entry(tagIP, "\x0a\x00\x00\x01")),
		sequence(entry(0x02, admin), entry(0x42, admin), entry(0xC2, admin), entry(0xA2, admin)),
		sequence(entry(0x06, billing), entry(0xA6, billing), entry(tagDNS, billing)),
		sequence(element(0xA0, sequence(entry(tagDNS, admin))), element(0xA4, sequence()), entry(tagEmail, "x@a.evil.example")),
		append(sequence(entry(tagDNS, "a.evil.example")), sequence(entry(tagDNS, admin))...),
		sequence([]byte{0x9F, 0x02, 1, 'a'}),
		sequence(entry(tagURI, "spiffe://admin.example@a.evil.example/b"), entry(tagURI, "SPIFFE://A.evil.example:1/%2e")),
	} {
		f.Add(names, admin)
	}
	f.Fuzz(func(t *testing.T, names []byte, commonName string) {
		if state, ok := c.verify(t, names, strings.ToValidUTF8(commonName, "?")); ok {
			checkNames(t, state)
		}
	})
}
