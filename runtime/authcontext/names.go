package authcontext

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"net/netip"
	"strings"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

// PeerName returns the client's address as grpc-python's context.peer() spells it: "ipv4:127.0.0.1:46910",
// "ipv6:[::1]:46910", "unix:/run/greeter.sock", "unix-abstract:greeter". A client on a Unix socket seldom has an address
// of its own; its name is then that of the socket it has connected to. The result is "" if ctx is not an RPC's.
func PeerName(ctx context.Context) string {
	p := runtime.Peer(ctx)
	if p == nil || logtext.Missing(p.Addr) {
		return ""
	}
	switch addr := p.Addr.(type) {
	case *net.TCPAddr:
		if addr.IP.To4() != nil {
			return "ipv4:" + addr.String()
		}
		return "ipv6:" + addr.String()
	case *net.UnixAddr:
		name := addr.Name
		if local, ok := p.LocalAddr.(*net.UnixAddr); ok && (name == "" || name == "@") {
			name = local.Name
		}
		if abstract, ok := strings.CutPrefix(name, "@"); ok {
			return "unix-abstract:" + abstract
		}
		return "unix:" + name
	}
	if name := logtext.Address(p.Addr); name != logtext.Unknown {
		return p.Addr.Network() + ":" + name
	}
	return logtext.Unknown
}

// alternativeName is one of a certificate's subject alternative names.
type alternativeName struct{ key, value string }

// alternativeNames returns the names that package x509 has read in a certificate, ordered by their kinds.
func alternativeNames(certificate *x509.Certificate) (names []alternativeName) {
	for _, name := range certificate.DNSNames {
		names = append(names, alternativeName{PeerDNS, name})
	}
	for _, address := range certificate.EmailAddresses {
		names = append(names, alternativeName{PeerEmail, address})
	}
	for _, ip := range certificate.IPAddresses {
		// Not net.IP's String, which writes ::ffff:10.0.0.1 as if it were 10.0.0.1. Constraints tell the two apart.
		if address, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, alternativeName{PeerIP, address.String()})
		}
	}
	for _, uri := range certificate.URIs {
		names = append(names, alternativeName{PeerURI, uri.String()})
	}
	return names
}

// commonName returns the common name of a certificate that has no extension for subject alternative names. A certificate
// whose alternative names cannot be read must not have another name in their place.
func commonName(certificate *x509.Certificate) (name string, ok bool) {
	for _, extension := range certificate.Extensions {
		if extension.Id.Equal(subjectAltName) {
			return "", false
		}
	}
	return certificate.Subject.CommonName, certificate.Subject.CommonName != ""
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// spiffeID returns the SPIFFE ID of a certificate. SPIFFE X509-SVID, Section 2: "An X.509 SVID MUST contain exactly one URI
// SAN". Section 5.2: a leaf certificate has neither the CA flag nor the key usages of one.
func spiffeID(certificate *x509.Certificate) (id string, ok bool) {
	const signing = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if len(certificate.URIs) != 1 || certificate.IsCA || certificate.KeyUsage&signing != 0 {
		return "", false
	}
	id = certificate.URIs[0].String()
	return id, validSPIFFEID(id)
}

// The characters of a trust domain and of a path (SPIFFE-ID, Sections 2.1 and 2.2).
const (
	trustDomainCharacters = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	pathCharacters        = trustDomainCharacters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// validSPIFFEID reports whether an identifier is one as SPIFFE-ID, Section 2, has it. It has no port, query, fragment, user
// or percent-encoding, and no segment of its path is empty, "." or "..". That of a workload has a path; without one, it has
// an empty segment.
func validSPIFFEID(id string) bool {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	domain, path, _ := strings.Cut(rest, "/")
	if !ok || len(id) > 2048 || domain == "" || len(domain) > 255 || strings.Trim(domain, trustDomainCharacters) != "" {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, pathCharacters) != "" {
			return false
		}
	}
	return true
}
