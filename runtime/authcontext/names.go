package authcontext

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"strings"

	"github.com/gogreeter/gogreeter/runtime"
)

// PeerName returns the client's address as grpc-python's context.peer() spells it: "ipv4:127.0.0.1:46910",
// "ipv6:[::1]:46910", "unix:/run/greeter.sock", "unix-abstract:greeter". A client on a Unix socket seldom has an address
// of its own; its name is then that of the socket it has connected to. The result is "" if ctx is not an RPC's.
func PeerName(ctx context.Context) string {
	p := runtime.Peer(ctx)
	if p == nil || p.Addr == nil {
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
	return p.Addr.Network() + ":" + p.Addr.String()
}

// alternativeName is an entry of a certificate's subject alternative names.
type alternativeName struct{ key, value string }

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// alternativeNames returns the names in a certificate in their order, which package x509 does not keep.
func alternativeNames(certificate *x509.Certificate) []alternativeName {
	var names []alternativeName
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var entries []asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &entries); err != nil {
			continue // package x509 has read it, so this does not happen
		}
		for _, entry := range entries {
			switch entry.Tag { // RFC 5280, Section 4.2.1.6: GeneralName
			case 1:
				names = append(names, alternativeName{PeerEmail, string(entry.Bytes)})
			case 2:
				names = append(names, alternativeName{PeerDNS, string(entry.Bytes)})
			case 6:
				names = append(names, alternativeName{PeerURI, string(entry.Bytes)})
			case 7:
				names = append(names, alternativeName{PeerIP, net.IP(entry.Bytes).String()})
			}
		}
	}
	return names
}

// spiffeID returns the SPIFFE ID of a certificate. SPIFFE X509-SVID, Section 2: "An X.509 SVID MUST contain exactly one
// URI SAN".
func spiffeID(certificate *x509.Certificate) (id string, ok bool) {
	if len(certificate.URIs) != 1 {
		return "", false
	}
	uri := certificate.URIs[0]
	id = uri.String()
	valid := strings.EqualFold(uri.Scheme, "spiffe") && uri.Host != "" && len(uri.Path) > 1 && uri.User == nil &&
		uri.RawQuery == "" && uri.Fragment == "" && uri.Port() == "" && len(uri.Host) <= 255 && len(id) <= 2048
	return id, valid
}
