package http2

import "testing"

// TestConn_ComparesHost sends requests with host fields. RFC 9113, Section 8.3.1: one that names another entity than
// :authority does makes the request malformed.
func TestConn_ComparesHost(t *testing.T) {
	plain := func(scheme string) []string { return []string{":method", "POST", ":scheme", scheme, ":path", "/a/b"} }
	for _, row := range []struct {
		name      string
		scheme    string
		authority string // "-": there is none
		hosts     []string
		want      string // the authority; "-": malformed
	}{
		{"no host", "http", "example.com", nil, "example.com"},
		{"neither", "http", "-", nil, ""},
		{"the same", "http", "example.com:50051", []string{"example.com:50051"}, "example.com:50051"},
		{"the same in other letters", "http", "example.com", []string{"EXAMPLE.Com"}, "example.com"},
		{"default port in host", "http", "example.com", []string{"example.com:80"}, "example.com"},
		{"default port in :authority", "https", "example.com:443", []string{"example.com"}, "example.com:443"},
		{"empty port", "http", "example.com", []string{"example.com:"}, "example.com"},
		{"IPv6", "http", "[::1]", []string{"[::1]:80"}, "[::1]"},
		{"another", "http", "example.com", []string{"evil.example"}, "-"},
		{"a part", "http", "example.com", []string{"example.co"}, "-"},
		{"another port", "http", "example.com:1", []string{"example.com:2"}, "-"},
		{"the other scheme's port", "http", "example.com", []string{"example.com:443"}, "-"},
		{"no port in another scheme", "grpc", "example.com", []string{"example.com:80"}, "-"},
		{"a letter that folds", "http", "bank.example", []string{"ban\u212a.example"}, "-"}, // the Kelvin sign
		{"with user information", "http", "example.com", []string{"me@example.com"}, "-"},
		{"empty host", "http", "example.com", []string{""}, "-"},
		{"empty :authority", "http", "", []string{"example.com"}, "-"},
		{"both empty", "http", "", []string{""}, ""},
		{"no :authority", "http", "-", []string{"example.com"}, "example.com"}, // gRPC proposal A41: host stands for it
		{"two hosts", "http", "example.com", []string{"example.com", "evil.example"}, "-"},
		{"two hosts that are the same", "http", "example.com", []string{"example.com", "example.com"}, "-"}, // A41, too
		{"two hosts, no :authority", "http", "-", []string{"a.example", "b.example"}, "-"},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer()
				fields := plain(row.scheme)
				if row.authority != "-" {
					fields = append(fields, ":authority", row.authority)
				}
				for _, host := range row.hosts {
					fields = append(fields, "host", host)
				}
				for id := uint32(1); id < 7; id += 2 { // the third has a field block that is remembered
					p.WriteHeaders(id, false, fields...)
					if row.want == "-" {
						p.wantRSTStream(id, ErrCodeProtocol)
						continue
					}
					if got := p.accepted(id).request.Authority; got != row.want {
						t.Errorf("the authority is %q, want %q", got, row.want)
					}
					p.WriteData(id, true, "")
					p.wantReply(id, "")
				}
				// Of trailers nothing is used, and host is a field like any other.
				p.WriteHeaders(7, false, request()...)
				p.WriteHeaders(7, true, "host", "evil.example", "host", "example.com")
				p.wantReply(7, "")
			})
		})
	}
}
