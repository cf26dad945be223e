package authcontext

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strconv"

	"google.golang.org/grpc/credentials"

	"github.com/gogreeter/gogreeter/runtime"
)

// Keys of an auth context. Those that begin with X509 and Peer are there for clients that have presented a certificate
// which the handshake has verified.
const (
	TransportSecurityType      = "transport_security_type" // "insecure", "ssl", or what other credentials call themselves
	SecurityLevel              = "security_level"
	SSLSessionReused           = "ssl_session_reused" // "true" or "false"
	X509Subject                = "x509_subject"       // as RFC 2253 writes it
	X509CommonName             = "x509_common_name"
	X509SubjectAlternativeName = "x509_subject_alternative_name" // all of them, in the certificate's order
	X509PEMCert                = "x509_pem_cert"
	X509PEMCertChain           = "x509_pem_cert_chain" // the certificates as the client has sent them
	PeerDNS                    = "peer_dns"
	PeerEmail                  = "peer_email"
	PeerIP                     = "peer_ip"
	PeerURI                    = "peer_uri"
	PeerSPIFFEID               = "peer_spiffe_id"
)

// Of returns the auth context of the RPC that ctx stands for: grpc-python's context.auth_context(). The map is the
// caller's own; it is nil if ctx is not an RPC's.
//
// A certificate counts once it has been verified against tls.Config.ClientCAs. One that the server only asked for
// (tls.RequestClientCert, tls.RequireAnyClientCert) tells what a client says of itself; it is in runtime.Peer.
func Of(ctx context.Context) map[string][]string {
	p := runtime.Peer(ctx)
	if p == nil {
		return nil
	}
	properties := map[string][]string{}
	if p.AuthInfo == nil {
		properties[TransportSecurityType] = []string{"insecure"}
		properties[SecurityLevel] = []string{levelNames[credentials.NoSecurity]}
		return properties
	}
	properties[TransportSecurityType] = []string{p.AuthInfo.AuthType()}
	if common, ok := p.AuthInfo.(interface {
		GetCommonAuthInfo() credentials.CommonAuthInfo
	}); ok {
		if name := levelNames[common.GetCommonAuthInfo().SecurityLevel]; name != "" {
			properties[SecurityLevel] = []string{name}
		}
	}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		properties[TransportSecurityType] = []string{"ssl"}
		properties[SSLSessionReused] = []string{strconv.FormatBool(info.State.DidResume)}
		if len(info.State.VerifiedChains) > 0 {
			addCertificates(properties, info.State.PeerCertificates)
		}
	}
	return properties
}

var levelNames = map[credentials.SecurityLevel]string{
	credentials.NoSecurity:          "TSI_SECURITY_NONE",
	credentials.IntegrityOnly:       "TSI_INTEGRITY_ONLY",
	credentials.PrivacyAndIntegrity: "TSI_PRIVACY_AND_INTEGRITY",
}

// addCertificates adds what a client's certificates say; the first is its own.
func addCertificates(properties map[string][]string, chain []*x509.Certificate) {
	leaf := chain[0]
	properties[X509Subject] = []string{leaf.Subject.String()}
	if leaf.Subject.CommonName != "" {
		properties[X509CommonName] = []string{leaf.Subject.CommonName}
	}
	var encoded []byte
	for _, certificate := range chain {
		encoded = append(encoded, encode(certificate)...)
	}
	properties[X509PEMCert] = []string{string(encode(leaf))}
	properties[X509PEMCertChain] = []string{string(encoded)}
	for _, name := range alternativeNames(leaf) {
		properties[X509SubjectAlternativeName] = append(properties[X509SubjectAlternativeName], name.value)
		properties[name.key] = append(properties[name.key], name.value)
	}
	if id, ok := spiffeID(leaf); ok {
		properties[PeerSPIFFEID] = []string{id}
	}
}

func encode(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

// PeerIdentityKey returns the key of the auth context whose values are the client's identities, or "" if it has none:
// X509SubjectAlternativeName if its certificate has such names, or else X509CommonName.
func PeerIdentityKey(ctx context.Context) string {
	properties := Of(ctx)
	for _, key := range []string{X509SubjectAlternativeName, X509CommonName} {
		if len(properties[key]) > 0 {
			return key
		}
	}
	return ""
}

// PeerIdentities returns the client's identities, those of PeerIdentityKey; nil if it has none.
func PeerIdentities(ctx context.Context) []string {
	properties := Of(ctx)
	if names := properties[X509SubjectAlternativeName]; len(names) > 0 {
		return names
	}
	return properties[X509CommonName]
}

// HasPeerIdentity reports whether one of the client's identities is among those given.
func HasPeerIdentity(ctx context.Context, identities ...string) bool {
	return slices.ContainsFunc(PeerIdentities(ctx), func(identity string) bool { return slices.Contains(identities, identity) })
}
