package openload

import (
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/bench/internal/frames"
)

func TestLoad_Check(t *testing.T) {
	tests := []struct {
		name string
		load Load
		ok   bool
	}{
		{"Rate", Load{Connections: 1, Duration: 1, Rate: 1}, true},
		{"AtOnce", Load{Connections: 1, Duration: 1, AtOnce: 1}, true},
		{"Neither", Load{Connections: 1, Duration: 1}, false},
		{"NoConnection", Load{Duration: 1, Rate: 1}, false},
		{"NoDuration", Load{Connections: 1, Rate: 1}, false},
		{"TooLarge", Load{Connections: 1, Duration: 1, Rate: 1, Message: make([]byte, frames.MaxPayload+1)}, false},
	}
	for _, tt := range tests {
		if err := tt.load.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	thousand := make([]int, 1000)
	for i := range thousand {
		thousand[i] = i + 1
	}
	tests := []struct {
		sorted []int
		part   float64
		want   int
	}{
		{nil, 0.5, 0},
		{[]int{7}, 0.5, 7},
		{[]int{7}, 0.999, 7},
		{[]int{1, 2, 3, 4}, 0.5, 2},
		{[]int{1, 2, 3}, 0.5, 2},
		{thousand, 0.99, 990},
		{thousand, 0.999, 999},
		{thousand, 1, 1000},
	}
	for _, tt := range tests {
		if got := quantile(tt.sorted, tt.part); got != tt.want {
			t.Errorf("%v of %d values: got %d, want %d", tt.part, len(tt.sorted), got, tt.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	const ms = time.Millisecond
	got, err := summarize([]time.Duration{3 * ms, 1 * ms, 2 * ms, 9 * ms}, []time.Duration{2, 1}, 2*time.Second)
	want := Result{Messages: 4, Rate: 2, P50: 2 * ms, P99: 9 * ms, P999: 9 * ms, Most: 9 * ms, Lag: 2}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := summarize(nil, nil, time.Second); err == nil {
		t.Error("no RPC was counted, and there was no error")
	}
}
