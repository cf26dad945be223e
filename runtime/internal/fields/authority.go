package fields

import "strings"

// takeHost compares the host field with :authority, or has it stand for one that is missing (gRPC proposal A41). It says
// what is wrong, or nothing.
//
// RFC 9113, Section 8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that
// identifies an entity that differs from the entity in the ":authority" pseudo-header field." So is one that names
// several, by RFC 9110, Section 7.2, and by A41: the entity must not depend on which of them is read.
func (s *Section) takeHost(hasAuthority bool) (malformed string) {
	host, hosts := "", 0
	for _, f := range s.Fields {
		if f.Name == "host" {
			host = f.Value
			hosts++
		}
	}
	switch {
	case hosts > 1:
		return "several host fields"
	case hosts == 1 && !hasAuthority:
		s.Authority = host
	case hosts == 1 && !sameAuthority(host, s.Authority, s.Scheme):
		return "host differs from :authority"
	}
	return ""
}

// sameAuthority reports whether two authorities are the same once normalized as RFC 3986, Section 6.2.3 says: letters are
// the same in upper and lower case, and the port may be missing that is the scheme's own.
func sameAuthority(a, b, scheme string) bool {
	return a == b || equalFold(withoutDefaultPort(a, scheme), withoutDefaultPort(b, scheme))
}

func withoutDefaultPort(authority, scheme string) string {
	switch scheme {
	case "http":
		authority = strings.TrimSuffix(authority, ":80")
	case "https":
		authority = strings.TrimSuffix(authority, ":443")
	}
	return strings.TrimSuffix(authority, ":")
}

// equalFold compares without regard to the case of ASCII letters. For strings.EqualFold, other characters too are the same
// as some of them.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
