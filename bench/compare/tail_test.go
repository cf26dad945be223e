package main

import (
	"strings"
	"testing"
	"time"
)

// TestWriteTail checks that the table says which server does not keep up, and how far a peer's latencies are from ours.
func TestWriteTail(t *testing.T) {
	const ms = time.Millisecond
	r := &results{Samples: map[string][]sample{
		key(tail2k, gogreeter): {{Due: 2000, Rate: 1999, P50: ms, P99: 2 * ms, P999: 4 * ms, Lag: ms / 2, CPU: 3}},
		key(tail2k, grpcGo):    {{Due: 2000, Rate: 1000, P50: 2 * ms, P99: 3 * ms, P999: 3000 * ms}},
	}}
	var w strings.Builder
	r.writeTail(&w, "title", tail)
	for _, want := range []string{
		"| " + tail2k + " | gogreeter | 2000 | 1999 | 1ms | 2ms | 4ms | 3.00 µs | 500µs |",
		"| " + tail2k + " | grpc-go | 2000 | **1000** | 2ms (2.0 ×) | 3ms (1.5 ×) | 3s (750.0 ×) | – | 0s |",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("there is no row\n%s\nin\n%s", want, w.String())
		}
	}
}
