package frames

import (
	"bytes"
	"testing"
)

// TestNext takes frames that come in pieces of every size.
func TestNext(t *testing.T) {
	sent := []Frame{
		{Settings, Ack, 0, nil},
		{Data, EndStream, 5, bytes.Repeat([]byte("x"), 300)},
		{Headers, EndHeaders, 1<<31 - 1, []byte("block")},
	}
	var octets []byte
	for _, f := range sent {
		octets = Append(octets, f.Kind, f.Flags, f.ID, f.Payload)
	}
	for piece := 1; piece <= len(octets); piece++ {
		var b []byte
		n := 0
		for from := 0; from < len(octets); from += piece {
			b = append(b, octets[from:min(from+piece, len(octets))]...)
			for {
				f, rest, ok := Next(b)
				if !ok {
					break
				}
				if want := sent[n]; f.Kind != want.Kind || f.Flags != want.Flags || f.ID != want.ID || !bytes.Equal(f.Payload, want.Payload) {
					t.Fatalf("in pieces of %d, frame %d is %v", piece, n, f)
				}
				n++
				b = rest
			}
		}
		if n != len(sent) || len(b) > 0 {
			t.Fatalf("in pieces of %d, %d frames came, and %d octets are left", piece, n, len(b))
		}
	}
}
