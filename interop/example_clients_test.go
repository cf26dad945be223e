package interop

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example clients are what a newcomer sees first: what they print is part of what they are for.
func TestExampleClients_PrintAllCardinalities(t *testing.T) {
	cases := []struct {
		server, client string
		lines          []string
	}{
		{"greeter_server", "greeter_client", []string{
			"unary-unary", "  -> Ada", "  <- Hello, Ada!",
			"unary-stream", "  <- Guten Tag, Ada!",
			"stream-unary", "  <- Hello, Ada, Grace and Barbara!",
			"stream-stream", "  <- Hello, Barbara!",
		}},
		{"route_guide_server", "route_guide_client", []string{
			"unary-unary", "  <- Eiffel Tower, Paris, France", "  <- nothing at 0.0000°, 0.0000°", "  <- InvalidArgument", "latitude: ",
			"unary-stream", "  <- Mont Blanc, Chamonix, France", "of 100",
			"stream-unary", "  <- 4 points, 4 of them known",
			"stream-stream", "  <- at 48.8584°, 2.2945°: meet me at the top",
		}},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		for _, c := range cases {
			t.Run(c.client, func(t *testing.T) {
				server := startServer(t, c.server, tr.serverFlags()...)
				client := exec.CommandContext(t.Context(), filepath.Join(bin, c.client), append(tr.clientFlags(), "-addr", server.address)...)
				output, err := client.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				rest := string(output)
				for _, line := range c.lines {
					_, after, found := strings.Cut(rest, line)
					if !found {
						t.Fatalf("no %q in the rest of the output, %q", line, rest)
					}
					rest = after
				}
			})
		}
	})
}
