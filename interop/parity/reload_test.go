package parity

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime"
)

// reloader gives each handshake the configuration of the moment, as grpc-python's dynamic_ssl_server_credentials does.
type reloader struct {
	mu      sync.Mutex
	current *tls.Config
	err     error
	asked   int
}

func (r *reloader) config() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asked++
		return r.current, r.err
	}}
}

func (r *reloader) set(config *tls.Config, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.err = config, err
}

func (r *reloader) handshakes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// TestCertificates_AreReplaced_WithEachHandshake is grpc-python's _server_ssl_cert_config_test, with and without client
// certificates: only new connections see a new configuration, and one that fails harms no other.
func TestCertificates_AreReplaced_WithEachHandshake(t *testing.T) {
	for _, mutual := range []bool{false, true} {
		t.Run(fmt.Sprint("client certificate ", mutual), func(t *testing.T) {
			t.Run("grpc-go", func(t *testing.T) {
				testReload(t, mutual, func(testing.TB) client { return &goClient{channels: clientChannels{}} })
			})
			t.Run("grpc-python", func(t *testing.T) {
				clientProcess.start(t)
				testReload(t, mutual, func(testing.TB) client { return &pythonClient{} })
			})
		})
	}
}

func testReload(t *testing.T, mutual bool, newClient func(testing.TB) client) {
	before, after := newCertificates(t), newCertificates(t)
	reload := &reloader{current: before.server(t, mutual)}
	server := runtime.NewServer(runtime.ServerOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := server.AddService(runtime.Service{Name: "parity.P", Methods: (&servicer{events: newEvents(), server: server}).methods()}); err != nil {
		t.Fatal(err)
	}
	port, err := server.AddSecurePort("127.0.0.1:0", reload.config())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-server.Stop(0) })
	address := fmt.Sprint("127.0.0.1:", port)

	by := newClient(t)
	t.Cleanup(func() { by.disconnect(t, address) })
	// want makes an RPC, on a new connection or on the one there is.
	want := func(certs *certificates, fresh bool, code codes.Code) {
		t.Helper()
		if fresh {
			by.disconnect(t, address)
		}
		variant := map[bool]string{true: "mtls", false: "tls"}[mutual]
		to := certs.target(variant)
		to.Address = address
		have := by.begin(t, to, call{
			Path: "/parity.P/uu", Arity: uu, Requests: texts("q"),
			Metadata: pairsOf("script-bin", fmt.Sprintf("%x", toJSON(script{do("echo")}))),
		}).result(t)
		if have.Code != code {
			t.Errorf("the answer is %v, want %v", have, code)
		}
	}

	want(before, true, codes.OK)
	want(after, true, codes.Unavailable)
	want(before, true, codes.OK)
	reload.set(after.server(t, mutual), nil)
	asked := reload.handshakes()
	want(before, false, codes.OK) // its connection stays as it was
	if reload.handshakes() != asked {
		t.Error("an RPC on a connection that there is led to a handshake")
	}
	want(before, true, codes.Unavailable)
	want(after, true, codes.OK)
	reload.set(nil, errors.New("no configuration at the moment"))
	want(after, false, codes.OK)
	want(after, true, codes.Unavailable)
	reload.set(after.server(t, mutual), nil)
	want(after, true, codes.OK)
}
