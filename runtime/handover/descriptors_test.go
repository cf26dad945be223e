//go:build unix

package handover

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCommand_LeavesTheSocketFile closes the parent's listener: the child serves at that path, and clients have to find it.
func TestCommand_LeavesTheSocketFile(t *testing.T) {
	_, l := listeners(t)
	release, err := Command(exec.Command(os.Args[0]), l)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	l.Close()
	if _, err := os.Stat(l.Addr().String()); err != nil {
		t.Errorf("the socket file of the child: %v", err)
	}
}

// TestCommand_FailureKeepsNothingOpen has a listener that cannot be passed on behind one that can. A duplicate of the first
// would keep its port, and clients waiting in a queue that nobody looks at.
func TestCommand_FailureKeepsNothingOpen(t *testing.T) {
	closed, _ := listeners(t)
	closed.Close()
	for name, second := range map[string]net.Listener{
		"without a descriptor": struct{ net.Listener }{closed},
		"that is closed":       closed,
	} {
		tcp, _ := listeners(t)
		if _, err := Command(exec.Command(os.Args[0]), tcp, second); err == nil {
			t.Fatalf("a listener %s was taken", name)
		}
		tcp.Close()
		if nobodyListens(t, tcp.Addr()); t.Failed() {
			t.Errorf("a duplicate is left behind a listener %s", name)
		}
	}
}

// TestTakeOver_FailureKeepsNothingOpen has a descriptor that is no socket behind one that is.
func TestTakeOver_FailureKeepsNothingOpen(t *testing.T) {
	tcp, _ := listeners(t)
	file, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	first := duplicateAt(t, file, 100)
	if second := duplicateAt(t, os.Stderr, first+1); second != first+1 {
		t.Fatalf("the descriptors are %d and %d, and have to be in a row", first, second)
	}
	t.Setenv(fromParent, "2")
	if _, err := takeOver(first); err == nil || !strings.Contains(err.Error(), "descriptor 101") {
		t.Fatalf("what is no socket was inherited: %v", err)
	}
	file.Close()
	tcp.Close()
	nobodyListens(t, tcp.Addr())
}

// TestTakeOver_FailureClosesAll has listeners behind a descriptor that is no socket, and a number without a descriptor
// between them. Nothing else can close them, and clients would wait in their queues.
func TestTakeOver_FailureClosesAll(t *testing.T) {
	first := duplicateAt(t, os.Stderr, 100)
	var behind []net.Addr
	for _, fd := range []int{first + 1, first + 3} {
		tcp, _ := listeners(t)
		file, err := tcp.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		if at := duplicateAt(t, file, fd); at != fd {
			t.Fatalf("descriptor %d is not free", fd)
		}
		file.Close()
		tcp.Close()
		behind = append(behind, tcp.Addr())
	}
	t.Setenv(fromParent, "4")
	if _, err := takeOver(first); err == nil {
		t.Fatal("what is no socket was inherited")
	}
	for _, address := range behind {
		nobodyListens(t, address)
	}
}

// TestTakeOver_LeavesWhatWasNotPassed has a number of descriptors that is too large. Those of this process stay open: one of
// them is what the runtime waits for the network with.
func TestTakeOver_LeavesWhatWasNotPassed(t *testing.T) {
	tcp, _ := listeners(t)
	file, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	first := duplicateAt(t, file, 100)
	for fd := first + 1; fd < first+3; fd++ {
		if own := duplicateAt(t, file, fd); own != fd {
			t.Fatalf("descriptor %d is not free", fd)
		}
		unix.CloseOnExec(fd)
		defer unix.Close(fd)
	}
	t.Setenv(fromParent, "3")
	if _, err := takeOver(first); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("descriptor %d: it was not passed", first+1)) {
		t.Errorf("a descriptor of this process was inherited: %v", err)
	}
	for fd := first + 1; fd < first+3; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d of this process is closed: %v", fd, err)
		}
	}
}

// duplicateAt returns a duplicate of a descriptor, of the number at or above the lowest that is free.
func duplicateAt(t *testing.T, file *os.File, lowest int) (fd int) {
	t.Helper()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD, lowest)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func nobodyListens(t *testing.T, address net.Addr) {
	t.Helper()
	nc, err := net.Dial(address.Network(), address.String())
	if err == nil {
		nc.Close()
		t.Errorf("somebody listens still at %v", address)
	}
}

// TestCommand_ClearsTheEnvironment has a parent that was handed listeners itself: the child must not believe any of that.
func TestCommand_ClearsTheEnvironment(t *testing.T) {
	tcp, _ := listeners(t)
	command := exec.Command(os.Args[0])
	command.Env = []string{
		"A=1", "GOGREETER_LISTEN_FDS=9", "LISTEN_FDS=8", "LISTEN_PID=7", "LISTEN_FDNAMES=grpc", "LISTEN_FDS_OF_MINE=6",
	}
	release, err := Command(command, tcp)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if want := []string{"A=1", "LISTEN_FDS_OF_MINE=6", "GOGREETER_LISTEN_FDS=1"}; !slices.Equal(command.Env, want) {
		t.Errorf("the environment is %q, want %q", command.Env, want)
	}
}
