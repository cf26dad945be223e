package faults

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/interop/internal/load"
)

// TestMain makes this program a client, if it was started as one.
func TestMain(m *testing.M) {
	if state := os.Getenv("FAULTS_TEST_CLIENT"); state != "" {
		client(state, os.Args[1])
	}
	os.Exit(m.Run())
}

// states are what a client can be in the middle of when it is killed, with what the server then says of its RPC.
var states = map[string]struct {
	path string // "": it has none, or another all the time
	do   func(ctx context.Context, channel *grpc.ClientConn) error
}{
	"connected": {"", func(ctx context.Context, channel *grpc.ClientConn) error {
		return load.Echo(ctx, channel)
	}},
	"busy": {"", func(ctx context.Context, channel *grpc.ClientConn) error {
		for range 20 {
			go func() {
				for load.Echo(ctx, channel) == nil && load.Download(ctx, channel) == nil {
				}
			}()
		}
		return load.Echo(ctx, channel)
	}},
	"waits": {"/load.Load/Park", func(ctx context.Context, channel *grpc.ClientConn) error {
		go channel.Invoke(ctx, "/load.Load/Park", wrapperspb.Bytes(nil), &wrapperspb.BytesValue{})
		return nil
	}},
	"has sent no message": {"/load.Load/Upload", func(ctx context.Context, channel *grpc.ClientConn) error {
		_, err := channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/load.Load/Upload")
		return err
	}},
	"sends": {"/load.Load/Upload", func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/load.Load/Upload")
		if err == nil {
			go func() {
				for stream.SendMsg(wrapperspb.Bytes(make([]byte, 50_000))) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
		}
		return err
	}},
	"does not read": {"/load.Load/Download", func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/load.Load/Download")
		if err == nil {
			err = stream.SendMsg(wrapperspb.Bytes([]byte("1000000")))
			stream.CloseSend()
		}
		return err
	}},
	"talks": {"/load.Load/Chat", func(ctx context.Context, channel *grpc.ClientConn) error {
		stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/load.Load/Chat")
		for range 2 {
			if err == nil {
				err = stream.SendMsg(wrapperspb.Bytes([]byte("hello")))
			}
			if err == nil {
				err = stream.RecvMsg(&wrapperspb.BytesValue{})
			}
		}
		return err
	}},
}

// client gets into a state, says so, and stays there.
func client(state, address string) {
	channel, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		err = states[state].do(context.Background(), channel)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// Clients are killed in the middle of all that they can do. The server finds out, and keeps nothing of them.
func TestKilledClients(t *testing.T) {
	const each = 5
	server := start(t)
	before := load.State(t, server)
	open := map[string]uint64{}
	var clients []*exec.Cmd
	for state, s := range states {
		for range each {
			clients = append(clients, startClient(t, state, server.Address))
		}
		if s.path != "" {
			open[s.path] += each
		}
	}
	inHandlers := 0
	for _, n := range open {
		inHandlers += int(n)
	}
	load.Eventually(t, "all RPCs are under way", func() bool { return load.State(t, server).Stats.Active >= inHandlers })
	var killed sync.WaitGroup
	for _, client := range clients {
		client.Process.Kill()
		killed.Go(func() { client.Wait() })
	}
	killed.Wait()
	load.Eventually(t, "the server holds what it held before", func() bool {
		now := load.State(t, server)
		return now.Stats.Active == 0 && now.Stats.Connections == 0 && now.Descriptors <= before.Descriptors+2 &&
			now.Goroutines <= before.Goroutines+2
	})
	handled := load.State(t, server).Stats.Methods
	for path, n := range open {
		if got := handled[path].Handled[codes.Canceled]; got < n {
			t.Errorf("%s: %d RPCs were cancelled, want %d: %v", path, got, n, handled[path])
		}
	}
	server.Stop(t)
}

// startClient starts this program as a client, and waits until it is in a state.
func startClient(t *testing.T, state, address string) *exec.Cmd {
	t.Helper()
	command := exec.Command(os.Args[0], address)
	command.Env = append(os.Environ(), "FAULTS_TEST_CLIENT="+state)
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("a client that is to be one that %s says %q", state, line)
	}
	return command
}
