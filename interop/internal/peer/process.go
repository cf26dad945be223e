package peer

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

// patience bounds every wait for something that must happen. It is no expectation.
const patience = 60 * time.Second

// BuildServer is Build with the race detector, if the tests have it.
func BuildServer(t testing.TB, directory string) string {
	t.Helper()
	if raceEnabled {
		return Build(t, directory, "-race")
	}
	return Build(t, directory)
}

// Build compiles the main package in a directory, inside that directory's module, and returns the program's path.
// Arguments go to go build: a package, if it is not the one in the directory.
func Build(t testing.TB, directory string, arguments ...string) string {
	t.Helper()
	into := t.TempDir() + string(filepath.Separator)
	arguments = append([]string{"build", "-C", directory, "-o", into}, arguments...)
	output, err := exec.Command("go", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("building %s %v: %v\n%s", directory, arguments, err, output)
	}
	programs, err := os.ReadDir(into)
	if err != nil || len(programs) != 1 {
		t.Fatalf("building %s %v made %v, %v", directory, arguments, programs, err)
	}
	return filepath.Join(into, programs[0].Name())
}

// Serve starts a server that says "listening on ADDRESS", and returns the address. When the test ends the server gets
// SIGTERM, and must end with exit code 0 and nothing on standard error.
func Serve(t testing.TB, program string, arguments ...string) (address string) {
	t.Helper()
	p := Start(t, exec.Command(program, arguments...))
	t.Cleanup(func() { p.Stop(t) })
	return p.Address
}

// Process is a server that runs as a process of its own.
type Process struct {
	*exec.Cmd
	Address string // where it says it listens

	in         io.Writer
	lines      chan string // of its standard output, after the first
	complaints bytes.Buffer
	ended      chan struct{} // closed when the process has, and complaints are complete
}

// Start starts a server that says "listening on ADDRESS". If it runs when the test ends, it is killed.
func Start(t testing.TB, command *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Cmd: command, lines: make(chan string, 100), ended: make(chan struct{})}
	if command.Env == nil {
		command.Env = os.Environ()
	}
	// A program built with the race detector waits a second before it exits, by default.
	command.Env = append(command.Env, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	command.Stderr = &p.complaints
	var stdout io.Reader
	in, err := command.StdinPipe()
	if err == nil {
		stdout, err = command.StdoutPipe()
	}
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	go p.read(stdout)
	t.Cleanup(func() {
		command.Process.Kill()
		<-p.ended
	})
	p.Address = p.listening(t)
	return p
}

func (p *Process) read(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		select {
		case p.lines <- lines.Text():
		default: // nobody asks for them
		}
	}
	close(p.lines)
	p.Wait() // what it returns is in ProcessState
	close(p.ended)
}

func (p *Process) listening(t testing.TB) (address string) {
	t.Helper()
	line := p.Line(t)
	address, ok := strings.CutPrefix(line, "listening on ")
	if !ok {
		t.Fatalf("%s says %q, want listening on ADDRESS", p.Path, line)
	}
	return address
}

// Line returns the next line of the server's standard output.
func (p *Process) Line(t testing.TB) string {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			<-p.ended
			t.Fatalf("%s has ended with %v, and said: %s", p.Path, p.ProcessState, &p.complaints)
		}
		return line
	case <-time.After(patience):
		t.Fatalf("%s says nothing", p.Path)
		return ""
	}
}

// Ask writes a line to the server's standard input, and returns the line with which it answers.
func (p *Process) Ask(t testing.TB, question string) (answer string) {
	t.Helper()
	if _, err := io.WriteString(p.in, question+"\n"); err != nil {
		t.Fatal(err)
	}
	return p.Line(t)
}

// Stop sends SIGTERM. The server must end with exit code 0 and nothing on standard error.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Process.Signal(syscall.SIGTERM)
	if said := p.WaitEnd(t); said != "" {
		t.Errorf("%s said: %s", p.Path, said)
	}
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with %v", p.Path, p.ProcessState)
	}
}

// WaitEnd waits for the server's end, and returns what it has written to standard error.
func (p *Process) WaitEnd(t testing.TB) (complaints string) {
	t.Helper()
	select {
	case <-p.ended:
		return p.complaints.String()
	case <-time.After(patience):
		p.Process.Signal(syscall.SIGQUIT) // it says where its goroutines are
		<-p.ended
		t.Fatalf("%s does not end: %s", p.Path, &p.complaints)
		return ""
	}
}
