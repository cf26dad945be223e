package h2spec

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// cases is how many the suite has. It is here so that no case disappears unnoticed.
const cases = 145

// timeout is how long a case waits for a server to do what it should. It is h2spec's own default.
const timeout = 2 * time.Second

func TestServer_PassesEveryCase(t *testing.T) {
	program := peer.BuildServer(t, "../../example/helloworld/greeter_server")
	t.Run("h2c", func(t *testing.T) {
		checkAll(t, target(t, peer.Serve(t, program, "-addr", "127.0.0.1:0")))
	})
	t.Run("TLS", func(t *testing.T) {
		certFile, keyFile := peer.Certificate(t)
		c := target(t, peer.Serve(t, program, "-addr", "127.0.0.1:0", "-tls-cert", certFile, "-tls-key", keyFile))
		c.TLS, c.Insecure = true, true
		checkAll(t, c)
	})
}

// TestOthers_ForComparison says how many cases other servers pass. They fail nothing here: they are not ours.
func TestOthers_ForComparison(t *testing.T) {
	for _, other := range others {
		t.Run(other.name, func(t *testing.T) {
			var sum tally
			c := target(t, other.serve(t))
			each(func(_ string, test *spec.TestCase) { sum.add(play(c, test)) })
			t.Logf("%s over h2c: %v", other.name, sum)
		})
	}
}

// checkAll makes a subtest of each case. A failed case is played a second time: some have races with the closing of the
// connection that they provoke, and wait for a fixed time.
func checkAll(t *testing.T, c *config.Config) {
	transport := "h2c"
	if c.TLS {
		transport = "TLS"
	}
	var sum tally
	again := 0
	each(func(name string, test *spec.TestCase) {
		t.Run(name, func(t *testing.T) {
			err := play(c, test)
			if failed(err) {
				t.Logf("played again, since it failed: %v", err)
				again++
				err = play(c, test)
			}
			sum.add(err)
			switch {
			case failed(err):
				t.Errorf("%s\n%s\n%v", test.Desc, test.Requirement, err)
			case err != nil:
				t.Errorf("%s: the suite skipped it", test.Desc)
			}
		})
	})
	t.Logf("gogreeter over %s: %v; %d were played twice", transport, sum, again)
	if sum.total() != cases {
		t.Errorf("the suite has %d cases, want %d", sum.total(), cases)
	}
}

// play plays one case on a connection of its own.
func play(c *config.Config, test *spec.TestCase) error {
	connection, err := spec.Dial(c)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer connection.Close()
	return test.Run(c, connection)
}

func failed(err error) bool { return err != nil && !errors.Is(err, spec.ErrSkipped) }

// each calls f for every case that h2spec plays when it is not told to be strict.
func each(f func(name string, test *spec.TestCase)) {
	var walk func(group *spec.TestGroup)
	walk = func(group *spec.TestGroup) {
		if group.Strict {
			return
		}
		for i, test := range group.Tests {
			if !test.Strict {
				f(group.ID()+"/"+strconv.Itoa(i+1), test)
			}
		}
		for _, inner := range group.Groups {
			walk(inner)
		}
	}
	for _, root := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		walk(root)
	}
}

// target is what h2spec has to know of a server.
func target(t *testing.T, address string) *config.Config {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return &config.Config{Host: host, Port: number, Path: "/helloworld.Greeter/SayHello", Timeout: timeout, MaxHeaderLen: 4000}
}

// tally counts outcomes.
type tally struct{ passed, skipped, failed int }

func (n *tally) add(err error) {
	switch {
	case err == nil:
		n.passed++
	case failed(err):
		n.failed++
	default:
		n.skipped++
	}
}

func (n *tally) total() int { return n.passed + n.skipped + n.failed }

func (n tally) String() string {
	return fmt.Sprintf("%d cases, %d passed, %d skipped, %d failed", n.total(), n.passed, n.skipped, n.failed)
}
