package attack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gogreeter/gogreeter/runtime"
)

type raw = runtime.RawMessage

// victimVariable in the environment makes the test binary the victim.
const victimVariable = "GOGREETER_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		if err := serveAsVictim(); err != nil {
			fmt.Fprintln(os.Stderr, "victim:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// profiles are the servers of the victim's process.
var profiles = map[string]runtime.Options{
	"default": {},
	"quick": { // where the attack is that nothing comes
		SetupTimeout: 300 * time.Millisecond,
		WriteTimeout: 300 * time.Millisecond,
		Connections:  runtime.ConnectionOptions{KeepaliveTime: 300 * time.Millisecond, KeepaliveTimeout: 300 * time.Millisecond},
	},
}

// ports are those of one profile.
type ports struct{ Plain, TLS int }

// serveAsVictim serves until standard input ends. It writes the ports to standard output.
func serveAsVictim() error {
	certificate, err := newCertificate()
	if err != nil {
		return err
	}
	all := map[string]ports{}
	for name, options := range profiles {
		options.Logger = slog.New(slog.DiscardHandler)
		s := runtime.NewServer(options)
		if err := s.AddService(runtime.Service{Name: "attack.S", Methods: methods(s)}); err != nil {
			return err
		}
		var p ports
		if p.Plain, err = s.AddInsecurePort("127.0.0.1:0"); err != nil {
			return err
		}
		if p.TLS, err = s.AddSecurePort("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}}); err != nil {
			return err
		}
		if err := s.Start(); err != nil {
			return err
		}
		all[name] = p
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

// measurement is what the victim tells of itself.
type measurement struct {
	Heap       int64 // runtime.MemStats.HeapInuse
	CPU        time.Duration
	Goroutines int
	Active     int    // RPCs
	Received   uint64 // octets
}

const largeSize = 4<<20 - 100

func methods(s *runtime.Server) map[string]*runtime.MethodHandler {
	large := &raw{Data: make([]byte, largeSize)}
	piece := &raw{Data: make([]byte, 64<<10)}
	return map[string]*runtime.MethodHandler{
		"Echo":  runtime.UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { return request, nil }),
		"Large": runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) { return large, nil }),
		"Value": runtime.UnaryUnary(func(_ context.Context, request *structpb.Value) (*structpb.Value, error) { return request, nil }),
		"Wait": runtime.UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Heedless": runtime.UnaryUnary(func(context.Context, *raw) (*raw, error) {
			time.Sleep(50 * time.Millisecond)
			return &raw{}, nil
		}),
		"Deaf": runtime.StreamUnary(func(ctx context.Context, _ runtime.RequestIterator[raw]) (*raw, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		"Read": runtime.StreamUnary(func(_ context.Context, requests runtime.RequestIterator[raw]) (*raw, error) {
			for _, err := range requests.All() {
				if err != nil {
					return nil, err
				}
			}
			return &raw{}, nil
		}),
		"Stream": runtime.UnaryStream(func(_ context.Context, _ *raw, responses runtime.ResponseStream[raw]) error {
			for {
				if err := responses.Send(piece); err != nil {
					return err
				}
			}
		}),
		"Measure": runtime.UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
			m := measurement{CPU: cpuTime()}
			if string(request.Data) == "collect" {
				debug.FreeOSMemory() // twice: what is in a sync.Pool survives once
				debug.FreeOSMemory()
			}
			var stats goruntime.MemStats
			goruntime.ReadMemStats(&stats)
			m.Heap, m.Goroutines = int64(stats.HeapInuse), goruntime.NumGoroutine()
			m.Active, m.Received = s.Stats().Active, s.Stats().ReceivedBytes
			data, err := json.Marshal(m)
			return &raw{Data: data}, err
		}),
	}
}

// raceEnabled says that the race detector is on, which is slow.
var raceEnabled bool
