package interop

import (
	"context"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/stats"

	"github.com/gogreeter/gogreeter/runtime"
)

func TestCompression_GoesBothWays(t *testing.T) {
	compressible := strings.Repeat("gogreeter ", 100_000) // 1 MB
	overTransports(t, func(t *testing.T, tr transport) {
		for _, method := range []string{"Gzip", "GzipStream"} {
			t.Run(method, func(t *testing.T) {
				var wire wireSizes
				channel := tr.dial(t, serveFacts(t, tr, newFacts(), runtime.ServerOptions{}), grpc.WithStatsHandler(&wire))
				have, err := call[request, reply](t.Context(), channel, factsPath(method), requests(compressible), grpc.UseCompressor(gzip.Name))
				if err != nil {
					t.Fatal(err)
				}
				wantMessages(t, have, replies(compressible))
				if wire.encoding != gzip.Name {
					t.Errorf("grpc-encoding is %q, want gzip", wire.encoding)
				}
				if wire.received > len(compressible)/10 {
					t.Errorf("%d bytes of response came for %d, they should have been compressed", wire.received, len(compressible))
				}
			})
		}
	})
}

// A peer that does not say that it accepts gzip gets none.
func TestCompression_IsIdentity_ForPeerThatDoesNotAcceptGzip(t *testing.T) {
	peer := dialFrames(t, serveFacts(t, transport{}, newFacts(), runtime.ServerOptions{}))
	response := peer.call(factsPath("Gzip"), requestBody(strings.Repeat("x", 1000)))
	if encoding := response.header("grpc-encoding"); encoding != "" && encoding != "identity" {
		t.Errorf("grpc-encoding is %q", encoding)
	}
	response.wantOK(t, strings.Repeat("x", 1000))
}

// wireSizes is a stats handler that adds up what responses took on the wire.
type wireSizes struct {
	mu       sync.Mutex
	encoding string
	received int
}

func (w *wireSizes) HandleRPC(_ context.Context, event stats.RPCStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch event := event.(type) {
	case *stats.InHeader:
		w.encoding = event.Compression
	case *stats.InPayload:
		w.received += event.CompressedLength
	}
}

func (w *wireSizes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (w *wireSizes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (w *wireSizes) HandleConn(context.Context, stats.ConnStats)                       {}
