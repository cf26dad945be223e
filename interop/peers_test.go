package interop

import (
	"os"
	"os/exec"
	"testing"
)

// peerMissing ends a test whose peer is not installed: as skipped on a developer's machine, as failed where all peers
// are known to be there, so that a proof never disappears unnoticed.
func peerMissing(t testing.TB, peer, remedy string) {
	t.Helper()
	if os.Getenv("GOGREETER_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed, and GOGREETER_REQUIRE_PEERS=1; %s", peer, remedy)
	}
	t.Skipf("%s is not installed; %s", peer, remedy)
}

// needH2load returns the path of h2load.
func needH2load(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("h2load")
	if err != nil {
		peerMissing(t, "h2load", "on Debian: apt-get install nghttp2-client")
	}
	return path
}

// needPython returns the path of a Python that has grpcio and protobuf. The first python3 in PATH need not be the one
// for which the system's packages are installed.
func needPython(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	peerMissing(t, "grpc-python", "on Debian: apt-get install python3-grpcio python3-protobuf")
	return ""
}
