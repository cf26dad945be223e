package parity

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// pythonProcess is a script of testdata that lives as long as the tests, and does what it is told in lines of JSON.
type pythonProcess struct {
	script string

	mu sync.Mutex
	// Guarded by mu.
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

var (
	clientProcess = &pythonProcess{script: "client.py"}
	serverProcess = &pythonProcess{script: "server.py"}
)

func TestMain(m *testing.M) {
	code := m.Run()
	clientProcess.stop()
	serverProcess.stop()
	os.Exit(code)
}

// start starts the process, if it does not run. The test is skipped without Python.
func (p *pythonProcess) start(t testing.TB) {
	t.Helper()
	python := peer.Python(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		return
	}
	command := exec.Command(python, filepath.Join("testdata", p.script))
	command.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "GRPC_VERBOSITY=NONE")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p.command, p.in, p.out = command, in, bufio.NewReader(out)
}

func (p *pythonProcess) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return
	}
	p.in.Close() // it ends
	if err := p.command.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, p.script, err)
	}
	p.command = nil
}

// ask gives a command and reads the result.
func (p *pythonProcess) ask(t testing.TB, command map[string]any, into any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.in.Write(append(toJSON(command), '\n')); err != nil {
		t.Fatalf("%s: %v", p.script, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: %v", p.script, err)
	}
	answer := struct {
		Result  any    `json:"result"`
		Failure string `json:"failure"`
	}{Result: into}
	if err := json.Unmarshal(line, &answer); err != nil {
		t.Fatalf("%s: %v: %s", p.script, err, line)
	}
	if answer.Failure != "" {
		t.Fatalf("%s: %v: %s", p.script, command["op"], answer.Failure)
	}
}

// pythonClient is grpc-python's client.
type pythonClient struct{ calls int }

func (c *pythonClient) name() string { return "grpc-python" }
func (c *pythonClient) close()       {}

func (c *pythonClient) disconnect(t testing.TB, address string) {
	t.Helper()
	clientProcess.ask(t, map[string]any{"op": "disconnect", "address": address}, nil)
}

func (c *pythonClient) begin(t testing.TB, to target, what call) underWay {
	t.Helper()
	c.calls++
	u := pythonCall(c.calls)
	command := map[string]any{"op": "begin", "id": u, "call": what, "address": to.Address}
	if to.CA != "" {
		command["ca"] = to.CA
	}
	if to.Cert != "" {
		command["cert"], command["key"] = to.Cert, to.Key
	}
	clientProcess.ask(t, command, nil)
	return u
}

// pythonCall is an RPC under way, by its number.
type pythonCall int

func (u pythonCall) cancel(t testing.TB) {
	t.Helper()
	clientProcess.ask(t, map[string]any{"op": "cancel", "id": u}, nil)
}

func (u pythonCall) message(t testing.TB) {
	t.Helper()
	clientProcess.ask(t, map[string]any{"op": "message", "id": u}, nil)
}

func (u pythonCall) over(t testing.TB) (over bool) {
	t.Helper()
	clientProcess.ask(t, map[string]any{"op": "over", "id": u}, &over)
	return over
}

func (u pythonCall) result(t testing.TB) answer {
	t.Helper()
	var a answer
	clientProcess.ask(t, map[string]any{"op": "result", "id": u}, &a)
	return a
}

// pythonServer is grpc-python's server.
type pythonServer struct{ certs *certificates }

func (s *pythonServer) name() string { return "grpc-python" }

func (s *pythonServer) start(t testing.TB, variant string) instance {
	t.Helper()
	command := map[string]any{"op": "new", "variant": variant}
	to := target{}
	switch variant {
	case "unix":
		path := filepath.Join(t.TempDir(), "py.sock")
		command["path"], to.Address = path, "unix:"+path
	case "tls", "mtls":
		command["ca"], command["cert"], command["key"] = s.certs.ca, s.certs.serverCert, s.certs.serverKey
		to = s.certs.target(variant)
	}
	var started struct{ ID, Port int }
	serverProcess.ask(t, command, &started)
	if to.Address == "" {
		to.Address = hostOf(variant) + fmt.Sprint(started.Port)
	}
	i := &pythonInstance{id: started.ID, to: to}
	t.Cleanup(func() { i.stop(t, 0) })
	return i
}

func (s *pythonServer) signal(t testing.TB, name string) {
	t.Helper()
	serverProcess.ask(t, map[string]any{"op": "signal", "name": name}, nil)
}

func (s *pythonServer) happened(t testing.TB, name string) (happened bool) {
	t.Helper()
	serverProcess.ask(t, map[string]any{"op": "happened", "name": name}, &happened)
	return happened
}

func (s *pythonServer) await(t testing.TB, name string) {
	t.Helper()
	var came bool
	serverProcess.ask(t, map[string]any{"op": "await", "name": name}, &came)
	if !came {
		t.Fatalf("in vain waited for: %s", name)
	}
}

// pythonInstance is one server in the process, by its number.
type pythonInstance struct {
	id int
	to target
}

func (i *pythonInstance) target() target { return i.to }

func (i *pythonInstance) stop(t testing.TB, seconds float64) {
	t.Helper()
	serverProcess.ask(t, map[string]any{"op": "stop", "id": i.id, "grace": seconds}, nil)
}

func (i *pythonInstance) wantTerminated(t testing.TB) {
	t.Helper()
	var terminated bool
	serverProcess.ask(t, map[string]any{"op": "terminated", "id": i.id}, &terminated)
	if !terminated {
		t.Error("the server does not terminate")
	}
}

func (i *pythonInstance) addService(t testing.TB, name string) {
	t.Helper()
	serverProcess.ask(t, map[string]any{"op": "add", "id": i.id, "service": name}, nil)
}
