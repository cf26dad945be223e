// Package buffer keeps byte slices for messages. Large messages are why: memory fresh from the system has to be
// cleared and mapped page by page, which costs more than everything else that is done with a message of 1 MiB.
package buffer

import (
	"math/bits"
	"sync"
	"unsafe"
)

// Slices are kept by size class, from 512 octets to 8 MiB, the largest message by default with its prefix. The classes are
// the powers of two, and from coarse on three more between two of them: a large slice is a quarter longer than it has to
// be at most.
const (
	minShift = 9
	maxShift = 23
	coarse   = 12

	// MaxKept is the size of the largest slices that are kept. Larger ones are fresh: zero all over.
	MaxKept = 1 << maxShift
)

var pools [4 * (maxShift - minShift + 1)]sync.Pool // of *byte, the first of the class's octets

// class returns the class of slices for n octets, which is at most the largest, and how long they are.
func class(n int) (index, size int) {
	shift := max(bits.Len(uint(max(n, 1)-1)), minShift) // n ≤ 1<<shift
	quarter := 4
	if shift > coarse {
		step := 1 << (shift - 3) // the power of two below has four of them
		quarter = (n+step-1)/step - 4
		if quarter < 4 {
			return 4*(shift-1-minShift) + quarter, (quarter + 4) * step
		}
	}
	return 4 * (shift - minShift), 1 << shift
}

// Size returns the capacity of a slice that Get would return for n octets.
func Size(n int) int {
	if n > 1<<maxShift {
		return n
	}
	_, size := class(n)
	return size
}

// Get returns an empty slice with room for n octets at least. Its content beyond the length is anything.
func Get(n int) []byte {
	if n > MaxKept {
		return make([]byte, 0, n)
	}
	index, size := class(n)
	if size >= minReserved {
		if p := largeSlices.get(index); p != nil {
			return unsafe.Slice(p, size)[:0]
		}
	}
	if p, ok := pools[index].Get().(*byte); ok {
		return unsafe.Slice(p, size)[:0]
	}
	return make([]byte, 0, size)
}

// Move returns the octets of b in a slice with room for n, which are at least as many, and gives b back.
func Move(b []byte, n int) []byte {
	moved := append(Get(n), b...)
	Put(b)
	return moved
}

// Put gives a slice back, which must begin where Get made it begin. Nobody may use it any more. Slices that are not
// Get's are left to the garbage collector.
func Put(b []byte) {
	if cap(b) < 1<<minShift || cap(b) > MaxKept {
		return
	}
	index, size := class(cap(b))
	if size == cap(b) && (size < minReserved || !largeSlices.put(index, size, unsafe.SliceData(b))) {
		pools[index].Put(unsafe.SliceData(b))
	}
}
