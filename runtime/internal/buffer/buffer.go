// Package buffer keeps byte slices for messages. Large messages are why: memory fresh from the system has to be
// cleared and mapped page by page, which costs more than everything else that is done with a message of 1 MiB.
package buffer

import (
	"math/bits"
	"sync"
	"unsafe"
)

// Slices are kept by size class: powers of two from 512 octets to 8 MiB, the largest message by default with its
// prefix.
const (
	minShift = 9
	maxShift = 23
)

var pools [maxShift - minShift + 1]sync.Pool // of *byte, the first of 1<<shift

// Get returns an empty slice with room for n octets at least. Its content beyond the length is anything.
func Get(n int) []byte {
	if n > 1<<maxShift {
		return make([]byte, 0, n)
	}
	shift := max(bits.Len(uint(max(n, 1)-1)), minShift)
	if p, ok := pools[shift-minShift].Get().(*byte); ok {
		return unsafe.Slice(p, 1<<shift)[:0]
	}
	return make([]byte, 0, 1<<shift)
}

// Put gives a slice back, which must begin where Get made it begin. Nobody may use it any more. Slices that are not
// Get's are left to the garbage collector.
func Put(b []byte) {
	size := cap(b)
	if size < 1<<minShift || size > 1<<maxShift || size&(size-1) != 0 {
		return
	}
	pools[bits.Len(uint(size))-1-minShift].Put(unsafe.SliceData(b))
}
