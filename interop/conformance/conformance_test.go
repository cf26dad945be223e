package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// How many cases the suite has for config.yaml, and how many of them are over h2c. They are here so that no case
// disappears unnoticed.
const (
	cases    = 570
	h2cCases = 374
)

// overH2C are the cases that need no TLS, which are those that the suite's server on grpc-go can play.
const overH2C = "**/TLS:false/**"

func TestServer_PassesEveryCase(t *testing.T) {
	runner := buildRunner(t)
	server := peer.BuildServer(t, "conformance_server")
	for _, workers := range []int{0, 1} {
		t.Run(fmt.Sprint("workers=", workers), func(t *testing.T) {
			check(t, cases, runner, nil, server, "-workers", strconv.Itoa(workers))
		})
	}
	t.Run("h2c", func(t *testing.T) { check(t, h2cCases, runner, []string{"--run", overH2C}, server) })
}

// TestGRPCGo_ForComparison says how many cases grpc-go passes. It fails nothing for those that grpc-go fails.
func TestGRPCGo_ForComparison(t *testing.T) {
	server := peer.Build(t, ".", "connectrpc.com/conformance/cmd/grpcserver")
	result, output := run(t, buildRunner(t), []string{"--run", overH2C}, server, "--port", "0")
	t.Logf("grpc-go over h2c: %v", result)
	if result.total != h2cCases {
		t.Errorf("the suite has played %d cases, want %d\n%s", result.total, h2cCases, output)
	}
}

func buildRunner(t *testing.T) string {
	t.Helper()
	return peer.Build(t, ".", "connectrpc.com/conformance/cmd/connectconformance")
}

func check(t *testing.T, want int, runner string, flags []string, server ...string) {
	t.Helper()
	result, output := run(t, runner, flags, server...)
	t.Logf("gogreeter: %v", result)
	if result.failed > 0 || result.passed != want || result.total != want {
		t.Errorf("%v, want %d and all passed\n%s", result, want, output)
	}
}

// run plays the suite against a server. The runner starts it as often as it has configurations, and exits with 1 if a
// case fails.
func run(t *testing.T, runner string, flags []string, server ...string) (tally, []byte) {
	t.Helper()
	arguments := append([]string{"--mode", "server", "--conf", "config.yaml"}, flags...)
	command := exec.CommandContext(t.Context(), runner, append(append(arguments, "--"), server...)...)
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	output, err := command.CombinedOutput()
	result, ok := parse(output)
	if !ok {
		t.Fatalf("%s has no result: %v\n%s", filepath.Base(runner), err, output)
	}
	if err != nil && result.failed == 0 {
		t.Errorf("%s: %v\n%s", filepath.Base(runner), err, output)
	}
	return result, output
}

// tally is what the runner says in the end.
type tally struct{ total, passed, failed int }

func (n tally) String() string {
	return fmt.Sprintf("%d cases, %d passed, %d failed", n.total, n.passed, n.failed)
}

var resultLines = regexp.MustCompile(`(?m)^Total cases: (\d+)\n(\d+) passed, (\d+) failed$`)

func parse(output []byte) (n tally, ok bool) {
	found := resultLines.FindSubmatch(output)
	if found == nil {
		return n, false
	}
	for i, number := range []*int{&n.total, &n.passed, &n.failed} {
		*number, _ = strconv.Atoi(string(found[i+1])) // only digits, by the expression
	}
	return n, true
}
