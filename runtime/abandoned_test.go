package runtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// TestServer_BoundsAbandonedHandlers has a client give up RPCs whose handlers run on. It may have twice as many of them as
// streams. One more stream is refused, on this connection only, until a handler ends.
func TestServer_BoundsAbandonedHandlers(t *testing.T) {
	const streams = 3
	for _, m := range []struct {
		name    string
		options ServerOptions
	}{
		{"Unbounded", ServerOptions{MaxConcurrentStreams: streams}},
		{"BoundedWorkers", ServerOptions{MaxConcurrentStreams: streams, Workers: 2 * streams}},
	} {
		runInBubble(t, m.name, func(t *testing.T) {
			goOn := make(chan struct{})
			stubborn := UnaryUnary(func(_ context.Context, request *raw) (*raw, error) {
				<-goOn
				return request, nil
			})
			s := newTestServer(t, m.options, handlers{"Stubborn": stubborn, "M": echo()})
			client, other := s.dial(), s.dial()
			for range 2 * streams {
				st := client.call("/t.S/Stubborn", "x")
				synctest.Wait()
				st.cancel()
				synctest.Wait()
				if st.refused() {
					t.Fatal("a stream was refused too early")
				}
			}
			if r := client.call("/t.S/Stubborn", "x").result(); !r.reset || r.code != http2.ErrCodeRefusedStream {
				t.Errorf("one more ended with %+v", r)
			}
			if m.options.Workers == 0 {
				other.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			}
			close(goOn)
			synctest.Wait()
			client.call("/t.S/M", "x").result().want(codes.OK, "", "x")
			client.close()
			other.close()
			wantClosed(t, "termination", s.Stop(time.Hour))
		})
	}
}
