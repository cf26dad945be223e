package socket

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// wrapped is a connection of a user's own type, as golang.org/x/net/netutil.LimitListener makes them.
type wrapped struct{ net.Conn }

// TestSocket_WriteWithoutWaitingComesBack writes to peers that read nothing. A write that waited would not end.
func TestSocket_WriteWithoutWaitingComesBack(t *testing.T) {
	over := func(network, address string) func(*testing.T) net.Conn {
		return func(t *testing.T) net.Conn {
			l, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return server
		}
	}
	tcp := over("tcp", "127.0.0.1:0")
	for name, connect := range map[string]func(*testing.T) net.Conn{
		"TCP":     tcp,
		"Unix":    over("unix", filepath.Join(t.TempDir(), "socket")),
		"Wrapped": func(t *testing.T) net.Conn { return wrapped{tcp(t)} },
		"Pipe": func(t *testing.T) net.Conn {
			server, client := net.Pipe()
			t.Cleanup(func() { client.Close() })
			return server
		},
	} {
		t.Run(name, func(t *testing.T) {
			nc := connect(t)
			s := New(nc)
			var rest []byte
			var err error
			back := make(chan struct{})
			go func() {
				defer close(back)
				rest, err = s.Write(make([]byte, 64<<20), time.Hour, false)
			}()
			select {
			case <-back:
				if len(rest) == 0 || err != nil {
					t.Errorf("of 64 MiB, %d octets are left of a peer that reads nothing; %v", len(rest), err)
				}
			case <-time.After(time.Minute): // a test that would hang otherwise
				t.Error("the write does not come back")
			}
			nc.Close()
		})
	}
}
