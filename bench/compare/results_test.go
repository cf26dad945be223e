package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	const begin, end = "<!-- begin of what make x writes -->\n", "<!-- end of it -->\n"
	tests := []struct{ name, before, want string }{
		{"NoFile", "", "new $1\n"},
		{"NoMarkers", "by hand\n", "new $1\n"},
		{"OtherMarkers", "<!-- begin of what make y writes -->\n" + end, "new $1\n"},
		{"NoEnd", "by hand\n" + begin + "old\n", "new $1\n"},
		{"Markers", "a\n" + begin + "old\n" + end + "b\n" + end, "a\n" + begin + "\nnew $1\n\n" + end + "b\n" + end},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			if tt.before != "" {
				if err := os.WriteFile(file, []byte(tt.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := place(file, "make x", "new $1\n"); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestResults_Ratio(t *testing.T) {
	r := &results{Samples: map[string][]sample{
		key("s", gogreeter): {{CPU: 1}, {CPU: 9}, {CPU: 2}},
		key("s", grpcGo):    {{CPU: 8}, {CPU: 30}, {CPU: 10}},
		key("t", gogreeter): {{CPU: 0}},
		key("t", grpcGo):    {{CPU: 1}},
	}}
	tests := []struct {
		scenario, peer string
		want           float64
		ok             bool
	}{
		{"s", grpcGo, 5, true}, // of medians, whatever the worst rounds were
		{"s", connectGo, 0, false},
		{"t", grpcGo, 0, false},
		{"u", grpcGo, 0, false},
	}
	for _, tt := range tests {
		if got, ok := r.ratio(tt.scenario, tt.peer, gogreeter, cpu); got != tt.want || ok != tt.ok {
			t.Errorf("%s, %s: got %v, %v, want %v, %v", tt.scenario, tt.peer, got, ok, tt.want, tt.ok)
		}
	}
}

// TestBars checks that each bar is computed from what is measured: a run in which all scenarios have the same figures
// has a figure for each.
func TestBars(t *testing.T) {
	r := &results{Samples: make(map[string][]sample)}
	for _, s := range scenarios {
		for _, contender := range s.with {
			r.add(s, contender, sample{CPU: 1, Allocations: 5, P50: 1, P99: 1, P999: 1, KiB: 1, MiB: 1, Time: 1, First: 1, Later: 1})
		}
	}
	for _, b := range bars {
		if figure, ok := b.figure(r); !ok || figure <= 0 {
			t.Errorf("%s: %v, %v", b.what, figure, ok)
		}
	}
}

// TestCheck says when a run has to fail: beyond the bars, and if it has measured nothing that has one.
func TestCheck(t *testing.T) {
	*maxRatio = 2
	defer func() { *maxRatio = 0 }()
	ratio := func(ours float64) *results {
		return &results{Samples: map[string][]sample{key(unary10x10, gogreeter): {{CPU: ours}}, key(unary10x10, grpcGo): {{CPU: 5}}}}
	}
	tests := []struct {
		name string
		r    *results
		ok   bool
	}{
		{"Reached", ratio(1), true},
		{"WithinTheRatio", ratio(2), true},
		{"Beyond", ratio(3), false},
		{"NothingMeasured", &results{}, false},
	}
	for _, tt := range tests {
		if err := tt.r.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestTables_Versions checks that tables name the versions of the peers, and don't show what is not counted.
func TestTables_Versions(t *testing.T) {
	r := &results{
		Peers: map[string]string{grpcGo: "1.2.3", cppAsync: "4.5.6"},
		Samples: map[string][]sample{
			key(unary10x10, gogreeter): {{CPU: 1, Rate: 5, Reads: 2}},
			key(unary10x10, grpcGo):    {{CPU: 2, Rate: 5, Reads: 2}},
			key(unary10x10, cppAsync):  {{CPU: 3, Rate: 5, Reads: 2, Allocations: -1}},
		},
	}
	text := r.tables()
	for _, want := range []string{
		"| scenario | gogreeter | grpc-go 1.2.3 | gRPC C++ async 4.5.6 |",
		"| " + unary10x10 + " | grpc-go 1.2.3 | 5 | 0.0 | 2.000 | 0.000 |",
		"| " + unary10x10 + " | gRPC C++ async 4.5.6 | 5 | – | – | – |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}
