package http2

import (
	"bytes"
	"fmt"
	"testing"
)

// TestReadBuffer_FitsWhatComes reads frames of content in reads of all kinds. What comes out is what went in, and the memory is
// as large as it has to be.
func TestReadBuffer_FitsWhatComes(t *testing.T) {
	for _, length := range []int{1, 100, 4 << 10, 9000, minMaxFrameSize} {
		for _, most := range []int{50, 20_000, 1 << 20} { // octets of a read
			t.Run(fmt.Sprintf("frames of %d, reads of %d", length, most), func(t *testing.T) {
				b := &readBuffer{}
				want, input := []byte{}, []byte{}
				for i := 0; len(input) < 600_000; i++ {
					content := bytes.Repeat([]byte{byte(i)}, length)
					want = append(want, content...)
					input = append(appendFrameHeader(input, frameData, 0, 1, length), content...)
				}
				got, largest := []byte{}, 0
				for len(input) > 0 {
					space := b.Space()
					largest = max(largest, len(b.mem))
					n := copy(space[:min(len(space), most)], input)
					input = input[n:]
					b.end += n
					for {
						f, ok, err := b.next()
						if err != nil {
							t.Fatal(err)
						}
						if !ok {
							break
						}
						got = append(got, f.payload...)
					}
					if n%3 == 0 {
						b.Idle()
						if len(b.mem) > readBufferSize {
							t.Fatalf("a connection that waits has %d octets", len(b.mem))
						}
					}
				}
				if !bytes.Equal(got, want) {
					t.Errorf("of %d octets of content, %d came out, or others", len(want), len(got))
				}
				if wants := most > readBufferSize; (largest == largeReadBufferSize) != wants {
					t.Errorf("the memory had %d octets", largest)
				}
				for range 2 * bulkReads {
					b.Space()
				}
				if len(b.mem) > readBufferSize {
					t.Errorf("%d octets are held behind reads of nothing", len(b.mem))
				}
			})
		}
	}
}
