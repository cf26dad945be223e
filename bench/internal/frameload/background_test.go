package frameload

import (
	"testing"

	"github.com/gogreeter/gogreeter/bench/internal/servetest"
	"github.com/gogreeter/gogreeter/runtime"
)

func TestBackground(t *testing.T) {
	called := make(chan struct{}, 1)
	address := servetest.Start(t, runtime.ServerOptions{}, func() error {
		select {
		case called <- struct{}{}:
		default:
		}
		return nil
	})

	load := Load{Streams: 10, Unary: true, Path: servetest.Method, Message: make([]byte, 5), Replies: 1}
	background, err := load.Start(address)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // more than there are lanes: there were answers
		<-called
	}
	if n, err := background.Stop(); err != nil || n == 0 {
		t.Errorf("Stop: %d messages, %v", n, err)
	}

	load.Path = "/bench.Test/Missing"
	if background, err = load.Start(address); err != nil {
		t.Fatal(err)
	}
	if n, err := background.Stop(); err == nil {
		t.Errorf("Stop of a load that came to nothing: %d messages, and no error", n)
	}
}
