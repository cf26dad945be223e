//go:build unix

package handover

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain makes a child of the test program, if it is one, answer on the listeners that it inherits.
func TestMain(m *testing.M) {
	if os.Getenv("HANDOVER_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	switch os.Getenv("HANDOVER_TEST_CHILD") {
	case "idle":
		fmt.Println("idle")
		io.Copy(io.Discard, os.Stdin)
		return
	case "systemd":
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // which only the process itself and systemd know
	}
	listeners, err := Inherited()
	again, _ := Inherited()
	fmt.Println(len(listeners), len(again), err, os.Getenv("LISTEN_FDS")+os.Getenv("GOGREETER_LISTEN_FDS"))
	for _, l := range listeners {
		nc, err := l.Accept()
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Fprintln(nc, "served by the child at", l.Addr())
		nc.Close()
		l.Close()
	}
}

// child is the test program as a command whose TestMain is a child's.
func child(kind string) *exec.Cmd {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "HANDOVER_TEST_CHILD="+kind)
	return command
}

// start starts a child and returns its first line, and what waits for its end.
func start(t *testing.T, command *exec.Cmd) (firstLine string, wait func()) {
	t.Helper()
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill() })
	lines := bufio.NewReader(stdout)
	firstLine, err = lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(firstLine), func() {
		t.Helper()
		if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
			t.Errorf("the child wrote %q, %v", rest, err)
		}
		if err := command.Wait(); err != nil {
			t.Errorf("the child ended with %v", err)
		}
	}
}

// wantChild checks that it is the child that answers.
func wantChild(t *testing.T, waiting net.Conn) {
	t.Helper()
	answer, err := io.ReadAll(waiting)
	if want := fmt.Sprintln("served by the child at", waiting.RemoteAddr()); err != nil || string(answer) != want {
		t.Errorf("answered with %q, %v; want %q", answer, err, want)
	}
	waiting.Close()
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func listeners(t *testing.T) (tcp, unix net.Listener) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err = net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close(); unix.Close() })
	return tcp, unix
}

// TestCommand hands two listeners over that the parent closes; what waits in their queues is not lost.
func TestCommand(t *testing.T) {
	tcp, unix := listeners(t)
	first, second := dial(t, tcp), dial(t, unix)
	t.Setenv("LISTEN_FDS", "7") // of somebody else
	command := child("parent")
	release, err := Command(command, tcp, unix)
	if err != nil {
		t.Fatal(err)
	}
	firstLine, wait := start(t, command)
	release()
	if firstLine != "2 2 <nil>" {
		t.Errorf("the child says %q", firstLine)
	}
	tcp.Close()
	unix.Close()
	wantChild(t, first)
	wantChild(t, second)
	wait()
}

func TestCommand_Refuses(t *testing.T) {
	tcp, _ := listeners(t)
	command := child("parent")
	if _, err := Command(command, tcp, struct{ net.Listener }{tcp}); err == nil || !strings.Contains(err.Error(), "has no descriptor") {
		t.Errorf("a listener without a descriptor: %v", err)
	}
	command.ExtraFiles = []*os.File{os.Stdin}
	if _, err := Command(command, tcp); err == nil || !strings.Contains(err.Error(), "ExtraFiles") {
		t.Errorf("a command with files of its own: %v", err)
	}
}

// TestCommand_FailureChangesNothing has the second listener fail, in each way there is. The command can be tried again, no
// descriptor is left open, and a socket file is removed as before.
func TestCommand_FailureChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		second func(tcp net.Listener) net.Listener
	}{
		{"NoDescriptor", func(tcp net.Listener) net.Listener { return struct{ net.Listener }{tcp} }},
		{"Closed", func(tcp net.Listener) net.Listener { tcp.Close(); return tcp }},
		{"Nil", func(net.Listener) net.Listener { return nil }},
		{"NilPointer", func(net.Listener) net.Listener { return (*net.TCPListener)(nil) }},
		{"FileOfNothing", func(tcp net.Listener) net.Listener { return fileless{tcp} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tcp, unix := listeners(t)
			command := child("parent")
			environ := slices.Clone(command.Env)
			second := tt.second(tcp)
			before := descriptors(t)
			if _, err := Command(command, unix, second); err == nil {
				t.Fatal("a listener without a descriptor was taken")
			}
			if len(command.ExtraFiles) > 0 || !slices.Equal(command.Env, environ) {
				t.Errorf("the command has %d files, and the environment %q", len(command.ExtraFiles), command.Env)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors are open, and %d were before", after, before)
			}
			release, err := Command(command, unix)
			if err != nil {
				t.Fatal(err)
			}
			release()
			unix.(*net.UnixListener).SetUnlinkOnClose(true)
			unix.Close()
		})
	}
}

