// Package peer finds the real peers that tests need.
package peer

import (
	"os"
	"os/exec"
	"testing"
)

// Missing ends a test whose peer is not installed: as skipped on a developer's machine, as failed where all peers are
// known to be there, so that a proof never disappears unnoticed.
func Missing(t testing.TB, peer, remedy string) {
	t.Helper()
	if os.Getenv("GOGREETER_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed, and GOGREETER_REQUIRE_PEERS=1; %s", peer, remedy)
	}
	t.Skipf("%s is not installed; %s", peer, remedy)
}

// Python returns the path of a Python that has grpcio and protobuf. The first python3 in PATH need not be the one for
// which the system's packages are installed.
func Python(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	Missing(t, "grpc-python", "on Debian: apt-get install python3-grpcio python3-protobuf")
	return ""
}
