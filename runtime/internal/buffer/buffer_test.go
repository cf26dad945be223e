package buffer

import "testing"

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

func TestPut_TakesItsOwnOnly(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 3), make([]byte, 0, 511), make([]byte, 0, 768), make([]byte, 0, 16<<20)} {
		Put(b)
	}
	for n := 1; n <= 8<<20; n += n/7 + 1 {
		if got := cap(Get(n)); got != Size(n) || got < n {
			t.Errorf("Get(%d) has room for %d: a slice that was not made by Get", n, got)
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
