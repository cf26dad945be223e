package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestServer_Addresses binds addresses, right and wrong.
func TestServer_Addresses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	socket := filepath.Join(t.TempDir(), "s")
	tests := []struct {
		address string
		want    string // in the error; empty: it can be bound
	}{
		{"127.0.0.1:0", ""},
		{"localhost:0", ""},
		{":0", ""},
		{"[::]:0", ""},
		{"unix:" + socket, ""},
		{"unix:" + socket, "address already in use"}, // a second time
		{taken.Addr().String(), "address already in use"},
		{"", "missing port"},
		{"127.0.0.1", "missing port"},
		{"127.0.0.1:", `port "" is not a number`},
		{"127.0.0.1:99999", `port "99999" is not a number from 0 to 65535`},
		{"127.0.0.1:-1", `port "-1" is not a number`},
		{"127.0.0.1:http", `port "http" is not a number`},
		{"::1:0", "too many colons"},
		{"ipv4:127.0.0.1:0", "too many colons"},
		{"192.0.2.1:0", "cannot assign requested address"},
		{"unix:", "the path of the Unix socket is empty"},
		{"unix:" + filepath.Join(socket, "missing", "s"), "not a directory"},
		{"unix-abstract:", "the path of the Unix socket is empty"},
	}
	s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
	for _, tt := range tests {
		port, err := s.AddInsecurePort(tt.address)
		if tt.want == "" {
			if err != nil {
				if tt.address == "[::]:0" && goruntime.GOOS == "linux" && errors.Is(err, syscall.EAFNOSUPPORT) {
					continue // no IPv6 here
				}
				t.Errorf("%s: %v", tt.address, err)
			} else if unix := strings.HasPrefix(tt.address, "unix:"); (port == 0) != unix {
				t.Errorf("%s: the port is %d", tt.address, port)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", tt.address)) {
			t.Errorf("%s: got %v, want %q", tt.address, err, tt.want)
		}
	}
	nc, err := net.Dial("unix", socket)
	check(t, err)
	newTestClient(t, nc).call("/t.S/M", "x").result().want(codes.OK, "", "x")
	wantClosed(t, "termination", s.Stop(0))
	if _, err := os.Stat(socket); err == nil {
		t.Error("the Unix socket is left behind")
	}
}

// TestServer_AbstractSocket serves a Unix socket that has no file.
func TestServer_AbstractSocket(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("abstract sockets are Linux's")
	}
	name := filepath.Join(t.TempDir(), "s") // a name that nobody else has
	s := newTestServer(t, ServerOptions{}, handlers{"M": UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
		return rawOf(Peer(ctx).LocalAddr.String()), nil
	})})
	if port, err := s.AddInsecurePort("unix-abstract:" + name); err != nil || port != 0 {
		t.Fatalf("got %d, %v", port, err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("there is a file")
	}
	nc, err := net.Dial("unix", "@"+name)
	check(t, err)
	newTestClient(t, nc).call("/t.S/M", "x").result().want(codes.OK, "", "@"+name)
	wantClosed(t, "termination", s.Stop(0))
	if _, err := net.Dial("unix", "@"+name); err == nil {
		t.Error("the socket is left behind")
	}
}

// TestServer_PortsAtEveryStage serves ports that were added before and after Start, and binds them again after Stop.
func TestServer_PortsAtEveryStage(t *testing.T) {
	var before string
	for range 3 {
		s := NewServer(ServerOptions{})
		check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": echo()}}))
		address := before
		if address == "" {
			address = "127.0.0.1:0"
		}
		port, err := s.AddInsecurePort(address)
		check(t, err)
		before = fmt.Sprintf("127.0.0.1:%d", port)
		check(t, s.Start())
		late, err := s.AddInsecurePort("127.0.0.1:0")
		check(t, err)
		for _, p := range []int{port, late} {
			nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p))
			check(t, err)
			c := newTestClient(t, nc)
			c.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			c.close()
		}
		wantClosed(t, "termination", s.Stop(time.Minute))
		if nc, err := net.Dial("tcp", before); err == nil {
			nc.Close()
			t.Error("the port is still open")
		}
	}
}

