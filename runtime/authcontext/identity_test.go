package authcontext_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/authcontext"
)

// TestHasPeer has each kind of check look for each kind of name, all of which are spelled alike where they can be.
func TestHasPeer(t *testing.T) {
	const host, id, address = "a.example", "spiffe://a.example/b", "a@a.example"
	ip := netip.MustParseAddr("10.0.0.1")
	checks := map[string]func(ctx context.Context) bool{
		"SPIFFEID": func(ctx context.Context) bool {
			return authcontext.HasPeerSPIFFEID(ctx, host, address, ip.String(), id)
		},
		"DNS":   func(ctx context.Context) bool { return authcontext.HasPeerDNSName(ctx, host, address, ip.String(), id) },
		"URI":   func(ctx context.Context) bool { return authcontext.HasPeerURI(ctx, host, address, ip.String(), id) },
		"Email": func(ctx context.Context) bool { return authcontext.HasPeerEmail(ctx, host, address, ip.String(), id) },
		"IP":    func(ctx context.Context) bool { return authcontext.HasPeerIP(ctx, ip) },
		"CommonName": func(ctx context.Context) bool {
			return authcontext.HasPeerCommonName(ctx, host, address, ip.String(), id)
		},
	}
	dns := func(name string) *x509.Certificate { return &x509.Certificate{DNSNames: []string{name}} }
	email := func(name string) *x509.Certificate { return &x509.Certificate{EmailAddresses: []string{name}} }
	uris := func(names ...string) *x509.Certificate {
		c := &x509.Certificate{}
		for _, name := range names {
			uri, err := url.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, uri)
		}
		return c
	}
	ips := func(ip string) *x509.Certificate { // x509 itself would not encode a mapped address
		return &x509.Certificate{ExtraExtensions: []pkix.Extension{{Id: oidAlternativeNames, Value: sequence(entry(tagIP, ip))}}}
	}
	of := func(c *x509.Certificate, change func(c *x509.Certificate)) *x509.Certificate {
		change(c)
		return c
	}
	for _, tt := range []struct {
		name     string
		template *x509.Certificate
		want     string
	}{
		{"Nothing", &x509.Certificate{}, ""},
		{"DNS", dns(host), "DNS"},
		{"DNSInCapitals", dns("A.Example"), "DNS"},
		{"DNSLikeASPIFFEID", dns(id), "DNS"}, // and no SPIFFEID, no URI
		{"DNSLikeAnEmailAddress", dns(address), "DNS"},
		{"DNSLikeAnIP", dns(ip.String()), "DNS"},
		{"DNSWildcard", dns("*.example"), ""},
		{"Email", email(address), "Email"},
		{"EmailLikeASPIFFEID", email(id), "Email"},
		{"EmailLikeAHost", email(host), "Email"},
		{"EmailInCapitals", email("A@a.example"), ""},
		{"IP", ips("\x0a\x00\x00\x01"), "IP"},
		{"IPMapped", ips("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01"), ""},
		{"URI", uris(host), "URI"},
		{"SPIFFEID", uris(id), "SPIFFEID URI"},
		{"SPIFFEIDBesideDNS", of(uris(id), func(c *x509.Certificate) { c.DNSNames = []string{"b.example"} }), "SPIFFEID URI"},
		{"SPIFFEIDInCapitals", uris("SPIFFE://a.example/b"), "SPIFFEID URI"}, // net/url spells schemes in small letters
		{"SPIFFEIDAmongURIs", uris(id, "https://a.example/"), "URI"},
		{"SPIFFEIDTwice", uris(id, id), "URI"},
		{"SPIFFEIDOfAnAuthority", of(uris(id), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), "URI"},
		{"SPIFFEIDThatSigns", of(uris(id), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), "URI"},
		{"CommonName", &x509.Certificate{Subject: pkix.Name{CommonName: id}}, "CommonName"},
		{"CommonNameBesideDNS", of(dns("b.example"), func(c *x509.Certificate) { c.Subject.CommonName = host }), ""},
		{"CommonNameBesideOddNames", of(&x509.Certificate{}, func(c *x509.Certificate) {
			c.Subject.CommonName = host
			c.ExtraExtensions = []pkix.Extension{{Id: oidAlternativeNames, Value: sequence(entry(0xA2, "b.example"))}}
		}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthority(t)
			signed, _ := a.sign(t, tt.template)
			chains, err := signed.Leaf.Verify(x509.VerifyOptions{Roots: a.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if err != nil {
				t.Fatal(err)
			}
			state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{signed.Leaf}, VerifiedChains: chains}
			for kind, check := range checks {
				if got, want := check(contextOf(t, state)), slices.Contains(strings.Fields(tt.want), kind); got != want {
					t.Errorf("HasPeer%s: got %v", kind, got)
				}
				state := tls.ConnectionState{PeerCertificates: state.PeerCertificates}
				if check(contextOf(t, state)) || check(t.Context()) {
					t.Errorf("HasPeer%s is satisfied by a certificate that was not verified, or by none", kind)
				}
			}
		})
	}
}

// TestHasPeerSPIFFEID_Forms has the check look for exactly what the certificate has.
func TestHasPeerSPIFFEID_Forms(t *testing.T) {
	for id, want := range map[string]bool{
		"spiffe://a.example/b":                        true,
		"spiffe://a-1_b.example/B/c.d/_/-":            true,
		"spiffe://" + strings.Repeat("a", 255) + "/b": true,
		"spiffe://" + strings.Repeat("a", 256) + "/b": false,
		"spiffe://a/" + strings.Repeat("b", 2037):     true,
		"spiffe://a/" + strings.Repeat("b", 2038):     false,
		"spiffe://a.example":                          false, // nobody's but the trust domain's
		"spiffe://a.example/":                         false,
		"spiffe://a.example/b/":                       false,
		"spiffe://a.example//b":                       false,
		"spiffe://a.example/./b":                      false,
		"spiffe://a.example/../b":                     false,
		"spiffe://a.example/%62":                      false,
		"spiffe://a.example/b?c":                      false,
		"spiffe://a.example/b#c":                      false,
		"spiffe://A.example/b":                        false,
		"spiffe://a.example:1/b":                      false,
		"spiffe://u@a.example/b":                      false,
		"spiffe:///b":                                 false,
		"spiffe:a.example/b":                          false,
		"https://a.example/b":                         false,
	} {
		uri, err := url.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		state := tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{URIs: []*url.URL{uri}}}}}
		if got := authcontext.HasPeerSPIFFEID(contextOf(t, state), id); got != want {
			t.Errorf("%s: got %v", id, got)
		}
	}
}

// TestOf_Chain leaves out what a client has sent beside the chain that was verified.
func TestOf_Chain(t *testing.T) {
	c := newConstrained(t)
	state, ok := c.verify(t, sequence(entry(tagDNS, "a.evil.example")), "")
	if !ok {
		t.Fatal("the certificate was not accepted")
	}
	for range 10 {
		state.PeerCertificates = append(state.PeerCertificates, newAuthority(t).certificate)
	}
	got := authcontext.Of(contextOf(t, state))
	var want strings.Builder
	for _, certificate := range []*x509.Certificate{state.PeerCertificates[0], c.certificate} {
		pem.Encode(&want, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	}
	if chain := got[authcontext.X509PEMCertChain]; len(chain) != 1 || chain[0] != want.String() {
		t.Errorf("the chain is %q, want %q", chain, want.String())
	}
}
