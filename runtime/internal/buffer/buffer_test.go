package buffer

import (
	"bytes"
	"testing"
	"unsafe"
)

func TestGet_HasRoom(t *testing.T) {
	for _, tt := range []struct{ n, room int }{
		{0, 512},
		{1, 512},
		{512, 512},
		{513, 1024},
		{1 << 20, 1 << 20},
		{1<<20 + 5, 5 << 18},
		{65537, 5 << 14},
		{7 << 18, 7 << 18},
		{7<<18 + 1, 1 << 21},
		{8 << 20, 8 << 20},
		{8<<20 + 1, 8<<20 + 1},
	} {
		b := Get(tt.n)
		if len(b) != 0 || cap(b) != tt.room || Size(tt.n) != tt.room {
			t.Errorf("Get(%d) has length %d and room for %d, Size says %d; want 0 and %d", tt.n, len(b), cap(b), Size(tt.n), tt.room)
		}
		Put(b)
	}
}

// A slice that is shorter than its class must not be kept: Get would return memory behind its end, which is others'.
func TestPut_TakesItsOwnOnly(t *testing.T) {
	Put(nil)
	for _, size := range []int{3, 511, 768, 1025, 3 << 10, 11 << 10, 16 << 20} {
		b := make([]byte, size)
		for range 100 { // a pool may lose a slice, above all under the race detector
			Put(b)
			if got := Get(size); unsafe.SliceData(got) == unsafe.SliceData(b) {
				t.Fatalf("a slice of %d octets, which Get has not made, comes back as one of %d", size, cap(got))
			}
		}
	}
	for n := 1; n <= 8<<20; n += n/7 + 1 {
		if got := cap(Get(n)); got != Size(n) || got < n {
			t.Errorf("Get(%d) has room for %d, Size says %d", n, got, Size(n))
		}
	}
}

// What is moved has its octets, and room; and what it was in is used again.
func TestMove(t *testing.T) {
	for _, tt := range []struct{ octets, n int }{{0, 0}, {3, 3}, {600, 600}, {600, 5000}, {5000, 5001}} {
		b := append(Get(tt.octets), bytes.Repeat([]byte("x"), tt.octets)...)
		moved := Move(b, tt.n)
		clear(b[:cap(b)])
		if !bytes.Equal(moved, bytes.Repeat([]byte("x"), tt.octets)) || cap(moved) != Size(tt.n) {
			t.Errorf("%d octets moved to room for %d: %d in room for %d", tt.octets, tt.n, len(moved), cap(moved))
		}
	}
}

// A slice that was given back is used again; one that was not is nobody else's.
func TestGet_NeverSharesASlice(t *testing.T) {
	held := Get(1000)[:1000]
	for i := range 100 {
		other := Get(1000)[:1000]
		for j := range other {
			other[j] = byte(i)
		}
		if &other[0] == &held[0] {
			t.Fatal("Get returned a slice that is in use")
		}
		Put(other)
	}
}
