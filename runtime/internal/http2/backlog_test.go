package http2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// What is added comes out again, in order, whatever the pieces; and memory that was given back is not looked at again.
func TestBacklog_KeepsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(69, 1))
	source := pattern(1, 4*smallChunk)
	for range 50 {
		var b backlog
		var want, got []byte
		for range 100 {
			if r.IntN(2) == 0 {
				n := 1 + r.IntN([]int{10, ownChunk, smallChunk, 3 * smallChunk}[r.IntN(4)])
				data := append(buffer.Get(n), source[r.IntN(smallChunk):][:n]...)
				sent := r.IntN(n)
				want = append(want, data[sent:]...)
				if kept := b.add(data, data[sent:]); !kept {
					clear(data) // ours again
					buffer.Put(data)
				}
			} else if b.size > 0 {
				next := b.next()
				n := 1 + r.IntN(len(next))
				got = append(got, next[:n]...)
				b.advance(n)
			}
			if b.size != len(want)-len(got) {
				t.Fatalf("size %d, want %d", b.size, len(want)-len(got))
			}
			if other := buffer.Get(1 + r.IntN(smallChunk)); true {
				clear(other[:cap(other)]) // what is free belongs to others
				buffer.Put(other)
			}
		}
		if r.IntN(2) == 0 {
			b.clear()
			want = want[:len(got)]
		}
		for b.size > 0 {
			next := b.next()
			got = append(got, next...)
			b.advance(len(next))
		}
		if !bytes.Equal(got, want) {
			t.Fatal("not what was added")
		}
		if b.chunks != nil {
			t.Error("memory is held for nothing")
		}
	}
}
