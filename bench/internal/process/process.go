// Package process runs a server under measurement as a process of its own, and reads the CPU time it has taken.
package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/gogreeter/gogreeter/bench/internal/report"
)

// Server is a running server.
type Server struct {
	Address string // what it said it listens on
	command *exec.Cmd
	stdin   io.Writer
	stdout  *bufio.Reader
}

// Build compiles the main package in directory, in the module it belongs to, to the file output.
func Build(directory, output string, flags ...string) error {
	arguments := append([]string{"build", "-C", directory, "-o", output}, flags...)
	command := exec.Command("go", append(arguments, ".")...)
	if complaint, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", directory, err, complaint)
	}
	return nil
}

// Start starts a server on a free port and waits until it says "listening on <address>". The command is the program and
// its flags; environment is added to ours.
func Start(command, environment []string) (*Server, error) {
	server := exec.Command(command[0], append(slices.Clone(command[1:]), "-addr", "127.0.0.1:0")...)
	server.Env = append(os.Environ(), environment...)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	s := &Server{command: server, stdin: stdin, stdout: bufio.NewReader(stdout)}
	line, err := s.stdout.ReadString('\n')
	address, isAddress := strings.CutPrefix(line, "listening on ")
	if err != nil || !isAddress {
		s.Stop()
		return nil, fmt.Errorf("%s did not say where it listens, but %q", command[0], line)
	}
	s.Address = strings.TrimSpace(address)
	return s, nil
}

// Stop ends the server, whatever it is doing, and waits for its end.
func (s *Server) Stop() {
	s.command.Process.Signal(syscall.SIGKILL)
	s.command.Wait()
}

// Ask has a Go server answer a question of package report.
func (s *Server) Ask(question string) (answer string, err error) {
	if _, err := io.WriteString(s.stdin, question+"\n"); err != nil {
		return "", err
	}
	line, err := s.stdout.ReadString('\n')
	return strings.TrimSpace(line), err
}

// Tell is Ask where the answer has to be "done".
func (s *Server) Tell(question string) error {
	answer, err := s.Ask(question)
	if err == nil && answer != "done" {
		err = fmt.Errorf("asked for %q, the server said %q", question, answer)
	}
	return err
}

// Allocations returns how many allocations a Go server has made since its start.
func (s *Server) Allocations() (uint64, error) {
	answer, err := s.Ask(report.Allocations)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(answer, 10, 64)
}

// Calls returns how often the server has read and written since its start (system calls, files included).
func (s *Server) Calls() (reads, writes int, err error) {
	reads, err = s.field("io", "syscr:")
	if err != nil {
		return 0, 0, err
	}
	writes, err = s.field("io", "syscw:")
	return reads, writes, err
}

// Resident returns the server's resident set in KiB.
func (s *Server) Resident() (kib int, err error) { return s.field("status", "VmRSS:") }

// field reads a number from a file of the server's in /proc.
func (s *Server) field(file, name string) (int, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.command.Process.Pid, file))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(content))
	for i := range len(fields) - 1 {
		if fields[i] == name {
			return strconv.Atoi(fields[i+1])
		}
	}
	return 0, fmt.Errorf("%s has no field %s", file, name)
}
