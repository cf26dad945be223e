package openload

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
	"github.com/gogreeter/gogreeter/bench/internal/servetest"
	"github.com/gogreeter/gogreeter/runtime"
)

func empty(address string) Load {
	message := []byte{0, 0, 0, 0, 0}
	return Load{Address: address, Connections: 2, Path: servetest.Method, Message: message, Reply: len(message)}
}

func TestLoad_Run(t *testing.T) {
	address := servetest.Start(t, runtime.ServerOptions{}, func() error { return nil })
	tests := []struct {
		name   string
		change func(l *Load)
		count  int // of the messages; 0: some
	}{
		{"Rate", func(l *Load) { l.Rate = 1_000 }, 50},
		{"AtOnce", func(l *Load) { l.AtOnce = 3 }, 0},
		{"OneConnection", func(l *Load) { l.Connections, l.Rate = 1, 200 }, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			load := empty(address)
			load.WarmUp, load.Duration = 20*time.Millisecond, 50*time.Millisecond
			tt.change(&load)
			result, err := load.Run()
			if err != nil || result.Messages == 0 || tt.count != 0 && result.Messages != tt.count {
				t.Fatalf("%+v, %v: want %d messages", result, err, tt.count)
			}
			if result.P50 <= 0 || result.P50 > result.P99 || result.P99 > result.P999 || result.P999 > result.Most {
				t.Errorf("latencies are not in order: %+v", result)
			}
		})
	}
}

// TestLoad_Run_CountsFromWhenDue has the server take RPCs one by one, five times slower than they are due. Those that wait
// for their turn in the client have been due all the while, and a client that counted from when it sent them would not see it.
func TestLoad_Run_CountsFromWhenDue(t *testing.T) {
	const took, every, n = 5 * time.Millisecond, time.Millisecond, 40
	address := servetest.Start(t, runtime.ServerOptions{MaxConcurrentStreams: 1}, func() error {
		time.Sleep(took) // the work: a server that does nothing in it
		return nil
	})
	load := empty(address)
	load.Connections, load.Rate, load.Duration = 1, float64(time.Second/every), n*every
	result, err := load.Run()
	if err != nil {
		t.Fatal(err)
	}
	if least := n * (took - every); result.Messages != n || result.Most < least {
		t.Errorf("got %+v, want %d messages, the last of which took %v at least", result, n, least)
	}
	if asked := load.Rate / 2; result.Rate > asked {
		t.Errorf("%.0f answers per second: the server can't keep up with half of it", result.Rate)
	}
}

// TestGiveUp has RPCs in the count that no answer came to: those that were sent, and those that were not.
func TestGiveUp(t *testing.T) {
	g := &generator{start: time.Now().Add(-time.Hour), open: 3, load: Load{WarmUp: time.Second}}
	sent := []rpc{{due: 2 * time.Second}, {due: 3 * time.Second, ended: true}, {due: time.Millisecond}}
	g.connections = []*connection{{generator: g, rpcs: sent, waiting: []time.Duration{0, 4 * time.Second}, sent: 1}}
	if n := g.giveUp(); n != 2 || g.open != 0 {
		t.Fatalf("%d are counted, %d are open, want 2 and 0", n, g.open)
	}
	for _, wait := range g.waits {
		if wait < time.Hour-4*time.Second {
			t.Errorf("one waited for %v only", wait)
		}
	}
}

// TestConnection_Process_Resets has streams reset: that is an end only of those which have their response.
func TestConnection_Process_Resets(t *testing.T) {
	c := &connection{generator: &generator{}, rpcs: []rpc{{ended: true}, {}}}
	tests := []struct {
		name string
		id   uint32
		code byte
		ok   bool
	}{
		{"NoErrorAfterTheEnd", 1, 0, true},
		{"ErrorAfterTheEnd", 1, 2, false},
		{"NoErrorBefore", 3, 0, false},
		{"ErrorBefore", 3, 2, false},
	}
	for _, tt := range tests {
		if err := c.process(frames.Frame{Kind: frames.RSTStream, ID: tt.id, Payload: []byte{0, 0, 0, tt.code}}, 0); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestLoad_Run_Fails(t *testing.T) {
	tests := []struct {
		name   string
		change func(l *Load)
		call   func() error
		want   string
	}{
		{"Status", func(*Load) {}, func() error { return errors.New("no") }, `grpc-status "2"`},
		{"Length", func(l *Load) { l.Reply++ }, func() error { return nil }, "had a response of 5 octets, not of 6"},
		{"Address", func(l *Load) { l.Address = "nowhere" }, func() error { return nil }, "not an ip:port"},
		{"Load", func(l *Load) { l.Rate = 0 }, func() error { return nil }, "a load has a rate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			load := empty(servetest.Start(t, runtime.ServerOptions{}, tt.call))
			load.Rate, load.Duration = 1_000, 10*time.Millisecond
			tt.change(&load)
			if result, err := load.Run(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want an error with %q", result, err, tt.want)
			}
		})
	}
}
