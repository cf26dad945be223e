package authcontext

import (
	"context"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"

	"github.com/gogreeter/gogreeter/runtime"
)

// PeerIdentityKey returns the key of the auth context whose values are the client's identities, or "" if it has none. The
// key is X509SubjectAlternativeName if the certificate has such names, or else X509CommonName.
func PeerIdentityKey(ctx context.Context) string {
	key, _ := identities(ctx)
	return key
}

// PeerIdentities returns the client's identities, those of PeerIdentityKey; nil if it has none. It is for logs: it has names
// of several kinds without saying which is which. An authority that may certify names of one kind can have a name look like
// another. To decide what a client may do, use the functions that begin with HasPeer.
func PeerIdentities(ctx context.Context) []string {
	_, values := identities(ctx)
	return values
}

func identities(ctx context.Context) (key string, values []string) {
	leaf := verifiedLeaf(ctx)
	if leaf == nil {
		return "", nil
	}
	for _, name := range alternativeNames(leaf) {
		values = append(values, name.value)
	}
	if values != nil {
		return X509SubjectAlternativeName, values
	}
	if name, ok := commonName(leaf); ok {
		return X509CommonName, []string{name}
	}
	return "", nil
}

// HasPeerSPIFFEID reports whether the client's SPIFFE ID is one of those given: "spiffe://example.org/billing". The
// authorities in tls.Config.ClientCAs are taken to be those of all trust domains. If one of them belongs to a domain that
// must not speak for the others, it has to be constrained (RFC 5280, Section 4.2.1.10).
func HasPeerSPIFFEID(ctx context.Context, ids ...string) bool {
	leaf := verifiedLeaf(ctx)
	if leaf == nil {
		return false
	}
	id, ok := spiffeID(leaf)
	return ok && slices.Contains(ids, id)
}

// HasPeerDNSName reports whether one of the DNS names in the client's certificate is among those given, in upper or lower
// case. A wildcard in the certificate stands for nothing but itself.
func HasPeerDNSName(ctx context.Context, names ...string) bool {
	leaf := verifiedLeaf(ctx)
	return leaf != nil && slices.ContainsFunc(leaf.DNSNames, func(has string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(has, name) })
	})
}

// HasPeerURI reports whether one of the URIs in the client's certificate is among those given, octet for octet as package
// net/url writes it.
func HasPeerURI(ctx context.Context, uris ...string) bool {
	leaf := verifiedLeaf(ctx)
	if leaf == nil {
		return false
	}
	for _, uri := range leaf.URIs {
		if slices.Contains(uris, uri.String()) {
			return true
		}
	}
	return false
}

// HasPeerEmail reports whether one of the e-mail addresses in the client's certificate is among those given, octet for
// octet.
func HasPeerEmail(ctx context.Context, addresses ...string) bool {
	leaf := verifiedLeaf(ctx)
	return leaf != nil && slices.ContainsFunc(leaf.EmailAddresses, func(has string) bool { return slices.Contains(addresses, has) })
}

// HasPeerIP reports whether one of the IP addresses in the client's certificate is among those given. It does not concern
// the address that the client connects from, which is in [runtime.Peer]. ::ffff:10.0.0.1 is not 10.0.0.1.
func HasPeerIP(ctx context.Context, addresses ...netip.Addr) bool {
	leaf := verifiedLeaf(ctx)
	if leaf == nil {
		return false
	}
	for _, ip := range leaf.IPAddresses {
		if address, ok := netip.AddrFromSlice(ip); ok && slices.Contains(addresses, address) {
			return true
		}
	}
	return false
}

// HasPeerCommonName reports whether the common name in the client's certificate is among those given. Beside subject
// alternative names it does not count. Name constraints do not apply to common names: any authority that leads to one of
// tls.Config.ClientCAs can certify any of them. Prefer the other kinds.
func HasPeerCommonName(ctx context.Context, names ...string) bool {
	leaf := verifiedLeaf(ctx)
	if leaf == nil {
		return false
	}
	name, ok := commonName(leaf)
	return ok && slices.Contains(names, name)
}

// verifiedLeaf returns the client's certificate if the handshake has verified it, or nil.
func verifiedLeaf(ctx context.Context) *x509.Certificate {
	p := runtime.Peer(ctx)
	if p == nil {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	if chain := verifiedChain(info); len(chain) > 0 {
		return chain[0]
	}
	return nil
}
