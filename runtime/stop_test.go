package runtime

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestServer_ReaderPanics has a mistake of ours end a connection's reader. The RPCs of that connection end, the process and
// the other connections go on, and the server can stop.
func TestServer_ReaderPanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"Wait": blockUntilOver(), "M": echo()})
		other, client := s.dial(), s.dial()
		other.ping()
		client.call("/t.S/Wait", "")
		client.ping()
		table := s.table.Swap(nil)
		client.call("/t.S/M", "")
		client.waitEnd()
		s.table.Store(table)
		synctest.Wait()
		if n := s.active.Load(); n != 0 {
			t.Errorf("%d RPCs are still counted", n)
		}
		if got := s.log.lines("Exception in the server"); len(got) != 1 || !strings.Contains(got[0], "NewStream") {
			t.Errorf("logged %s", s.log)
		}
		other.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		other.close()
		wantClosed(t, "termination", s.Stop(time.Hour))
	})
}

// TestServer_WorkerPanics has a mistake of ours end a worker. Another does what it would have done.
func TestServer_WorkerPanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{Workers: 1}, handlers{"M": echo()})
		broken := &rpc{}
		s.bound.Push(broken)
		s.dial().call("/t.S/M", "x").result().want(codes.OK, "", "x")
		if got := s.log.lines("Exception in the server"); len(got) != 1 || !strings.Contains(got[0], "a worker") {
			t.Errorf("logged %s", s.log)
		}
	})
}

// goroutinesCreated returns how many goroutines there have been.
func goroutinesCreated(t *testing.T) uint64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		t.Skip("this version of Go does not count goroutines")
	}
	return sample[0].Value.Uint64()
}

// TestServer_ShutsDownOnce has handshakes end during the grace, one after another, while there are many connections. Each
// connection is asked to go once.
func TestServer_ShutsDownOnce(t *testing.T) {
	const clients = 200
	certificate, pool := testCertificate(t)
	config := &tls.Config{NextProtos: []string{"h2"}, RootCAs: pool, ServerName: "test"}
	inBubble(t, func(t *testing.T) {
		plain := newTestServer(t, ServerOptions{}, handlers{"Wait": blockUntilOver()})
		secure := newPipeListener()
		check(t, plain.AddSecureListener(secure, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		var there []*testClient
		var coming []net.Conn
		for range clients {
			c := plain.dial()
			c.call("/t.S/Wait", "")
			c.ping()
			there = append(there, c)
			coming = append(coming, secure.dial())
		}
		synctest.Wait()
		terminated := plain.Stop(time.Hour)
		synctest.Wait()
		before := goroutinesCreated(t)
		for _, nc := range coming {
			c := newTestClient(t, tls.Client(nc, config))
			c.waitEnd()
			c.close()
		}
		if n := goroutinesCreated(t) - before; n > 50*clients { // it was one for each client and each handshake
			t.Errorf("%d goroutines for %d handshakes", n, clients)
		}
		for _, c := range there {
			if len(c.goAways) != 2 {
				t.Fatalf("%d GOAWAY frames", len(c.goAways))
			}
			c.close()
		}
		wantClosed(t, "termination", terminated)
	})
}

// TestServer_SaysWhatItCutsOff reports the RPCs that the end of the grace ends, and the handlers that do not heed it.
func TestServer_SaysWhatItCutsOff(t *testing.T) {
	for _, tt := range []struct {
		name           string
		heed, stubborn int // RPCs
		logged         []string
	}{
		{"Nothing", 0, 0, nil},
		{"Heed", 3, 0, []string{`level=WARN msg="RPCs were cut off since the grace is over" rpcs=3`}},
		{"Stubborn", 1, 2, []string{
			`level=WARN msg="RPCs were cut off since the grace is over" rpcs=3`,
			`level=WARN msg="Handlers run still, although the server has terminated" handlers=2`,
		}},
	} {
		for _, workers := range []int{0, 10} {
			runInBubble(t, tt.name, func(t *testing.T) {
				release := make(chan struct{})
				heed := UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
					<-ctx.Done()
					time.Sleep(20 * time.Millisecond) // it tidies up
					return nil, ctx.Err()
				})
				s := newTestServer(t, ServerOptions{Workers: workers}, handlers{
					"Heed":     heed,
					"Stubborn": UnaryUnary(func(context.Context, *raw) (*raw, error) { <-release; return nil, errors.New("dropped") }),
				})
				client, other := s.dial(), s.dial()
				for range tt.heed {
					client.call("/t.S/Heed", "")
				}
				for range tt.stubborn {
					other.call("/t.S/Stubborn", "")
				}
				client.ping()
				other.ping()
				terminated := s.Stop(time.Minute)
				time.Sleep(time.Minute + time.Millisecond)
				client.close() // while handlers tidy up
				other.close()
				time.Sleep(endOfGraceTakes)
				wantClosed(t, "termination", terminated)
				got := s.log.lines("")
				if len(got) != len(tt.logged) {
					t.Fatalf("logged %q, want %q", got, tt.logged)
				}
				for i, line := range got {
					if !strings.Contains(line, tt.logged[i]) {
						t.Errorf("logged %q, want %q", line, tt.logged[i])
					}
				}
				close(release)
			})
		}
	}
}

