package ports

import (
	"crypto/tls"
	"testing"
)

// TestOverTLS_LowestVersion has configurations that permit what HTTP/2 does not.
func TestOverTLS_LowestVersion(t *testing.T) {
	for given, want := range map[uint16]uint16{0: tls.VersionTLS12, tls.VersionTLS10: tls.VersionTLS12, tls.VersionTLS13: tls.VersionTLS13} {
		chosen := &tls.Config{MinVersion: given}
		config := forHTTP2(&tls.Config{MinVersion: given, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return chosen, nil }})
		later, err := config.GetConfigForClient(nil)
		if err != nil || config.MinVersion != want || later.MinVersion != want || chosen.MinVersion != given {
			t.Errorf("%x becomes %x, and %x if it is chosen later, want %x: %v", given, config.MinVersion, later.MinVersion, want, err)
		}
	}
}
