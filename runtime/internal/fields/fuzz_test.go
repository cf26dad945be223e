package fields

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// FuzzFieldBlock decodes field blocks with the memo and without. The first octet of each is its length, and says by its two
// upper bits what kind of section the block is; length 0 is the last block again.
func FuzzFieldBlock(f *testing.F) {
	changesTable := unhex("838644042f612f62 410474657374") // POST http://test/a/b
	for _, blocks := range [][][]byte{
		{unhex("838604042f612f62"), nil, nil},
		{changesTable, nil, unhex("838684be"), nil, changesTable, unhex("838684be")},
		{unhex("203fe11f838684"), nil, unhex("838684400161013"[:14] + "01"), unhex("838684be"), nil},
		{unhex("838684000161820000"), nil},
		{unhex("8286844" + "18cf1e3c2e5f23a6ba0ab90f4ff"), nil, unhex("828684be5886a8eb10649cbf"), nil},
	} {
		var input []byte
		for _, block := range blocks {
			input = append(append(input, byte(len(block))), block...)
		}
		f.Add(input)
	}
	f.Add(bytes.Repeat([]byte("\x41\x88\x85\x00\x01a\x011"), 2)) // a response and its trailers, twice
	f.Fuzz(func(t *testing.T, input []byte) {
		with, without := NewDecoder(1000, 20), NewDecoder(1000, 20)
		var block []byte
		for len(input) > 0 {
			kind := Kind(input[0]>>6) % kinds
			n := min(int(input[0]&0x3f), len(input)-1)
			if n > 0 {
				block = input[1 : 1+n]
			}
			input = input[1+n:]
			if !agree(t, with, without, kind, block) {
				return
			}
		}
	})
}

// FuzzTableAlone asks an HPACK decoder whether a field block really leaves the dynamic table alone, in every prefix of
// the block that is a block itself.
func FuzzTableAlone(f *testing.F) {
	for _, block := range []string{
		"82 86 84", "83 86 84 be bf", "1008 7061 7373 776f 7264 0673 6563 7265 74", "0f 2f 03 61 62 63",
		"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "3f e1 1f 82", "20 82", "00 01 61 00",
		"0f 80 80 00 00", "7f 80 80 80 00 01 61", "04 8c f1 e3 c2 e5 f2 3a 6b a0 ab 90 f4 ff", "00 01 61 7f 00" + string(bytes.Repeat([]byte("00"), 127)),
	} {
		f.Add(unhex(block))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		for n := range len(block) + 1 {
			decoder := primedDecoder()
			if _, err := decoder.DecodeFull(block[:n]); err != nil {
				continue
			}
			if leavesTableAlone(block[:n]) && !slices.Equal(tableOf(decoder), tableOf(primedDecoder())) {
				t.Errorf("% x changes the table to %v", block[:n], tableOf(decoder))
			}
		}
	})
}

// primedDecoder returns a decoder with two entries in its dynamic table.
func primedDecoder() *hpack.Decoder {
	d := hpack.NewDecoder(tableSize, nil)
	d.DecodeFull(unhex("4001 61 01 62 4001 63 01 64"))
	return d
}

// tableOf returns the first entries of a decoder's dynamic table.
func tableOf(d *hpack.Decoder) (entries []hpack.HeaderField) {
	for index := byte(62); index < 72; index++ {
		fields, err := d.DecodeFull([]byte{0x80 | index})
		if err != nil {
			break
		}
		entries = append(entries, fields...)
	}
	return entries
}