// TestServer_StopBeforeStart closes the ports, and leaves a server that cannot be started any more: whoever was about to
// learns it.
func TestServer_StopBeforeStart(t *testing.T) {
	s := NewServer(ServerOptions{})
	port, err := s.AddInsecurePort("127.0.0.1:0")
	check(t, err)
	wantClosed(t, "the end of a server that has not begun", s.Stop(time.Minute))
	wantClosed(t, "the end once more", s.Stop(0))
	other := NewServer(ServerOptions{})
	_, err = other.AddInsecurePort(fmt.Sprintf("127.0.0.1:%d", port))
	check(t, err)
	other.Stop(0)
	check(t, s.WaitForTermination(t.Context()))
	for name, err := range map[string]error{
		"Start": s.Start(), "Serve": s.Serve(t.Context()), "AddListener": s.AddListener(newPipeListener()),
	} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("%s: %v, want ErrStopped", name, err)
		}
	}
}

// TestServer_StopBeforeStart_CloseExits has a listener end the goroutine that calls Stop. The others are closed all the same.
func TestServer_StopBeforeStart_CloseExits(t *testing.T) { inBubble(t, testStopBeforeStartCloseExits) }

func testStopBeforeStartCloseExits(t *testing.T) {
	s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	before, after := newPipeListener(), newPipeListener()
	exits := &oddAccept{newPipeListener(), nil, func() net.Addr { return nil }, func() error { goruntime.Goexit(); return nil }}
	check(t, errors.Join(s.AddListener(before), s.AddListener(exits), s.AddListener(after)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Stop(0)
	}()
	<-ended
	for _, l := range []*pipeListener{before, after} {
		if !isClosed(l.closed) {
			t.Error("a listener was not closed")
		}
	}
}

// TestServer_NilListener is refused.
func TestServer_NilListener(t *testing.T) {
	if err := NewServer(ServerOptions{}).AddListener(nil); err == nil {
		t.Error("a nil listener was taken")
	}
}

// failingListener fails to accept for a number of times.
type failingListener struct {
	*pipeListener
	failures int
	err      error
	tries    []time.Time
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		l.tries = append(l.tries, time.Now())
		return nil, l.err
	}
	return l.pipeListener.Accept()
}

// TestServer_AcceptErrors has a listener that fails, and then works.
func TestServer_AcceptErrors(t *testing.T) {
	for _, errno := range acceptErrors {
		runInBubble(t, errno.Error(), func(t *testing.T) {
			l := &failingListener{newPipeListener(), 100, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errno)}, nil}
			s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
			check(t, s.AddListener(l))
			client := newTestClient(t, l.dial()) // waits until it is accepted
			client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			for i := 1; i < len(l.tries); i++ {
				pause := l.tries[i].Sub(l.tries[i-1])
				if want := min(minAcceptPause<<min(i-1, 10), maxAcceptPause); pause != want {
					t.Errorf("the pause before try %d was %v, want %v", i, pause, want)
				}
			}
			if got := len(s.log.lines("Accept failed")); got != 2 { // of an outage of a minute and a half
				t.Errorf("%d records in the log", got)
			}
		})
	}
}

// TestServer_StopWhileAcceptFails does not wait for the pause.
func TestServer_StopWhileAcceptFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := &failingListener{newPipeListener(), 1 << 30, syscall.EMFILE, nil}
		s := newTestServer(t, ServerOptions{}, nil)
		check(t, s.AddListener(l))
		time.Sleep(time.Minute + maxAcceptPause/3)
		began := time.Now()
		wantClosed(t, "termination", s.Stop(time.Hour))
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestServer_ListenerCloses has somebody else close the listener. The connections go on, and the log tells.
func TestServer_ListenerCloses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newTestServer(t, ServerOptions{}, handlers{"M": echo()})
		client := s.dial()
		s.listener.Close()
		synctest.Wait()
		client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
		if got := s.log.lines("level=ERROR"); len(got) != 1 || !strings.Contains(got[0], "no longer served\" address=pipe") {
			t.Errorf("logged %s", s.log)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.WaitForTermination(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitForTermination: %v", err)
		}
	})
}

// TestServer_HTTP1 has net/http ask the server for a page. It is told what the port speaks.
func TestServer_HTTP1(t *testing.T) {
	s := NewServer(ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	port, err := s.AddInsecurePort("127.0.0.1:0")
	check(t, err)
	check(t, s.Start())
	defer func() { <-s.Stop(0) }()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	check(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	check(t, err)
	if r.StatusCode != http.StatusHTTPVersionNotSupported || !strings.Contains(string(text), "gRPC") {
		t.Errorf("the answer is %s, %q", r.Status, text)
	}
}
