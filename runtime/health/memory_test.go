package health_test

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// heap is what is in use after a garbage collection, and after one more for what finalizers and pools have let go. Large slices that
// wait for the next large message are not what a watch holds.
func heap() int64 {
	var stats goruntime.MemStats
	for range 2 {
		goruntime.GC()
	}
	goruntime.ReadMemStats(&stats)
	return int64(stats.HeapInuse+stats.StackInuse) - int64(buffer.Kept())
}

// TestWatch_HoldsLittle has clients watch with large requests, which compressed might be a thousandth of that. What a watch
// holds does not depend on what was sent.
func TestWatch_HoldsLittle(t *testing.T) {
	const large = 1 << 20
	stuffed := func(n int) *healthpb.HealthCheckRequest {
		r := &healthpb.HealthCheckRequest{Service: "t.S"}
		r.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 15, protowire.BytesType), make([]byte, n)))
		return r
	}
	for _, tt := range []struct {
		name    string
		watches int
		request func(i int) *healthpb.HealthCheckRequest
		each    int64 // octets that a watch may hold; grpc-go's client is in it
		code    codes.Code
	}{
		{"LongName", 20, func(int) *healthpb.HealthCheckRequest {
			return &healthpb.HealthCheckRequest{Service: strings.Repeat("a", large)}
		}, 128 << 10, codes.ResourceExhausted},
		{"UnknownFields", 20, func(int) *healthpb.HealthCheckRequest { return stuffed(large) }, 128 << 10, codes.ResourceExhausted},
		{"NameOf257", 20, func(int) *healthpb.HealthCheckRequest {
			return &healthpb.HealthCheckRequest{Service: strings.Repeat("a", 257)}
		}, 128 << 10, codes.InvalidArgument},
		{"SomeUnknownFields", 900, func(int) *healthpb.HealthCheckRequest { return stuffed(4000) }, 32 << 10, codes.OK},
		{"ManyNames", 900, func(i int) *healthpb.HealthCheckRequest {
			return &healthpb.HealthCheckRequest{Service: fmt.Sprintf("%0256d", i)}
		}, 32 << 10, codes.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, runtime.ServerOptions{})
			s.watch("").want(serving)
			before := heap()
			for i := range tt.watches {
				stream, err := s.client.Watch(t.Context(), tt.request(i))
				if err != nil {
					t.Fatal(err)
				}
				response, err := stream.Recv()
				if status.Code(err) != tt.code || err == nil && response.GetStatus() != serviceUnknown {
					t.Fatalf("the watcher got %v, %v", response, err)
				}
			}
			held := heap() - before
			t.Logf("%d KiB for each watch", held>>10/int64(tt.watches))
			if held > int64(tt.watches)*tt.each {
				t.Errorf("%d watches hold %d KiB", tt.watches, held>>10)
			}
		})
	}
}
