package http2

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// A TLS peer that no longer reads cannot keep a connection that has ended for long, although closing wants to write an
// alert, for which package tls allows 5 s.
func TestConn_EndIsBounded_OverTLS(t *testing.T) {
	cert := selfSigned(t)
	for _, limit := range []int{-1, 0, 10, 1000} {
		synctest.Test(t, func(t *testing.T) {
			a, b := h2test.NewPipe()
			defer b.Close()
			server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}})
			client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
			app := newTestApp()
			c := NewConn(server, app, Config{}.WithDefaults(), budget.New(-1, nil, nil))
			served := make(chan error, 1)
			go func() { served <- c.Serve() }()
			client.Write(tcpGreeting)
			client.Write(rawFrame(0x8, 0, 0, 1<<20))
			client.Write(rawFrame(0x1, 0x4, 1, okBlock))
			synctest.Wait()
			b.Limit(limit)
			go func() {
				app.streams[1].Write(outgoing{Headers: okHeaders, Data: make([]byte, 60_000)})
				c.Flush()
			}()
			synctest.Wait()
			start := time.Now()
			c.End(ErrCodeNo, "")
			<-served
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("room for %d octets: ended after %v", limit, took)
			}
			app.check(t)
		})
	}
}
