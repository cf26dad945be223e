package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The load of these tests: 20,000 requests on 10 connections with 10 streams each.
const (
	loadRequests    = 20_000
	loadConnections = 10
	loadStreams     = 10 // open at once on each connection
)

// h2load says of every response that it came and that its :status was 2xx. It does not read grpc-status, which is in the
// trailers. What it does say is how many bytes the DATA frames had: those of 20,000 whole replies to the byte. An RPC
// that failed has none of them.
func TestGreeter_CompletesLoad_OfH2load(t *testing.T) {
	h2load := needH2load(t)
	server := startServer(t, "greeter_server")
	body := filepath.Join(t.TempDir(), "request")
	if err := os.WriteFile(body, requestBody("Ada"), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(h2load,
		fmt.Sprint("-n", loadRequests), fmt.Sprint("-c", loadConnections), fmt.Sprint("-m", loadStreams),
		"-H", "te: trailers", "-H", "content-type: application/grpc", "-d", body,
		"http://"+server.address+sayHello).CombinedOutput()
	if err != nil {
		t.Fatalf("h2load: %v\n%s", err, output)
	}
	replyBytes := loadRequests * len(lengthPrefixed(replies("Hello, Ada!")[0]))
	for _, line := range []string{
		"20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout",
		"status codes: 20000 2xx, 0 3xx, 0 4xx, 0 5xx",
		fmt.Sprintf("(%d) data", replyBytes),
	} {
		if !strings.Contains(string(output), line) {
			t.Errorf("h2load did not say %q", line)
		}
	}
	if t.Failed() {
		t.Logf("h2load:\n%s", output)
	}
}

// The same load again, from a client that looks at each response: :status 200, exactly the one message, grpc-status 0.
func TestGreeter_CompletesLoad_WithStatus0(t *testing.T) {
	server := startServer(t, "greeter_server")
	var connections sync.WaitGroup
	for number := range loadConnections {
		peer := dialFrames(t, server.address)
		connections.Go(func() {
			if err := peer.load(loadRequests/loadConnections, fmt.Sprint("guest ", number)); err != nil {
				t.Errorf("connection %d: %v", number, err)
			}
		})
	}
	connections.Wait()
}

// load makes count SayHello RPCs, loadStreams of them open at any time, and returns the first thing that is wrong with a
// response. It does not end the test, as it runs on a goroutine of its own.
func (p *framePeer) load(count int, name string) error {
	request := requestBody(name)
	want := string(lengthPrefixed(replies("Hello, " + name + "!")[0]))
	started, done := 0, 0
	for done < count {
		for started < count && len(p.open) < loadStreams {
			p.start(sayHello, request)
			started++
		}
		if err := p.read(); err != nil {
			return fmt.Errorf("after %d responses: %w", done, err)
		}
		for stream, response := range p.open {
			if !response.ended {
				continue
			}
			delete(p.open, stream)
			done++
			if response.header(":status") != "200" || response.trailer("grpc-status") != "0" || string(response.body) != want {
				return fmt.Errorf("stream %d: headers %v, trailers %v, body %q", stream, response.headers, response.trailers, response.body)
			}
		}
	}
	return nil
}
