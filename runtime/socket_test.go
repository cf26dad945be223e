package runtime

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// dialTCP starts a server on a loopback port and connects to it.
func dialTCP(t *testing.T, options ServerOptions, methods handlers) (*testServer, *net.TCPConn) {
	t.Helper()
	t.Cleanup(func() { wantNoGoroutines(t) }) // last of all
	s := newTestServer(t, options, methods)
	port, err := s.AddInsecurePort("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return s, nc
}

// wantNoGoroutines waits until no goroutine is left of any server. It is for tests outside bubbles, which see to that
// themselves.
func wantNoGoroutines(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		left := serversGoroutines(allStacks())
		if len(left) == 0 {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
		}
	}
}

// serversGoroutines returns the stacks of those that run the server's code on their own: no test's, and no test peer's.
func serversGoroutines(stacks string) (found []string) {
	ours := regexp.MustCompile(`(?m)^github\.com/gogreeter/gogreeter/runtime(?:/internal/(\w+))?\..*\n\t(\S+\.go):`)
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		if strings.Contains(stack, "testing.tRunner(") {
			continue
		}
		for _, frame := range ours.FindAllStringSubmatch(stack, -1) {
			if frame[1] != "h2test" && !strings.HasSuffix(frame[2], "_test.go") {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}

// TestServersGoroutines_Finds makes sure that what is found when nothing is left can be found.
func TestServersGoroutines_Finds(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, handlers{
		"Ends": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{}, nil }),
	})
	w := newFramePeer(t, nc)
	w.Preface()
	w.call(1, "/t.S/Ends")
	w.Until(func(f h2test.Frame) bool { return f.Type == h2test.Headers && f.Flags&h2test.EndStream != 0 })
	found := strings.Join(serversGoroutines(allStacks()), "\n\n")
	for _, want := range []string{"work.(*Pool).run(", "internal/http2."} { // a worker, a connection's reader
		if !strings.Contains(found, want) {
			t.Errorf("no goroutine of %s is found among\n%s", want, found)
		}
	}
	wantStopped(t, s)
}

// wantStopped stops a server and waits for it.
func wantStopped(t *testing.T, s *testServer) {
	t.Helper()
	wantClosed(t, "the server's termination", s.Stop(0))
}

// TestServer_EndsAConnectionThatIsNotRead has the reader itself in a write that times out.
func TestServer_EndsAConnectionThatIsNotRead(t *testing.T) {
	over := make(chan struct{})
	s, nc := dialTCP(t, ServerOptions{WriteTimeout: 50 * time.Millisecond}, handlers{
		"Large": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 32<<20)}, nil }),
		"Wait": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
			<-ctx.Done()
			close(over)
			return nil, ctx.Err()
		}),
	})
	w := newFramePeer(t, nc)
	w.Preface(h2test.InitialWindowSize, 0)
	w.call(1, "/t.S/Wait")
	w.call(3, "/t.S/Large")
	w.Until(func(f h2test.Frame) bool { return f.Type == h2test.Headers })
	w.WriteWindowUpdate(0, 1<<30)
	w.WriteWindowUpdate(3, 1<<30)
	wantClosed(t, "the end of the other RPC", over) // and nothing is read
	wantStopped(t, s)
}

// TestServer_StopsDespiteAFlood has a peer that keeps on sending after the connection has ended.
func TestServer_StopsDespiteAFlood(t *testing.T) {
	s, nc := dialTCP(t, ServerOptions{}, handlers{"Echo": echo()})
	w := newFramePeer(t, nc)
	w.Preface()
	w.call(1, "/t.S/Echo")
	w.Until(func(f h2test.Frame) bool { return f.Type == h2test.Data })
	done := make(chan struct{})
	go func() {
		defer close(done)
		junk := make([]byte, 64<<10)
		for {
			if _, err := nc.Write(junk); err != nil {
				return
			}
		}
	}()
	wantStopped(t, s)
	wantClosed(t, "the end of the flood", done)
}

// TestServer_SurvivesResets has clients vanish while the server writes to them.
func TestServer_SurvivesResets(t *testing.T) {
	s, first := dialTCP(t, ServerOptions{}, handlers{"Echo": echo()})
	first.Close()
	addr := first.RemoteAddr().(*net.TCPAddr)
	for range 100 {
		nc, err := net.DialTCP("tcp", nil, addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetLinger(0) // Close sends a TCP reset
		w := newFramePeer(t, nc)
		w.Preface()
		for id := uint32(1); id < 200; id += 2 {
			w.call(id, "/t.S/Echo")
			w.WriteFrame(h2test.Ping, 0, 0, make([]byte, 8))
		}
		nc.Close()
	}
	c := s.dial()
	c.call("/t.S/Echo", "alive").result().want(codes.OK, "", "alive")
	c.close()
	wantStopped(t, s)
}

// TestServer_ClientThatDoesNotReadPinsNoWorker has as many clients that do not read as there are workers.
func TestServer_ClientThatDoesNotReadPinsNoWorker(t *testing.T) {
	const workers = 2
	s, reader := dialTCP(t, ServerOptions{Workers: workers}, handlers{
		"Large": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 32<<20)}, nil }),
		"M":     echo(),
	})
	for range workers {
		nc, err := net.Dial("tcp", reader.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		w := newFramePeer(t, nc)
		w.Preface(h2test.InitialWindowSize, 1<<31-1)
		w.WriteWindowUpdate(0, 1<<31-1-65535)
		w.call(1, "/t.S/Large")
	}
	c := newTestClient(t, reader)
	for range 10 { // if the workers are busy, they are not for long
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
	}
	wantStopped(t, s)
}

// wrappedListener is a listener of a user's own, as golang.org/x/net/netutil.LimitListener: its connections are no sockets
// of the system's by their type.
type wrappedListener struct{ net.Listener }

func (l wrappedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{nc}, nil
}

// TestServer_WrappedListener_ClientThatDoesNotReadPinsNoWorker has as many clients of a wrapped listener as there are
// workers leave responses unread.
func TestServer_WrappedListener_ClientThatDoesNotReadPinsNoWorker(t *testing.T) {
	t.Cleanup(func() { wantNoGoroutines(t) }) // last of all
	const workers = 2
	s := newTestServer(t, ServerOptions{Workers: workers, WriteTimeout: time.Hour}, handlers{
		"Large": UnaryUnary(func(context.Context, *raw) (*raw, error) { return &raw{Data: make([]byte, 32<<20)}, nil }),
		"M":     echo(),
	})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddListener(wrappedListener{tcp}); err != nil {
		t.Fatal(err)
	}
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	for range workers {
		stuck := newFramePeer(t, dial())
		stuck.Preface(h2test.InitialWindowSize, 1<<31-1)
		stuck.WriteWindowUpdate(0, 1<<31-1-65535)
		for id := uint32(1); id < 9; id += 2 {
			stuck.call(id, "/t.S/Large")
		}
		stuck.Until(func(f h2test.Frame) bool { return f.Type == h2test.Data })
	}
	c := newTestClient(t, dial())
	for range 10 {
		c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
	}
	if n := s.Stats().Connections; n != workers+1 {
		t.Errorf("%d connections are open, want %d: those that are stuck too", n, workers+1)
	}
	wantStopped(t, s)
}
