package interop

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refuses reports whether nobody listens at address.
func refuses(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// One Ctrl-C: the RPC that runs is finished, and the process ends well.
func TestInterrupt_LetsRPCFinish(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			server := launchServer(t, "greeter_server", "-delay", "2s", "-grace", "1m")
			peer := dialFrames(t, server.address)
			stream := peer.start(sayHello, requestBody("Ada"))
			peer.settle() // the server has begun the RPC, as it reads in order
			server.signal(t, signal)
			peer.waitGoAway()
			eventually(t, "new connections are refused", func() bool { return refuses(server.address) })
			peer.wait(stream).wantOK(t, "Hello, Ada!")
			server.wantExit(t, 0)
			server.wantSilence(t)
		})
	}
}

// The RPC of this test takes an hour, and so does the grace: whatever happens, happens while the RPC runs.
func TestInterrupt_RefusesConnectionsAtOnce_AndEndsProcessTheSecondTime(t *testing.T) {
	server := launchServer(t, "greeter_server", "-delay", "1h", "-grace", "1h")
	peer := dialFrames(t, server.address)
	stream := peer.start(sayHello, requestBody("Ada"))
	peer.settle()
	server.signal(t, os.Interrupt)
	eventually(t, "new connections are refused", func() bool { return refuses(server.address) })
	peer.settle() // the connection with the RPC is still served
	if peer.open[stream].ended {
		t.Error("the RPC has ended with the first interrupt")
	}

	interruptUntilDead(t, server)
	status, isWaitStatus := server.command.ProcessState.Sys().(syscall.WaitStatus)
	if !isWaitStatus || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the second interrupt ended the process with %v, want by the signal", server.command.ProcessState)
	}
}

// interruptUntilDead sends SIGINT again: an impatient user's second Ctrl-C, or the third if the process had not yet
// digested the first.
func interruptUntilDead(t *testing.T, server *process) {
	t.Helper()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		server.command.Process.Signal(os.Interrupt)
		select {
		case <-server.exited:
			return
		case <-again.C:
		case <-deadline:
			t.Fatal("the server survives the second interrupt")
		}
	}
}

// When the grace is over, the RPCs that still run are ended with a status, and the process ends well.
func TestInterrupt_EndsRPC_WhenGraceIsOver(t *testing.T) {
	server := launchServer(t, "greeter_server", "-delay", "1h", "-grace", "100ms")
	peer := dialFrames(t, server.address)
	stream := peer.start(sayHello, requestBody("Ada"))
	peer.settle()
	server.signal(t, os.Interrupt)
	peer.wait(stream).wantStatus(t, "14", "Cancelling all calls")
	server.wantExit(t, 0)
	if said := server.errorOutput.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "RPCs were cut off since the grace is over rpcs=1") {
		t.Errorf("the server wrote to stderr: %s", said)
	}
}
