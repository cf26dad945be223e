package restarts

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/load"
	"github.com/gogreeter/gogreeter/interop/internal/peer"
	"github.com/gogreeter/gogreeter/runtime/handover"
)

const (
	exchanges = 10  // how many times a process is exchanged for another
	meanwhile = 300 // RPCs that are answered between two steps of an exchange
)

var clients = load.Options{Connections: 4, Newcomers: 2}

// build compiles the server.
func build(t *testing.T) (program string) {
	t.Helper()
	return peer.BuildServer(t, "../internal/loadserver")
}

// start starts a server.
func start(t *testing.T, program string, arguments ...string) *peer.Process {
	t.Helper()
	return peer.Start(t, exec.Command(program, arguments...))
}

// wantServing waits until a server has answered RPCs.
func wantServing(t *testing.T, server *peer.Process) {
	t.Helper()
	load.Eventually(t, "the new server serves", func() bool {
		for _, method := range load.State(t, server).Stats.Methods {
			if method.Handled[0] > 0 {
				return true
			}
		}
		return false
	})
}

// The new server listens at the same address before the old one is told to end.
func TestSharedAddress(t *testing.T) {
	program := build(t)
	serving := start(t, program, "-shared")
	l := load.Start(t, serving.Address, clients)
	for range exchanges {
		next := start(t, program, "-shared", "-addr", serving.Address)
		l.Proceed(t, meanwhile)
		serving.Stop(t)
		serving = next
		wantServing(t, serving)
		l.Proceed(t, meanwhile)
	}
	l.Stop(t)
	serving.Stop(t)
}

// The listener is held by another process, as by systemd. The new server is started when the old one has ended; until
// then, who connects waits.
func TestInheritedListener(t *testing.T) {
	program := build(t)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	start := func() *peer.Process {
		command := exec.Command(program, "-inherited")
		release, err := handover.Command(command, held)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		return peer.Start(t, command)
	}
	serving := start()
	l := load.Start(t, serving.Address, clients)
	for range exchanges {
		l.Proceed(t, meanwhile)
		serving.Stop(t)
		serving = start()
		wantServing(t, serving)
	}
	l.Stop(t)
	serving.Stop(t)
}

// Each server starts the next, which inherits the listener and tells it to end.
func TestSuccessor(t *testing.T) {
	all := start(t, build(t))
	l := load.Start(t, all.Address, clients)
	pid := all.Process.Pid
	for range exchanges {
		l.Proceed(t, meanwhile)
		if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		pid = 0
		for said := 0; said < 2; said++ { // in any order
			line := all.Line(t)
			if _, err := fmt.Sscanf(line, "succeeded by %d", &pid); err != nil && line != "listening on "+all.Address {
				t.Fatalf("the servers say %q", line)
			}
		}
		l.Proceed(t, meanwhile)
	}
	l.Stop(t)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if said := strings.TrimSpace(all.WaitEnd(t)); said != "" {
		t.Errorf("the servers said: %s", said)
	}
}
