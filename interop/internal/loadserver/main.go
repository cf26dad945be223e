// Command loadserver is the server of the tests that restart, stop and kill servers under load. It serves load.Load
// (service.go), and ends with SIGTERM as the servers of users do.
//
// Each line on its standard input is a question, which it answers with a line: "stats" with its Stats and what the
// process holds, as JSON, and "release" lets the RPCs of Park return. On SIGUSR2 it starts its own program again, which
// inherits the listener and sends the first one SIGTERM.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gogreeter/gogreeter/interop/internal/vitals"
	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/handover"
)

var (
	address    = flag.String("addr", "127.0.0.1:0", "`address` to listen on")
	shared     = flag.Bool("shared", false, "share the address with other processes, by SO_REUSEPORT")
	inherited  = flag.Bool("inherited", false, "serve the listener that was passed to this process, instead of -addr")
	ready      = flag.String("ready", "", "`address` where HTTP says 200, or 503 once the server drains")
	drainDelay = flag.Duration("drain-delay", 0, "see runtime.ServerOptions.DrainDelay")
	grace      = flag.Duration("grace", time.Minute, "see runtime.ServerOptions.Grace")
	keepalive  = flag.Duration("keepalive", 0, "see runtime.ConnectionOptions.KeepaliveTime and KeepaliveTimeout")
	replaces   = flag.Int("replaces", 0, "`process` that gets SIGTERM once this one serves")
)

func main() {
	flag.Parse()
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "loadserver:", err)
		os.Exit(1)
	}
}

func serve() error {
	server := runtime.NewServer(runtime.ServerOptions{
		DrainDelay: *drainDelay, Grace: *grace,
		Connections: runtime.ConnectionOptions{KeepaliveTime: *keepalive, KeepaliveTimeout: *keepalive},
	})
	release := make(chan struct{})
	if err := server.AddService(service(release)); err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	if err := server.AddListener(l); err != nil {
		return err
	}
	if err := serveReadiness(server); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	upgrade := make(chan os.Signal, 1)
	signal.Notify(upgrade, syscall.SIGUSR2)
	go func() {
		<-upgrade
		if err := startSuccessor(l); err != nil {
			fmt.Fprintln(os.Stderr, "loadserver:", err)
		}
	}()
	fmt.Println("listening on", l.Addr())
	go answer(server, sync.OnceFunc(func() { close(release) }))
	if *replaces != 0 {
		if err := syscall.Kill(*replaces, syscall.SIGTERM); err != nil {
			return err
		}
	}
	return server.Serve(ctx)
}

// listen makes the listener, or finds it.
func listen() (net.Listener, error) {
	switch {
	case *shared:
		return handover.Listen(context.Background(), "tcp", *address)
	case *inherited:
		listeners, err := handover.Inherited()
		if err == nil && len(listeners) != 1 {
			err = fmt.Errorf("inherited %d listeners, want one", len(listeners))
		}
		if err != nil {
			return nil, err
		}
		return listeners[0], nil
	}
	return net.Listen("tcp", *address)
}

// startSuccessor starts this program again, with the listener of this one.
func startSuccessor(l net.Listener) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	successor := exec.Command(program, "-inherited", "-replaces", strconv.Itoa(os.Getpid()), "-grace", grace.String())
	successor.Stdin, successor.Stdout, successor.Stderr = os.Stdin, os.Stdout, os.Stderr
	release, err := handover.Command(successor, l)
	if err != nil {
		return err
	}
	defer release()
	if err := successor.Start(); err != nil {
		return err
	}
	fmt.Println("succeeded by", successor.Process.Pid)
	return nil
}

// serveReadiness answers those that ask by HTTP whether the server is ready, as proxies and orchestrators do.
func serveReadiness(server *runtime.Server) error {
	if *ready == "" {
		return nil
	}
	l, err := net.Listen("tcp", *ready)
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-server.Draining():
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
		}
	}))
	return nil
}

// answer answers the questions on standard input.
func answer(server *runtime.Server, release func()) {
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		switch questions.Text() {
		case "stats":
			json.NewEncoder(os.Stdout).Encode(vitals.State{Vitals: vitals.Take(), Stats: server.Stats()})
		case "release":
			release()
			fmt.Println("released")
		}
	}
}
