package restarts

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/load"
	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// proxy is a proxy that has two servers behind it.
type proxy struct {
	name      string
	remedy    string
	config    string   // its configuration, a file in testdata
	command   []string // what follows the name; FILE is the configuration
	arguments []string // of the servers
}

// The proxies as docs/operation.md configures them.
var proxies = []proxy{
	{
		name: "nginx", remedy: "on Debian: apt-get install nginx-light", config: "nginx.conf",
		command: []string{"-c", "FILE"},
	},
	{
		name: "haproxy", remedy: "on Debian: apt-get install haproxy", config: "haproxy.cfg",
		command: []string{"-f", "FILE"}, arguments: []string{"-drain-delay", "1s"},
	},
}

// The servers behind a proxy are told to end in turn. Each is started anew at its address when the old one has ended.
func TestBehindProxy(t *testing.T) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			path, err := exec.LookPath(p.name)
			if err != nil {
				path, err = exec.LookPath("/usr/sbin/" + p.name)
			}
			if err != nil {
				peer.Missing(t, p.name, p.remedy)
			}
			program := build(t)
			var servers [2]*peer.Process
			var ready [2]string
			for i := range servers {
				ready[i] = freeAddress(t)
				servers[i] = start(t, program, append(p.arguments, "-ready", ready[i])...)
			}
			target := p.start(t, path, servers, ready)
			l := load.Start(t, target, clients)
			for round := range exchanges {
				i := round % 2
				wantServing(t, servers[1-i])
				l.Proceed(t, meanwhile)
				servers[i].Stop(t)
				l.Proceed(t, meanwhile)
				servers[i] = start(t, program, append(p.arguments, "-ready", ready[i], "-addr", servers[i].Address)...)
				wantServing(t, servers[i])
			}
			l.Stop(t)
		})
	}
}

// freeAddress returns an address where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the proxy, and returns where it is.
func (p *proxy) start(t *testing.T, path string, servers [2]*peer.Process, ready [2]string) (target string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "restarts-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join("testdata", p.config))
	if err != nil {
		t.Fatal(err)
	}
	port := func(address string) string {
		_, port, _ := net.SplitHostPort(address)
		return port
	}
	config := strings.NewReplacer("DIR", dir, "SERVER_A", servers[0].Address, "SERVER_B", servers[1].Address,
		"READY_A", port(ready[0]), "READY_B", port(ready[1])).Replace(string(template))
	file := filepath.Join(dir, p.config)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path)
	for _, argument := range p.command {
		command.Args = append(command.Args, strings.ReplaceAll(argument, "FILE", file))
	}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, output.String())
		}
		os.RemoveAll(dir)
	})
	socket := filepath.Join(dir, "socket")
	load.Eventually(t, fmt.Sprint(p.name, " listens"), func() bool {
		nc, err := net.Dial("unix", socket)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return "unix://" + socket
}
