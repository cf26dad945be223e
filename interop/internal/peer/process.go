package peer

import (
	"bufio"
	"bytes"
	"context"
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
	output, err := exec.Command("go", append([]string{"build", "-C", directory, "-o", into}, arguments...)...).CombinedOutput()
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
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, arguments...)
	// A program built with the race detector waits a second before it exits, by default.
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	var complaints bytes.Buffer
	command.Stderr = &complaints
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	firstLine, ended := make(chan string, 1), make(chan struct{})
	go func() {
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadString('\n')
		firstLine <- line
		io.Copy(io.Discard, lines)
		command.Wait() // its error is that of ctx, even if the program has ended well
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if code := command.ProcessState.ExitCode(); code != 0 || complaints.Len() > 0 {
			t.Errorf("%s ended with exit code %d, and said: %s", program, code, &complaints)
		}
	})
	select {
	case line := <-firstLine:
		address, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening on ")
		if !ok {
			t.Fatalf("%s's first line is %q, want listening on ADDRESS", program, line)
		}
		return address
	case <-time.After(patience):
		t.Fatalf("%s did not say where it listens", program)
		return ""
	}
}
