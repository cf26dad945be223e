package buffer

import (
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// TestReserve_SurvivesCollections has a large slice used again after as many garbage collections as empty any pool.
func TestReserve_SurvivesCollections(t *testing.T) {
	const n = 6 << 20 // of a class that no other test uses
	b := Get(n)
	first := unsafe.SliceData(b)
	Put(b)
	for range 4 {
		runtime.GC()
	}
	again := Get(n)
	if unsafe.SliceData(again) != first {
		t.Error("a large slice is lost with a collection")
	}
	if other := Get(n); unsafe.SliceData(other) == first {
		t.Error("a slice that is in use is returned once more")
	}
}

// TestReserve_Limit counts what is kept, by its octets.
func TestReserve_Limit(t *testing.T) {
	k := &reserve{}
	for _, tt := range []struct {
		n    int
		puts bool
	}{
		{4 << 20, true}, {1 << 20, true}, {4 << 20, false}, {3 << 20, true}, {64 << 10, false},
	} {
		index, size := class(tt.n)
		if got := k.put(index, size, new(byte)); got != tt.puts {
			t.Errorf("put of %d octets reports %t with %d kept", tt.n, got, k.octets)
		}
	}
	index, size := class(1 << 20)
	if k.octets != mostAll || k.get(index) == nil || k.octets != mostAll-size || k.get(index) != nil {
		t.Errorf("%d octets are kept", k.octets)
	}
}

// TestReserve_Trim has slices go that nobody has needed for a while, and no others.
func TestReserve_Trim(t *testing.T) {
	began := time.Now()
	k := &reserve{trimmed: began}
	index, size := class(1 << 20)
	for range 5 {
		k.put(index, size, new(byte))
	}
	want := func(when time.Duration, slices int) {
		t.Helper()
		k.trim(began.Add(when))
		if got := len(k.classes[index].slices); got != slices || k.octets != slices*size {
			t.Errorf("after %v, %d slices of %d octets are kept, want %d", when, got, k.octets, slices)
		}
	}
	want(trimAfter-1, 5)
	want(trimAfter, 5) // they have come since the last trim
	k.put(index, size, k.get(index))
	k.get(index)
	k.put(index, size, new(byte))
	want(2*trimAfter-1, 5)
	want(2*trimAfter, 1)
	want(3*trimAfter, 0)
	want(4*trimAfter, 0)
}

// TestReserve_TrimsAtCollections makes sure that collections trim, each of them.
func TestReserve_TrimsAtCollections(t *testing.T) {
	k := newReserve()
	index, size := class(1 << 20)
	left := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.classes[index].slices)
	}
	for range 2 {
		k.put(index, size, new(byte))
		for range 2 { // the first says that it is not needed, the second has it go
			k.mu.Lock()
			before := time.Now().Add(-2 * trimAfter)
			k.trimmed = before
			k.mu.Unlock()
			for began := time.Now(); ; time.Sleep(time.Millisecond) {
				runtime.GC() // and a cleanup follows, some time
				k.mu.Lock()
				trimmed := k.trimmed != before
				k.mu.Unlock()
				if trimmed {
					break
				}
				if time.Since(began) > time.Minute {
					t.Fatal("a collection trims nothing")
				}
			}
		}
		if n := left(); n != 0 {
			t.Errorf("%d slices are left", n)
		}
	}
}

// BenchmarkLarge is what a large slice costs.
func BenchmarkLarge(b *testing.B) {
	for b.Loop() {
		s := Get(1 << 20)
		Put(s)
	}
}
