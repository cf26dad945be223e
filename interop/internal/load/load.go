// Package load makes RPCs with grpc-go that must not fail, whatever happens to the server, which is
// interop/internal/loadserver.
package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/interop/internal/peer"
	"github.com/gogreeter/gogreeter/interop/internal/vitals"
)

// patience bounds every RPC, and every wait. It is no expectation.
const patience = 60 * time.Second

// payload is the message of all methods.
type payload = wrapperspb.BytesValue

func numbered(i, size int) *payload { return wrapperspb.Bytes(bytes.Repeat([]byte{byte(i)}, size)) }

// Options say how much load there is.
type Options struct {
	Connections int // that live as long as the load, each with all sorts of RPCs
	Newcomers   int // clients that connect anew for a few RPCs, again and again
}

// Load is RPCs of all sorts, one after another on each of many clients, until it is stopped. None may fail: the clients
// have retries and service configurations off, and do not wait for a server to be ready.
type Load struct {
	target   string
	stop     chan struct{}
	clients  sync.WaitGroup
	channels []*grpc.ClientConn

	sent, answered atomic.Int64

	mu       sync.Mutex
	failures []string // guarded by mu
}

// Dial makes a channel without retries.
func Dial(t testing.TB, target string) *grpc.ClientConn {
	t.Helper()
	channel, err := dial(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channel.Close() })
	return channel
}

func dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithAuthority("load.test"))
}

// Start starts the load on a server, or whatever serves at a target of grpc-go's.
func Start(t testing.TB, target string, options Options) *Load {
	t.Helper()
	l := &Load{target: target, stop: make(chan struct{})}
	for range options.Connections {
		channel := Dial(t, target)
		l.channels = append(l.channels, channel)
		for _, sort := range []func(context.Context, *grpc.ClientConn) error{
			Echo, Echo, Echo, Echo, Upload, Download, Chat, l.slowChat, l.slowChat,
		} {
			l.clients.Go(func() {
				for !l.stopped() {
					l.do(sort, channel)
				}
			})
		}
	}
	for range options.Newcomers {
		l.clients.Go(l.newcomer)
	}
	return l
}

func (l *Load) newcomer() {
	for !l.stopped() {
		channel, err := dial(l.target)
		if err != nil {
			panic(err) // the options are wrong
		}
		for _, sort := range []func(context.Context, *grpc.ClientConn) error{Echo, Chat, Echo, Echo} {
			l.do(sort, channel)
		}
		channel.Close()
	}
}

func (l *Load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *Load) do(sort func(context.Context, *grpc.ClientConn) error, channel *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.sent.Add(1)
	if err := sort(ctx, channel); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failures = append(l.failures, err.Error())
		return
	}
	l.answered.Add(1)
}

// Proceed waits until n more RPCs have been answered.
func (l *Load) Proceed(t testing.TB, n int64) {
	t.Helper()
	Eventually(t, fmt.Sprint(n, " more RPCs are answered"), l.enough(n))
}

func (l *Load) enough(n int64) func() bool {
	n += l.answered.Load()
	return func() bool { return l.answered.Load() >= n || l.failed() > 0 }
}

func (l *Load) failed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.failures)
}

// Stop waits for the RPCs that are under way, checks that none has failed, and closes the connections.
func (l *Load) Stop(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.clients.Wait()
	for _, channel := range l.channels {
		channel.Close()
	}
	for i, failure := range l.failures {
		if i == 10 {
			break
		}
		t.Errorf("failed: %s", failure)
	}
	sent, answered, failed := l.sent.Load(), l.answered.Load(), int64(len(l.failures))
	t.Logf("%d RPCs sent, %d answered with OK, %d failed", sent, answered, failed)
	if failed > 0 || sent != answered {
		t.Errorf("%d RPCs sent, %d answered with OK, %d failed", sent, answered, failed)
	}
}

// Eventually waits until condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// State asks an interop/internal/loadserver what it holds.
func State(t testing.TB, server *peer.Process) (state vitals.State) {
	t.Helper()
	if err := json.Unmarshal([]byte(server.Ask(t, "stats")), &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// Echo makes a unary RPC. As the others it returns an error that says all of what went wrong.
func Echo(ctx context.Context, channel *grpc.ClientConn) error {
	request := bytes.Repeat([]byte("e"), 100)
	var response payload
	if err := channel.Invoke(ctx, "/load.Load/Echo", wrapperspb.Bytes(request), &response); err != nil {
		return fmt.Errorf("Echo: %w", err)
	}
	if !bytes.Equal(response.GetValue(), request) {
		return fmt.Errorf("Echo: %d octets came back of %d", len(response.GetValue()), len(request))
	}
	return nil
}

// Upload sends 20 messages of 5,000 octets.
func Upload(ctx context.Context, channel *grpc.ClientConn) error {
	const messages, size = 20, 5000
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/load.Load/Upload")
	if err != nil {
		return fmt.Errorf("Upload: %w", err)
	}
	for i := range messages {
		if err := stream.SendMsg(numbered(i, size)); err != nil {
			break // RecvMsg knows why
		}
	}
	stream.CloseSend()
	var response payload
	if err := stream.RecvMsg(&response); err != nil {
		return fmt.Errorf("Upload: %w", err)
	}
	if got := string(response.GetValue()); got != strconv.Itoa(messages*size) {
		return fmt.Errorf("Upload: %s octets have come of %d", got, messages*size)
	}
	return nil
}

// Download receives 50 messages of 5,000 octets.
func Download(ctx context.Context, channel *grpc.ClientConn) error {
	const messages, size = 50, 5000
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/load.Load/Download")
	if err != nil {
		return fmt.Errorf("Download: %w", err)
	}
	stream.SendMsg(wrapperspb.Bytes([]byte(strconv.Itoa(messages)))) // RecvMsg knows why it failed
	stream.CloseSend()
	for i := 0; ; i++ {
		var response payload
		switch err := stream.RecvMsg(&response); {
		case errors.Is(err, io.EOF) && i == messages:
			return nil
		case err != nil:
			return fmt.Errorf("Download, message %d: %w", i, err)
		case !bytes.Equal(response.GetValue(), numbered(i, size).GetValue()):
			return fmt.Errorf("Download, message %d: other octets than expected", i)
		}
	}
}

// Chat sends messages and receives each before it sends the next.
func Chat(ctx context.Context, channel *grpc.ClientConn) error {
	return converse(ctx, channel, nil)
}

// slowChat takes its time, so that whatever happens to the server happens while it is under way.
func (l *Load) slowChat(ctx context.Context, channel *grpc.ClientConn) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	return converse(ctx, channel, tick.C)
}

func converse(ctx context.Context, channel *grpc.ClientConn, pace <-chan time.Time) error {
	const messages, size = 20, 200
	stream, err := channel.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/load.Load/Chat")
	if err != nil {
		return fmt.Errorf("Chat: %w", err)
	}
	var response payload
	for i := range messages {
		if pace != nil {
			<-pace
		}
		stream.SendMsg(numbered(i, size)) // RecvMsg knows why it failed
		if err := stream.RecvMsg(&response); err != nil {
			return fmt.Errorf("Chat, message %d: %w", i, err)
		}
		if !bytes.Equal(response.GetValue(), numbered(i, size).GetValue()) {
			return fmt.Errorf("Chat, message %d: other octets than expected", i)
		}
	}
	stream.CloseSend()
	if err := stream.RecvMsg(&response); !errors.Is(err, io.EOF) {
		return fmt.Errorf("Chat: at the end: %w", err)
	}
	return nil
}
