package interop

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/gogreeter/gogreeter/runtime"
)

func timeout(value string) hpack.HeaderField {
	return hpack.HeaderField{Name: "grpc-timeout", Value: value}
}

// The client of these tests has no clock: what ends the RPC is the server.
func TestDeadline_IsEnforcedByServer(t *testing.T) {
	f := newFacts()
	peer := dialFrames(t, serveFacts(t, transport{}, f, runtime.ServerOptions{}))
	t.Run("handler waits for its ctx", func(t *testing.T) {
		peer.call(factsPath("Wait"), requestBody("?"), timeout("50m")).wantStatus(t, "4", "Deadline Exceeded")
		if err := <-f.waitEnds; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler's ctx ended with %v, want context.DeadlineExceeded", err)
		}
	})
	t.Run("handler ignores its ctx", func(t *testing.T) {
		peer.call(factsPath("Ignore"), requestBody("?"), timeout("50m")).wantStatus(t, "4", "Deadline Exceeded")
		close(f.ignore) // only now can the handler return
	})
	t.Run("deadline has passed already", func(t *testing.T) {
		peer.call(factsPath("Echo"), requestBody("?"), timeout("0S")).wantStatus(t, "4", "Deadline Exceeded")
	})
	t.Run("deadline is far away", func(t *testing.T) {
		for _, value := range []string{"1H", "99999999H", "60M", "3600S", "99999999m", "99999999u"} {
			peer.call(factsPath("Echo"), requestBody("Ada"), timeout(value)).wantOK(t, "Ada")
		}
	})
	t.Run("connection goes on", func(t *testing.T) {
		peer.call(factsPath("Echo"), requestBody("Ada")).wantOK(t, "Ada")
	})
}

func TestCancellation_ReachesHandler_OnRSTStream(t *testing.T) {
	f := newFacts()
	peer := dialFrames(t, serveFacts(t, transport{}, f, runtime.ServerOptions{}))
	stream := peer.start(factsPath("Wait"), requestBody("?"))
	<-f.began
	peer.check(peer.framer.WriteRSTStream(stream, 0x8)) // CANCEL
	if err := <-f.waitEnds; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's ctx ended with %v, want context.Canceled", err)
	}
	peer.call(factsPath("Echo"), requestBody("Ada")).wantOK(t, "Ada")
}
