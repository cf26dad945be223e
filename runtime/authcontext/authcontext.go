package authcontext

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"strconv"

	"google.golang.org/grpc/credentials"

	"github.com/gogreeter/gogreeter/runtime"
)

// Keys of an auth context. Those that begin with X509 and Peer are there for clients that have presented a certificate
// which the handshake has verified. Only names that package crypto/x509 has read count: it applies the name constraints of
// authorities to those, and to no others.
const (
	TransportSecurityType      = "transport_security_type" // "insecure", "ssl", or what other credentials call themselves
	SecurityLevel              = "security_level"
	SSLSessionReused           = "ssl_session_reused"            // "true" or "false"
	X509Subject                = "x509_subject"                  // as RFC 2253 writes it
	X509CommonName             = "x509_common_name"              // name constraints do not apply to it
	X509SubjectAlternativeName = "x509_subject_alternative_name" // PeerDNS, PeerEmail, PeerIP and PeerURI, in this order
	X509PEMCert                = "x509_pem_cert"
	X509PEMCertChain           = "x509_pem_cert_chain" // the certificate and the authorities below the one in ClientCAs
	PeerDNS                    = "peer_dns"
	PeerEmail                  = "peer_email"
	PeerIP                     = "peer_ip"
	PeerURI                    = "peer_uri" // as package net/url writes it
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
		if chain := verifiedChain(info); len(chain) > 0 {
			addNames(properties, chain[0])
			addCertificates(properties, chain)
		}
	}
	return properties
}

var levelNames = map[credentials.SecurityLevel]string{
	credentials.NoSecurity:          "TSI_SECURITY_NONE",
	credentials.IntegrityOnly:       "TSI_INTEGRITY_ONLY",
	credentials.PrivacyAndIntegrity: "TSI_PRIVACY_AND_INTEGRITY",
}

// verifiedChain returns a chain from the client's certificate to an authority in tls.Config.ClientCAs, or nil if none was
// verified.
func verifiedChain(info credentials.TLSInfo) []*x509.Certificate {
	if len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0]
}

// addNames adds the names in a client's certificate.
func addNames(properties map[string][]string, leaf *x509.Certificate) {
	properties[X509Subject] = []string{leaf.Subject.String()}
	if leaf.Subject.CommonName != "" {
		properties[X509CommonName] = []string{leaf.Subject.CommonName}
	}
	for _, name := range alternativeNames(leaf) {
		properties[X509SubjectAlternativeName] = append(properties[X509SubjectAlternativeName], name.value)
		properties[name.key] = append(properties[name.key], name.value)
	}
	if id, ok := spiffeID(leaf); ok {
		properties[PeerSPIFFEID] = []string{id}
	}
}

// addCertificates adds a chain, but for the authority at its end, which clients do not send. What else a client has sent
// proves nothing, and may be long.
func addCertificates(properties map[string][]string, chain []*x509.Certificate) {
	if len(chain) > 1 {
		chain = chain[:len(chain)-1]
	}
	var encoded []byte
	for _, certificate := range chain {
		encoded = append(encoded, encode(certificate)...)
	}
	properties[X509PEMCert] = []string{string(encode(chain[0]))}
	properties[X509PEMCertChain] = []string{string(encoded)}
}

func encode(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