const endOfGraceTakes = 10 * time.Second

// TestServer_LogAsksTheServer has a slog.Handler that asks the server something with each record, and so needs its lock.
func TestServer_LogAsksTheServer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var s *Server
		asks := badLog{func() {}, func() {
			if s != nil {
				s.Stats()
			}
		}}
		s = NewServer(ServerOptions{Logger: slogOf(asks)})
		check(t, s.Start()) // without a port
		l := newPipeListener()
		check(t, s.AddListener(l))
		release := make(chan struct{})
		check(t, s.AddService(Service{Name: "t.S", Methods: handlers{
			"M": UnaryUnary(func(context.Context, *raw) (*raw, error) { <-release; return nil, nil }),
		}}))
		client := newTestClient(t, l.dial())
		client.call("/t.S/M", "")
		client.ping()
		terminated := s.Stop(0)
		client.waitEnd()
		client.close()
		wantClosed(t, "termination", terminated)
		close(release)
	})
}

// TestServer_WarnsOfWaits reports what would otherwise look like a server that hangs.
func TestServer_WarnsOfWaits(t *testing.T) {
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name   string
		do     func(s *Server) error
		logged string
	}{
		{"StartWithoutPort", func(s *Server) error { return s.Start() }, "The server has no port"},
		{"ServeWithoutPort", func(s *Server) error { return s.Serve(expired) }, "The server has no port"},
		{"WaitBeforeStart", func(s *Server) error { return s.WaitForTermination(expired) }, "has not been started"},
		{"StartWithPort", func(s *Server) error { return errors.Join(s.AddListener(newPipeListener()), s.Start()) }, ""},
		{"WaitAfterStart", func(s *Server) error {
			check(t, s.AddListener(newPipeListener()))
			check(t, s.Start())
			return s.WaitForTermination(expired)
		}, ""},
	} {
		runInBubble(t, tt.name, func(t *testing.T) {
			log := &testLog{}
			s := NewServer(ServerOptions{Logger: newTestLogger(log), Grace: -1})
			if err := tt.do(s); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			<-s.Stop(0)
			if got := log.lines("level=WARN"); len(got) != btoi(tt.logged != "") || !strings.Contains(log.String(), tt.logged) {
				t.Errorf("logged %q, want %q", got, tt.logged)
			}
		})
	}
}

// TestServer_KeepsASuccessorsSocket has another server bind the path of a Unix socket anew before the first one stops.
func TestServer_KeepsASuccessorsSocket(t *testing.T) {
	for _, own := range []bool{false, true} { // the listener is the test's own
		for _, replaced := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "s")
			bind := func(methods handlers) *testServer {
				s := newTestServer(t, ServerOptions{}, methods)
				if !own {
					_, err := s.AddInsecurePort("unix:" + path)
					check(t, err)
					return s
				}
				l, err := net.Listen("unix", path)
				check(t, err)
				check(t, s.AddListener(l))
				return s
			}
			first := bind(nil)
			if !replaced {
				wantStopped(t, first)
				if _, err := os.Lstat(path); err == nil {
					t.Error("the socket is left behind")
				}
				continue
			}
			check(t, os.Remove(path))
			second := bind(handlers{"M": echo()})
			wantStopped(t, first)
			nc, err := net.Dial("unix", path)
			if err != nil {
				t.Fatalf("the first server has removed the second one's socket: %v", err)
			}
			newTestClient(t, nc).call("/t.S/M", "x").result().want(codes.OK, "", "x")
			wantStopped(t, second)
			if _, err := os.Lstat(path); err == nil {
				t.Error("the second socket is left behind")
			}
		}
	}
}
