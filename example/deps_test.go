package example

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A server links the vocabulary of the Go gRPC world (codes, status), and neither another server's machinery nor
// net/http.
func TestServers_LinkNeitherGRPCNorNetHTTP(t *testing.T) {
	for _, server := range []string{"./helloworld/greeter_server", "./route_guide/route_guide_server"} {
		output, err := exec.Command("go", "list", "-deps", server).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", server, err)
		}
		packages := strings.Fields(string(output))
		for _, unwanted := range []string{"google.golang.org/grpc", "net/http"} {
			if slices.Contains(packages, unwanted) {
				t.Errorf("%s links %s", server, unwanted)
			}
		}
		if !slices.Contains(packages, "github.com/gogreeter/gogreeter/runtime") {
			t.Errorf("%s does not link the runtime: is this the list of its packages? %v", server, packages)
		}
	}
}
