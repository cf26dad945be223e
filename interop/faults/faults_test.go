package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/interop/internal/load"
	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // and a SETTINGS frame

func start(t *testing.T, arguments ...string) *peer.Process {
	t.Helper()
	return peer.Start(t, exec.Command(peer.BuildServer(t, "../internal/loadserver"), arguments...))
}

// connect makes an idle connection from one of the addresses 127.0.0.2 to 127.0.0.11, which have ports of their own.
func connect(t *testing.T, address string, i int) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%10))}}
	nc, err := dialer.Dial("tcp", address)
	if err == nil {
		_, err = nc.Write([]byte(greeting))
	}
	if err != nil {
		t.Fatalf("connection %d: %v", i, err)
	}
	return nc
}

func closeAll(connections []net.Conn) {
	for _, nc := range connections {
		nc.Close()
	}
}

// processorTime returns the time that a process has used.
func processorTime(t *testing.T, process int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		t.Skip("there is no /proc")
	}
	_, fields, _ := strings.Cut(string(stat), ") ") // behind the name of the program
	var ticks int64
	for _, field := range strings.Fields(fields)[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// A server that has no descriptor left waits for one, and says so. It serves those that it has, and the others once it
// can.
func TestNoDescriptorLeft(t *testing.T) {
	const limit, measured = 64, 3 * time.Second
	program := peer.BuildServer(t, "../internal/loadserver")
	server := peer.Start(t, exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d && exec %s", limit, program)))
	before := load.Dial(t, server.Address)
	echo(t, before)
	var connections []net.Conn
	defer func() { closeAll(connections) }()
	for i := range 3 * limit {
		connections = append(connections, connect(t, server.Address, i))
	}
	load.Eventually(t, "no descriptor is left", func() bool {
		descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", server.Process.Pid))
		return err != nil || len(descriptors) >= limit
	})
	used, began := processorTime(t, server.Process.Pid), time.Now()
	time.Sleep(measured) // the load average of this server is what is measured
	used = processorTime(t, server.Process.Pid) - used
	t.Logf("with no descriptor left, the server used %v in %v", used, time.Since(began))
	if used > time.Since(began)/2 {
		t.Errorf("with no descriptor left, the server used %v in %v", used, time.Since(began))
	}
	echo(t, before)
	closeAll(connections)
	echo(t, load.Dial(t, server.Address))
	server.Process.Signal(syscall.SIGTERM)
	said := server.WaitEnd(t)
	lines := strings.Count(said, "\n")
	if lines != 1 || !strings.Contains(said, "Accept failed") || !strings.Contains(said, "too many open files") {
		t.Errorf("the server said in %d lines: %s", lines, said)
	}
}

func echo(t *testing.T, channel *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := load.Echo(ctx, channel); err != nil {
		t.Error(err)
	}
}

// A server that is stopped for two seconds, with a keepalive of half a second, takes no client for gone because of it.
// No RPC ends but those whose deadline was then.
func TestStoppedForAWhile(t *testing.T) {
	server := start(t, "-keepalive", "500ms")
	// Clients that say nothing, and wait for their answer.
	const quiet = 20
	answers := make(chan error, quiet)
	for range quiet {
		channel := load.Dial(t, server.Address)
		go func() { answers <- park(t, channel, time.Minute) }()
	}
	load.Eventually(t, "clients wait", func() bool { return load.State(t, server).Stats.Active == quiet })
	l := load.Start(t, server.Address, load.Options{Connections: 4, Newcomers: 2})
	l.Proceed(t, 500)
	channel := load.Dial(t, server.Address)
	echo(t, channel)
	ended := make(chan error, 1)
	go func() { ended <- park(t, channel, time.Second) }()
	server.Process.Signal(syscall.SIGSTOP)
	time.Sleep(2 * time.Second) // this is what happens
	server.Process.Signal(syscall.SIGCONT)
	if err := <-ended; status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the RPC with a deadline ended with %v", err)
	}
	l.Proceed(t, 500)
	server.Ask(t, "release")
	for range quiet {
		if err := <-answers; err != nil {
			t.Errorf("a client that waited: %v", err)
		}
	}
	l.Stop(t)
	server.Stop(t)
}

// park makes an RPC that waits in its handler, with a deadline.
func park(t *testing.T, channel *grpc.ClientConn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return channel.Invoke(ctx, "/load.Load/Park", wrapperspb.Bytes(nil), &wrapperspb.BytesValue{})
}