// TestCommand_KeepsSocketFiles has the parent's listener closed, in either way. The child needs its file.
func TestCommand_KeepsSocketFiles(t *testing.T) {
	for name, wrap := range map[string]func(l *net.UnixListener) net.Listener{
		"AsItIs":   func(l *net.UnixListener) net.Listener { return l },
		"Embedded": func(l *net.UnixListener) net.Listener { return struct{ *net.UnixListener }{l} },
	} {
		t.Run(name, func(t *testing.T) {
			_, unix := listeners(t)
			l := wrap(unix.(*net.UnixListener))
			release, err := Command(child("parent"), l)
			if err != nil {
				t.Fatal(err)
			}
			release()
			l.Close()
			if _, err := os.Stat(unix.Addr().String()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCommand_FailureLeavesSocketFiles has closing the listener remove its file, as before.
func TestCommand_FailureLeavesSocketFiles(t *testing.T) {
	tcp, unix := listeners(t)
	if _, err := Command(child("parent"), unix, struct{ net.Listener }{tcp}); err == nil {
		t.Fatal("a listener without a descriptor was taken")
	}
	unix.Close()
	if _, err := os.Stat(unix.Addr().String()); !os.IsNotExist(err) {
		t.Errorf("the socket file is left: %v", err)
	}
}

// fileless is a listener that has neither a file nor an error.
type fileless struct{ net.Listener }

func (fileless) File() (*os.File, error) { return nil, nil }

// descriptors counts what this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// TestCommand_LeavesTheParentItsPoller has a child that has been started and has not asked for its listeners yet. The two share
// what the socket is set to. Were it blocking, an Accept of the parent's would take a thread that nothing wakes but a
// connection: Stop would not end.
func TestCommand_LeavesTheParentItsPoller(t *testing.T) {
	tcp, unix := listeners(t)
	command := child("idle")
	release, err := Command(command, tcp, unix)
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	_, wait := start(t, command)
	defer wait()
	defer stdin.Close()
	for _, l := range []net.Listener{tcp, unix} {
		if !nonblocking(t, l) {
			t.Errorf("%v: the parent's socket is blocking", l.Addr())
		}
	}
	release()
}

func nonblocking(t *testing.T, l net.Listener) (is bool) {
	t.Helper()
	raw, err := l.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
			if err != nil {
				t.Error(err)
			}
			is = flags&unix.O_NONBLOCK != 0
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// TestCommand_Environment is what the child has besides: what it would have without Command.
func TestCommand_Environment(t *testing.T) {
	t.Setenv("LISTEN_FDS", "7") // of somebody else
	t.Setenv("PWD", "/elsewhere")
	tcp, _ := listeners(t)
	for _, env := range [][]string{nil, {}, {"A=1", "LISTEN_PID=1", "GOGREETER_LISTEN_FDS=3", "B="}} {
		command := &exec.Cmd{Path: os.Args[0], Env: env, Dir: t.TempDir()}
		want := slices.DeleteFunc(command.Environ(), func(entry string) bool {
			return strings.HasPrefix(entry, "LISTEN_") || strings.HasPrefix(entry, "GOGREETER_LISTEN_")
		})
		release, err := Command(command, tcp)
		if err != nil {
			t.Fatal(err)
		}
		release()
		if got := command.Environ(); !slices.Equal(got, append(want, "GOGREETER_LISTEN_FDS=1")) {
			t.Errorf("%q: the child has %q, want %q", env, got, want)
		}
	}
}

// TestInherited_FromSystemd passes a listener as systemd does.
func TestInherited_FromSystemd(t *testing.T) {
	tcp, _ := listeners(t)
	waiting := dial(t, tcp)
	file, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command := child("systemd")
	command.Env = append(command.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=grpc")
	command.ExtraFiles = []*os.File{file}
	firstLine, wait := start(t, command)
	if firstLine != "1 1 <nil>" {
		t.Errorf("the child says %q", firstLine)
	}
	wantChild(t, waiting)
	wait()
}

func TestInherited_Nothing(t *testing.T) {
	for env, want := range map[string]string{
		"":                                "0 0 <nil>",
		"LISTEN_FDS=1":                    "0 0 <nil>", // without LISTEN_PID
		"GOGREETER_LISTEN_FDS=one":        `0 0 handover: GOGREETER_LISTEN_FDS is "one"; it is the number of descriptors`,
		"GOGREETER_LISTEN_FDS=-1":         `0 0 handover: GOGREETER_LISTEN_FDS is "-1"; it is the number of descriptors`,
		"GOGREETER_LISTEN_FDS=2000000000": `0 0 handover: GOGREETER_LISTEN_FDS is "2000000000"; it is the number of descriptors`,
		"GOGREETER_LISTEN_FDS=9":          `0 0 handover: descriptor `,
	} {
		command := child("parent")
		command.Env = append(command.Env, env)
		firstLine, wait := start(t, command)
		if !strings.HasPrefix(firstLine, want) {
			t.Errorf("%s: the child says %q, want %q", env, firstLine, want)
		}
		wait()
	}
}

// TestListen has two sockets at one address; when one is closed, the other serves.
func TestListen(t *testing.T) {
	first, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Listen(t.Context(), "tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	client := dial(t, second)
	defer client.Close()
	nc, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if _, err := net.Listen("tcp", second.Addr().String()); err == nil {
		t.Error("a socket without SO_REUSEPORT shares the address")
	}
}
