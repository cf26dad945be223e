// Package process runs a server under measurement as a process of its own, and reads the CPU time it has taken.
package process

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	Address string // what it said it listens on
	command *exec.Cmd
	stdin   io.Writer
	stdout  *bufio.Reader
}

// Build compiles the main package in directory, in the module it belongs to, to the file output.
func Build(directory, output string) error {
	command := exec.Command("go", "build", "-C", directory, "-o", output, ".")
	if complaint, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", directory, err, complaint)
	}
	return nil
}

// Start starts a server on a free port and waits until it says "listening on <address>".
func Start(program string, flags ...string) (*Server, error) {
	command := exec.Command(program, append(flags, "-addr", "127.0.0.1:0")...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &Server{command: command, stdin: stdin, stdout: bufio.NewReader(stdout)}
	line, err := s.stdout.ReadString('\n')
	address, isAddress := strings.CutPrefix(line, "listening on ")
	if err != nil || !isAddress {
		s.Stop()
		return nil, fmt.Errorf("%s did not say where it listens, but %q", program, line)
	}
	s.Address = strings.TrimSpace(address)
	return s, nil
}

// Stop ends the server, whatever it is doing, and waits for its end.
func (s *Server) Stop() {
	s.command.Process.Signal(syscall.SIGKILL)
	s.command.Wait()
}

// clockTick is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU returns the user and system time that the server has taken since its start, to 10 ms.
func (s *Server) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name of the program in parentheses, which may contain anything; utime and stime are the
	// 14th and 15th field, see proc_pid_stat(5).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read %q", stat)
	}
	total := time.Duration(0)
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read %q: %w", stat, err)
		}
		total += time.Duration(ticks) * clockTick
	}
	return total, nil
}

// Allocations returns how many allocations a Go server has made since its start; see package report.
func (s *Server) Allocations() (uint64, error) {
	if _, err := io.WriteString(s.stdin, "\n"); err != nil {
		return 0, err
	}
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(line), 10, 64)
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
