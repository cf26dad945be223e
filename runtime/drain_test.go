package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// isClosed reports whether a channel is closed, as soon as everything else in the bubble waits.
func isClosed(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestServer_DrainDelay serves as before while the delay lasts, and says that it drains.
func TestServer_DrainDelay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newPipeListener()
		s := NewServer(ServerOptions{DrainDelay: time.Minute, Grace: time.Hour})
		check(t, s.AddListener(l))
		var stopping <-chan struct{}
		check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"Echo": echo(), "Wait": UnaryUnary(
			func(ctx context.Context, request *raw) (*raw, error) {
				stopping = Stopping(ctx)
				<-stopping
				return request, nil
			})}}))
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		client := newTestClient(t, l.dial())
		waits := client.call("/t.S/Wait", "x")
		client.ping()
		if isClosed(s.Draining()) {
			t.Error("the server drains, and has no reason to")
		}

		began := time.Now()
		cancel()
		if !isClosed(s.Draining()) || isClosed(stopping) {
			t.Error("during the delay, the server must be draining and not stopping")
		}
		time.Sleep(time.Minute - 1)
		client.call("/t.S/Echo", "old").result().want(codes.OK, "", "old")
		late := newTestClient(t, l.dial())
		late.call("/t.S/Echo", "new").result().want(codes.OK, "", "new")
		late.close()
		if r := waits.snapshot(); r.ended || isClosed(stopping) {
			t.Error("the server stops before the delay is over")
		}

		waits.result().want(codes.OK, "", "x") // the handler has been told
		client.close()                         // as clients do when they have received GOAWAY
		check(t, <-served)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("Serve took %v more, want the delay", took)
		}
	})
}

// TestServer_DrainDelayEndsByStop does not let a server that is told to stop dwell in the delay.
func TestServer_DrainDelayEndsByStop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := NewServer(ServerOptions{DrainDelay: time.Hour})
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		cancel()
		synctest.Wait()
		began := time.Now()
		<-s.Stop(0)
		check(t, <-served)
		if took := time.Since(began); took != 0 {
			t.Errorf("Serve took %v more, want none", took)
		}
	})
}

// TestServer_Draining says in which stages the channel is closed.
func TestServer_Draining(t *testing.T) {
	for at, want := range map[stage]bool{stopped: false, started: false, draining: true, grace: true, terminated: true} {
		s := serverAt(t, at)
		select {
		case <-s.Draining():
			if !want {
				t.Errorf("Draining is closed in stage %d", at)
			}
		default:
			if want {
				t.Errorf("Draining is not closed in stage %d", at)
			}
		}
		if at == stopped {
			<-s.Stop(0)
			<-s.Draining()
		}
	}
}

// TestStopping_OfNoRPC is never closed, rather than at once.
func TestStopping_OfNoRPC(t *testing.T) {
	if Stopping(context.Background()) != nil {
		t.Error("Stopping returns a channel although there is no RPC")
	}
}
