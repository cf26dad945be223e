package runtime

import (
	"fmt"
	"net"
	goruntime "runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestServer_StopServesTheQueue has clients that have connected when the server stops, whether they have been accepted or
// not. All of them get an answer, and none is reset.
func TestServer_StopServesTheQueue(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("what waits in the queue of a listener is served on Linux only")
	}
	const clients = 20
	for range 20 {
		s := newTestServer(t, Options{}, handlers{"M": echo()})
		port, err := s.AddInsecurePort("127.0.0.1:0")
		check(t, err)
		connected := make([]net.Conn, clients)
		for i := range connected {
			connected[i], err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			check(t, err)
		}
		terminated := s.Stop(time.Hour)
		for _, nc := range connected {
			w := &frames{t: t, nc: nc}
			w.greet()
			w.call(1, "/t.S/M")
		}
		for _, nc := range connected {
			answered, goAway := false, false
			(&frames{t: t, nc: nc}).readUntil(func(f http2.Frame) bool {
				switch f := f.(type) {
				case *http2.GoAwayFrame:
					goAway = true
				case *http2.HeadersFrame:
					answered = answered || f.StreamEnded()
				}
				return answered && goAway
			})
			nc.Close()
		}
		wantClosed(t, "the server's termination", terminated)
	}
}

// TestAcceptQueued takes what is there, and does not wait for more.
func TestAcceptQueued(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("there is nothing to test but on Linux")
	}
	for _, network := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", t.TempDir() + "/s"}} {
		l, err := net.Listen(network[0], network[1])
		check(t, err)
		for range 3 {
			client, err := net.Dial(network[0], l.Addr().String())
			check(t, err)
			defer client.Close()
		}
		for i := range 3 {
			nc := acceptQueued(l)
			if nc == nil {
				t.Fatalf("%v: there were %d connections in the queue", network, i)
			}
			if fmt.Sprintf("%T", nc) != map[string]string{"tcp": "*net.TCPConn", "unix": "*net.UnixConn"}[network[0]] {
				t.Errorf("%v: a %T", network, nc)
			}
			nc.Close()
		}
		if nc := acceptQueued(l); nc != nil {
			t.Errorf("%v: there was one more", network)
		}
		l.Close()
		if nc := acceptQueued(l); nc != nil {
			t.Errorf("%v: a closed listener has a queue", network)
		}
	}
	if acceptQueued(newPipeListener()) != nil {
		t.Error("a listener that is no socket has a queue")
	}
}
