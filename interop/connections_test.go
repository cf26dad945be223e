package interop

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// echoFrom calls Echo and returns the address of the connection that was used.
func echoFrom(t *testing.T, channel *grpc.ClientConn) string {
	t.Helper()
	var used peer.Peer
	got, err := call[request, reply](t.Context(), channel, factsPath("Echo"), requests("Ada"), grpc.Peer(&used))
	if err != nil || len(got) != 1 {
		t.Fatalf("answered with %v, %v", got, err)
	}
	return used.LocalAddr.String()
}

// Connections that are too old are exchanged for new ones, and no RPC is lost by it.
func TestMaxAge_LosesNoRPC(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		options := quiet
		options.Connections.MaxAge = 50 * time.Millisecond
		channel := tr.dial(t, serveFacts(t, tr, newFacts(), options), grpc.WithDisableRetry())
		connections := map[string]bool{}
		eventually(t, "the connection has been exchanged five times", func() bool {
			connections[echoFrom(t, channel)] = true
			return len(connections) > 5
		})
	})
}

func TestMaxIdle_EndsConnection(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		options := quiet
		options.Connections.MaxIdle = time.Millisecond
		channel := tr.dial(t, serveFacts(t, tr, newFacts(), options))
		first := echoFrom(t, channel)
		eventually(t, "the connection has been exchanged", func() bool { return echoFrom(t, channel) != first })
	})
}

// mute is a network connection that can be cut without its other end being told.
type mute struct {
	net.Conn
	cut atomic.Bool
}

func (m *mute) Write(b []byte) (int, error) {
	if m.cut.Load() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// A client that is gone without a word is found out by keepalive, and its RPC ends. One that answers is not.
func TestKeepalive_FindsOutClientThatIsGone(t *testing.T) {
	f := newFacts()
	options := quiet
	options.Connections.KeepaliveTime = 20 * time.Millisecond
	options.Connections.KeepaliveTimeout = 5 * time.Second
	address := serveFacts(t, transport{}, f, options)
	dialed := make(chan *mute, 1)
	channel, err := grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			m := &mute{Conn: conn}
			dialed <- m
			return m, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	answer := make(chan error, 1)
	go func() {
		_, err := call[request, reply](context.Background(), channel, factsPath("Wait"), requests(""))
		answer <- err
	}()
	<-f.began
	(<-dialed).cut.Store(true)
	if err := <-f.waitEnds; err != context.Canceled {
		t.Errorf("the handler's context ended with %v", err)
	}
	if err := <-answer; status.Code(err) != codes.Unavailable {
		t.Errorf("the client's RPC ended with %v", err)
	}
}

// grpc-python's client, told to ask more often than the server permits, is made to stop.
func TestKeepalive_IsEnforced(t *testing.T) {
	python := needPython(t)
	for _, row := range []struct {
		name      string
		permitted time.Duration
		timeout   string // of the RPC: longer than the test, or so long that the server could have complained
		want      string
	}{
		{"too often", 0, "60", "UNAVAILABLE"},
		{"permitted", time.Millisecond, "2", "DEADLINE_EXCEEDED"},
	} {
		t.Run(row.name, func(t *testing.T) {
			options := quiet
			options.Connections.MinPingInterval = row.permitted
			address := serveFacts(t, transport{}, newFacts(), options)
			command := exec.CommandContext(t.Context(), python, "testdata/keepalive.py", "-addr", address, "-timeout", row.timeout)
			command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			output, err := command.Output() // what it complains of is on standard error
			if got := strings.TrimSpace(string(output)); err != nil || got != row.want {
				t.Errorf("the RPC of a client that asks five times a second ended with %s (%v), want %s", got, err, row.want)
			}
		})
	}
}
