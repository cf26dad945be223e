package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime"
)

// victimVariable in the environment makes the test binary a victim, of the kind that it names.
const victimVariable = "GOGREETER_VICTIM"

func TestMain(m *testing.M) {
	if kind := os.Getenv(victimVariable); kind != "" {
		if err := serveAsVictim(kind); err != nil {
			fmt.Fprintln(os.Stderr, "victim:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// profiles are the servers of the victim's process.
var profiles = map[string]runtime.ServerOptions{
	"default": {},
	"quick": { // where the attack is that nothing comes
		SetupTimeout: 300 * time.Millisecond,
		WriteTimeout: 300 * time.Millisecond,
		Connections:  runtime.ConnectionOptions{KeepaliveTime: 300 * time.Millisecond, KeepaliveTimeout: 300 * time.Millisecond},
	},
}

// ports are those of one profile.
type ports struct{ Plain, TLS int }

// port is the one that attackers come by.
func (p ports) port() int {
	if facing.tls {
		return p.TLS
	}
	return p.Plain
}

// serveAsVictim serves until standard input ends. It writes the ports to standard output.
func serveAsVictim(kindName string) error {
	k, ok := kindNamed(kindName)
	if !ok {
		return fmt.Errorf("there is no kind %q", kindName)
	}
	certificate, err := newCertificate()
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	all := map[string]ports{}
	for name, options := range profiles {
		if k.metered && name != "default" {
			continue
		}
		s := runtime.NewServer(k.options(options))
		if err := k.addServices(s, &meter{server: s}); err != nil {
			return err
		}
		if all[name], err = k.listen(s, config); err != nil {
			return err
		}
		if err := s.Start(); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "victim"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// raceEnabled says that the race detector is on, which is slow.
var raceEnabled bool
