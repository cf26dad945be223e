package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/interop/internal/load"
	"github.com/gogreeter/gogreeter/interop/internal/peer"
)

// startPlain starts a server without the race detector: what is measured is memory.
func startPlain(t *testing.T) *peer.Process {
	t.Helper()
	return peer.Start(t, exec.Command(peer.Build(t, "../internal/loadserver")))
}

// Ten thousand connections on which nothing happens, and clients that are served meanwhile.
func TestIdleConnections(t *testing.T) {
	const wanted, most = 10_000, 48 << 10 // octets for each
	count := wanted
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < wanted+500 {
		count = int(limit.Cur) - 500
		t.Logf("with RLIMIT_NOFILE %d there are %d connections, not %d", limit.Cur, count, wanted)
	}
	server := startPlain(t)
	before := load.State(t, server)
	var connections []net.Conn
	defer func() { closeAll(connections) }()
	for i := range count {
		connections = append(connections, connect(t, server.Address, i))
	}
	load.Eventually(t, "all connections are there", func() bool {
		return load.State(t, server).Stats.Connections == count
	})
	l := load.Start(t, server.Address, load.Options{Connections: 2, Newcomers: 1})
	l.Proceed(t, 1000)
	l.Stop(t)
	now := load.State(t, server)
	each := (now.Resident - before.Resident) / uint64(count)
	t.Logf("%d idle connections: %d octets of resident memory for each, %d goroutines", count, each, now.Goroutines)
	if each > most {
		t.Errorf("%d octets for each of %d idle connections, want at most %d", each, count, most)
	}
	closeAll(connections)
	load.Eventually(t, "the connections have ended", func() bool {
		now := load.State(t, server)
		return now.Stats.Connections == 0 && now.Descriptors <= before.Descriptors+2 // those of the poller
	})
	server.Stop(t)
}

// A million RPCs on one connection leave nothing behind. h2load makes them, a hundred at a time; it sees that each
// response has come, and the server counts those that ended with OK.
func TestMillionRPCs_OnOneConnection(t *testing.T) {
	const total, early, atATime = 1_000_000, 100_000, 100
	h2load, err := exec.LookPath("h2load")
	if err != nil {
		peer.Missing(t, "h2load", "on Debian: apt-get install nghttp2-client")
	}
	body := filepath.Join(t.TempDir(), "request")
	if err := os.WriteFile(body, []byte("\x00\x00\x00\x00\x05\x0a\x03Ada"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := startPlain(t)
	output := make(chan string, 1)
	go func() {
		all, _ := exec.Command(h2load, fmt.Sprint("-n", total), "-c1", fmt.Sprint("-m", atATime), "-t1", "-H", "te: trailers",
			"-H", "content-type: application/grpc", "-d", body, "http://"+server.Address+"/load.Load/Echo").CombinedOutput()
		output <- string(all)
	}()
	answered := func() uint64 { return load.State(t, server).Stats.Methods["/load.Load/Echo"].Handled[0] }
	load.Eventually(t, "the first hundred thousand RPCs are answered", func() bool { return answered() >= early })
	before := load.State(t, server)
	const succeeded = "1000000 total, 1000000 started, 1000000 done, 1000000 succeeded, 0 failed"
	if said := <-output; !strings.Contains(said, succeeded) {
		t.Errorf("h2load: %s", said)
	}
	after := load.State(t, server)
	t.Logf("1,000,000 RPCs; heap %d KiB after %d, %d KiB at the end; processor time %v", before.Heap>>10,
		before.Stats.Methods["/load.Load/Echo"].Handled[0], after.Heap>>10, after.CPU)
	if after.Heap > before.Heap+4<<20 {
		t.Errorf("the heap has grown from %d to %d octets", before.Heap, after.Heap)
	}
	if after.Stats.Active != 0 || after.Stats.Accepted != 1 || answered() != total {
		t.Errorf("after %d RPCs on one connection: %+v", total, after.Stats)
	}
	server.Stop(t)
}

// A hundred thousand RPCs whose handlers wait, all at the same time.
func TestManyRPCsInFlight(t *testing.T) {
	const connections, each = 110, 910
	const total = connections * each
	server := startPlain(t)
	before := load.State(t, server)
	channels := make([]*grpc.ClientConn, connections)
	for i := range channels {
		channels[i] = load.Dial(t, server.Address)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	failures := make(chan error, total)
	var wg sync.WaitGroup
	for _, channel := range channels {
		for i := range each {
			wg.Go(func() {
				request, response := wrapperspb.Bytes(fmt.Append(nil, i)), &wrapperspb.BytesValue{}
				err := channel.Invoke(ctx, "/load.Load/Park", request, response)
				if err == nil && string(response.GetValue()) != string(request.GetValue()) {
					err = fmt.Errorf("%q was answered with %q", request.GetValue(), response.GetValue())
				}
				if err != nil {
					failures <- err
				}
			})
		}
	}
	load.Eventually(t, "all RPCs are under way", func() bool {
		return load.State(t, server).Stats.Active == total || len(failures) > 0
	})
	during := load.State(t, server)
	t.Logf("%d RPCs wait in their handlers: %d MiB of resident memory, %d octets for each, %d goroutines",
		during.Stats.Active, during.Resident>>20, (during.Resident-before.Resident)/total, during.Goroutines)
	server.Ask(t, "release")
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Errorf("%d RPCs failed, one with %v", len(failures)+1, err)
		break
	}
	if after := load.State(t, server); after.Stats.Active != 0 || after.Stats.Methods["/load.Load/Park"].Handled[0] != total {
		t.Errorf("after %d RPCs: %+v", total, after.Stats)
	}
	for _, channel := range channels {
		channel.Close()
	}
	load.Eventually(t, "the server holds what it held before", func() bool {
		now := load.State(t, server)
		return now.Stats.Connections == 0 && now.Goroutines <= before.Goroutines+2
	})
	server.Stop(t)
}
