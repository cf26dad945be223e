package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/h2load"
	"github.com/gogreeter/gogreeter/bench/internal/process"
)

// bench is what measurements need.
type bench struct {
	directory   string // for files; it goes with the bench
	contenders  []contender
	certificate string             // PEM file with a certificate and its key
	h2load      bool               // is installed
	noCPP       error              // why there is no server in C++, if there is not
	generator   string             // the program open_load, once it is built
	maxima      map[string]float64 // RPCs per second that a server can do, once it is measured; see maximum
}

// newBench builds the servers. One that cannot be built does not take part; without gogreeter there is nothing to compare.
func newBench() (b *bench, err error) {
	b = &bench{h2load: h2load.Found(), maxima: make(map[string]float64)}
	if !b.h2load {
		fmt.Fprintln(os.Stderr, "no h2load: frameload makes its load instead")
	}
	if b.directory, err = os.MkdirTemp("", "gogreeter-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	b.certificate = filepath.Join(b.directory, "certificate.pem")
	if err := makeCertificate(b.certificate); err != nil {
		return nil, err
	}
	for _, c := range contenders {
		if *servers != "" && !slices.Contains(strings.Split(*servers, ","), c.name) {
			continue
		}
		if c.command, err = b.build(c); err != nil {
			fmt.Fprintf(os.Stderr, "%s does not take part: %v\n", c.name, err)
			continue
		}
		b.contenders = append(b.contenders, c)
	}
	if len(b.contenders) == 0 {
		return nil, errors.New("no server takes part")
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.directory) }

// start starts a contender as a scenario wants it.
func (b *bench) start(c contender, s scenario) (*process.Server, error) {
	command := append(slices.Clone(c.command), s.flags...)
	if s.load.TLS {
		command = append(command, "-tls", b.certificate)
	}
	return process.Start(command, s.environment)
}

// makeCertificate writes a certificate that is signed by its own key, and the key.
func makeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"bench"}, NotAfter: time.Now().Add(24 * time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	content = append(content, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})...)
	return os.WriteFile(file, content, 0o600)
}
