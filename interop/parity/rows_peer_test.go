package parity

import (
	"testing"

	"google.golang.org/grpc/codes"
)

// tells is a row in which the handler tells a fact of its connection.
func tells(name, on string, what step, want string) row {
	return row{name: name + ", " + map[string]string{"": "insecure"}[on] + on, on: on, arities: two, do: script{what}, want: ok(want)}
}

func auth(key string) step { return doText("tell_auth", key) }

// peerRows are about what a handler can know of its client.
var peerRows = []row{
	tells("peer", "", do("tell_peer"), "ipv4"),
	tells("peer", "ipv6", do("tell_peer"), "ipv6"),
	tells("peer", "unix", do("tell_peer"), "unix"),
	tells("peer", "tls", do("tell_peer"), "ipv4"),
	tells("security type", "", auth("transport_security_type"), `["insecure"]`),
	tells("security type", "unix", auth("transport_security_type"), `["insecure"]`),
	tells("security type", "tls", auth("transport_security_type"), `["ssl"]`),
	tells("security level", "", auth("security_level"), `["TSI_SECURITY_NONE"]`),
	tells("security level", "tls", auth("security_level"), `["TSI_PRIVACY_AND_INTEGRITY"]`),
	tells("identities", "", do("tell_identities"), `["",[]]`),
	tells("identities", "tls", do("tell_identities"), `["",[]]`),
	tells("identities", "mtls", do("tell_identities"), `["x509_subject_alternative_name",["client.parity.test","spiffe://parity.test/client"]]`),
	tells("common name", "mtls", auth("x509_common_name"), `["client"]`),
	tells("subject alternative name", "mtls", auth("x509_subject_alternative_name"), `["client.parity.test","spiffe://parity.test/client"]`),
	tells("DNS names", "mtls", auth("peer_dns"), `["client.parity.test"]`),
	tells("URIs", "mtls", auth("peer_uri"), `["spiffe://parity.test/client"]`),
	tells("SPIFFE ID", "mtls", auth("peer_spiffe_id"), `["spiffe://parity.test/client"]`),
	tells("common name", "tls", auth("x509_common_name"), `[]`),
	{name: "messages over TLS", on: "tls", do: script{do("join")}, call: call{Requests: sizes(mib)}, want: ok(described(mib)...)},
	{name: "a client without TLS at a port with it", arities: two, play: func(p *play) {
		to := p.fresh("tls").target()
		to.CA = ""
		p.check(p.result(p.beginBy(p.client, to, call{}, script{reply("x")})), failed(codes.Unavailable, "*"), nil)
	}},
	{name: "a client without the certificate that is asked for", arities: two, play: func(p *play) {
		to := p.fresh("mtls").target()
		to.Cert, to.Key = "", ""
		p.check(p.result(p.beginBy(p.client, to, call{}, script{reply("x")})), failed(codes.Unavailable, "*"), nil)
	}},
}

func TestParity_Peer(t *testing.T) {
	rows := peerRows
	if !reachable("tcp", "[::1]:0") {
		rows = nil
		for _, r := range peerRows {
			if r.on != "ipv6" {
				rows = append(rows, r)
			}
		}
	}
	runRows(t, rows)
}
