// Package h2load makes load with nghttp2's h2load, and accepts its word only if every RPC has succeeded.
package h2load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Load is a number of equal unary RPCs.
type Load struct {
	Requests    int
	Connections int
	Streams     int // open at once on each connection
	TLS         bool

	Path   string   // of the method
	Paths  string   // file with several paths, one a line, that are called in turn; Path is not used then
	Fields []string // header fields beside those that gRPC asks for, as "name: value"
	Body   string   // file with the request, as a Length-Prefixed-Message
	Reply  int      // bytes of the response, as a Length-Prefixed-Message
}

// Found reports whether h2load is installed.
func Found() bool {
	_, err := exec.LookPath("h2load")
	return err == nil
}

// timeLimit is what no load takes: nothing hangs.
const timeLimit = 3 * time.Minute

var rate = regexp.MustCompile(`finished in .*, ([0-9.]+) req/s`)

// Run sends the load to the server at address and returns the requests per second.
//
// h2load sees that each :status is 2xx, but not grpc-status, which is in the trailers. A failed RPC has no message in its
// response, though: if the DATA frames have the bytes of all replies, all RPCs have succeeded.
func (l Load) Run(address string) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	command := exec.CommandContext(ctx, "h2load", l.arguments(address)...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return 0, fmt.Errorf("h2load: %w\n%s", err, output)
	}
	for _, line := range []string{
		fmt.Sprintf(" %d succeeded, 0 failed, 0 errored, 0 timeout", l.Requests),
		fmt.Sprintf("status codes: %d 2xx,", l.Requests),
		fmt.Sprintf("(%d) data", l.Requests*l.Reply),
	} {
		if !strings.Contains(string(output), line) {
			return 0, fmt.Errorf("h2load did not say %q:\n%s", line, output)
		}
	}
	match := rate.FindSubmatch(output)
	if match == nil {
		return 0, fmt.Errorf("h2load did not say how fast it was:\n%s", output)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

func (l Load) arguments(address string) []string {
	arguments := []string{
		fmt.Sprint("-n", l.Requests), fmt.Sprint("-c", l.Connections), fmt.Sprint("-m", l.Streams),
		"-H", "te: trailers", "-H", "content-type: application/grpc", "-d", l.Body,
	}
	for _, field := range l.Fields {
		arguments = append(arguments, "-H", field)
	}
	base := "http://" + address
	if l.TLS {
		base = "https://" + address
	}
	if l.Paths != "" {
		return append(arguments, "-B", base, "-i", l.Paths)
	}
	return append(arguments, base+l.Path)
}
