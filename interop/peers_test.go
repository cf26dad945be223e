package interop

import (
	"os/exec"
	"testing"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// needH2load returns the path of h2load.
func needH2load(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("h2load")
	if err != nil {
		peer.Missing(t, "h2load", "on Debian: apt-get install nghttp2-client")
	}
	return path
}

// needPython returns the path of a Python that has grpcio and protobuf.
func needPython(t testing.TB) string {
	t.Helper()
	return peer.Python(t)
}
