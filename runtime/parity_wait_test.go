package runtime

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestServer_Waiters is grpc-python's _server_wait_for_termination_test: any number may wait, from before the start; each
// is let go when the server has terminated or its own patience ends, and a time-out does not look like the end.
func TestServer_Waiters(t *testing.T) {
	wait := func(s *Server, patience time.Duration) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			ended <- s.WaitForTermination(ctx)
		}()
		return ended
	}
	tests := []struct {
		name string
		stop time.Duration // when the server is stopped
		want []error       // of waiters with a patience of 1, 2 and 3 hours
	}{
		{"StopUnblocksAll", time.Minute, []error{nil, nil, nil}},
		{"OneGivesUp", 90 * time.Minute, []error{context.DeadlineExceeded, nil, nil}},
		{"AllGiveUp", 24 * time.Hour, []error{context.DeadlineExceeded, context.DeadlineExceeded, context.DeadlineExceeded}},
	}
	for _, tt := range tests {
		runInBubble(t, tt.name, func(t *testing.T) {
			s := NewServer(ServerOptions{})
			check(t, s.AddListener(newPipeListener()))
			var waiters []<-chan error
			for i := range tt.want {
				waiters = append(waiters, wait(s, time.Duration(i+1)*time.Hour))
			}
			synctest.Wait()
			check(t, s.Start())
			time.Sleep(tt.stop)
			<-s.Stop(0)
			for i, want := range tt.want {
				if err := <-waiters[i]; !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("waiter %d got %v, want %v", i, err, want)
				}
			}
		})
	}
}

// TestServer_ManyThatDoNotServe is grpc-python's _interpreter_exit_test: servers that are made, and started or not, leave
// nothing behind. The bubble fails if a goroutine is left.
func TestServer_ManyThatDoNotServe(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for i := range 1000 {
			s := NewServer(ServerOptions{})
			if i%2 == 0 {
				check(t, s.AddListener(newPipeListener()))
				check(t, s.Start())
			}
			<-s.Stop(0)
		}
	})
}
