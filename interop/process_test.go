package interop

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must happen. It is no expectation: nothing here depends on how long
// anything takes.
const patience = 60 * time.Second

// process is an example server that runs as a process of its own.
type process struct {
	address string // what it said it listens on
	command *exec.Cmd
	exited  chan struct{} // closed once the process has ended and all its output is in the fields below

	// Owned by the goroutine that reads the output until exited is closed.
	furtherOutput bytes.Buffer // what came on stdout after the line with the address
	errorOutput   bytes.Buffer
}

// startServer starts an example server on a free port and waits until it says where it listens. When the test ends, the
// server is told to stop, must end well, and must have written nothing but that one line.
func startServer(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	p := launchServer(t, name, flags...)
	t.Cleanup(func() {
		p.signal(t, syscall.SIGTERM)
		p.wantExit(t, 0)
		p.wantSilence(t)
	})
	return p
}

// launchServer is startServer for a test that ends the process itself.
func launchServer(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	p.command = exec.Command(filepath.Join(bin, name), append([]string{"-addr", "127.0.0.1:0"}, flags...)...)
	p.command.Stderr = &p.errorOutput
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.command.Process.Kill()
		<-p.exited
	})
	firstLine := make(chan string, 1)
	go p.read(stdout, firstLine)
	select {
	case line := <-firstLine:
		address, isAddress := strings.CutPrefix(line, "listening on ")
		if !isAddress {
			t.Fatalf("%s's first line is %q, want listening on <address>", name, line)
		}
		p.address = strings.TrimSuffix(address, "\n")
	case <-time.After(patience):
		t.Fatalf("%s did not say where it listens", name)
	}
	return p
}

// read collects the output and waits for the end of the process.
func (p *process) read(stdout io.Reader, firstLine chan<- string) {
	defer close(p.exited)
	lines := bufio.NewReader(stdout)
	line, _ := lines.ReadString('\n')
	firstLine <- line
	io.Copy(&p.furtherOutput, lines)
	p.command.Wait() // its error is in ProcessState
}

func (p *process) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		<-p.exited
		t.Fatalf("the server was to get %v and has ended already; its stderr: %s", signal, &p.errorOutput)
	}
}

// wantExit waits for the process to end by itself with this code.
func (p *process) wantExit(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
	if state := p.command.ProcessState; state.ExitCode() != code {
		t.Errorf("the server ended with %v, want exit code %d; its stderr: %s", state, code, &p.errorOutput)
	}
}

// wantSilence checks that a process that has ended wrote nothing after its first line: a server writes nothing per
// request, not even per broken one, and the race detector has nothing to say.
func (p *process) wantSilence(t *testing.T) {
	t.Helper()
	if p.furtherOutput.Len() > 0 {
		t.Errorf("the server wrote to stdout after where it listens: %s", &p.furtherOutput)
	}
	if p.errorOutput.Len() > 0 {
		t.Errorf("the server wrote to stderr: %s", &p.errorOutput)
	}
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}
