package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/buffer"
)

// wideOpen is a window that is as large as can be.
func wideOpen() int { return math.MaxInt32 }

// TestCutter_HugeLength is about lengths that are negative where int has 32 bits.
func TestCutter_HugeLength(t *testing.T) {
	for _, prefix := range []string{"\x00\x80\x00\x00\x00", "\x00\xff\xff\xff\xff"} {
		for _, limit := range []int{-1, 0, 4 << 20, math.MaxInt32} {
			var c Cutter
			_, done, err := c.Feed([]byte(prefix), limit, Identity, wideOpen)
			if done || kindOf(t, err) != TooLarge {
				t.Errorf("prefix %x with limit %d: done %v, %v; want TooLarge", prefix, limit, done, err)
			}
		}
	}
}

// TestCutter_Prefix feeds a prefix, and looks what it makes of it.
func TestCutter_Prefix(t *testing.T) {
	for _, tt := range []struct {
		prefix   string
		encoding Encoding
		kind     Kind
		text     string
	}{
		{"\x00\x00\x00\x00\x64", Identity, noError, ""},
		{"\x00\x00\x00\x00\x64", Gzip, noError, ""},
		{"\x01\x00\x00\x00\x64", Gzip, noError, ""},
		{"\x01\x00\x00\x00\x64", Identity, Malformed, "Compressed-Flag is set, but grpc-encoding is identity or missing"},
		{"\x02\x00\x00\x00\x64", Gzip, Malformed, "Compressed-Flag is 2; it is 0 or 1"},
		{"\xff\x00\x00\x00\x65", Gzip, Malformed, "Compressed-Flag is 255; it is 0 or 1"},
		{"\x00\x00\x00\x00\x65", Identity, TooLarge, "Received message larger than max (101 vs. 100)"},
	} {
		var c Cutter
		_, done, err := c.Feed([]byte(tt.prefix), 100, tt.encoding, wideOpen)
		if done || kindOf(t, err) != tt.kind || err != nil && err.Error() != tt.text {
			t.Errorf("%x with %v: done %v, %v; want %q", tt.prefix, tt.encoding, done, err, tt.text)
		}
		if err == nil && (!c.Partial() || c.Missing() != 100) {
			t.Errorf("%x: %d octets are missing", tt.prefix, c.Missing())
		}
		if c.Drop(); c.Partial() || c.Missing() != 0 || c.Data() != nil {
			t.Errorf("%x: something is left", tt.prefix)
		}
	}
}

// TestCheckSent is about the size of messages that are about to be sent.
func TestCheckSent(t *testing.T) {
	for _, tt := range []struct {
		size, limit int
		kind        Kind
	}{{3, 3, noError}, {4, 3, TooLarge}, {4, 0, noError}, {4, -1, noError}, {0, 1, noError}} {
		if err := CheckSent(tt.size, tt.limit); kindOf(t, err) != tt.kind {
			t.Errorf("%d octets with limit %d: %v", tt.size, tt.limit, err)
		}
	}
}

// TestCutter_Growth feeds messages in parts, and looks at the memory behind what has come. It must be no more than the peer
// pays for by sending, or may send unasked; and it must not be copied for each part.
func TestCutter_Growth(t *testing.T) {
	type part struct {
		octets, window int // the window that is left behind it
		capacity       int // of the memory, or of the class that is large enough
	}
	const whole = 65535 // a window that nothing has been sent into
	for _, tt := range []struct {
		name   string
		length int
		parts  []part
	}{
		{"Small", 100, []part{{1, whole, 100}, {99, whole, 100}}},
		{"AtOnce", 5000, []part{{5000, whole, 5000}}},
		{"FourTimesWhatHasCome", 60_000, []part{{300, whole, 1200}}},
		{"TheFirstChunk", 1 << 20, []part{{whole, 1 << 20, FirstChunk}}},
		{"NoMoreThanTheWindow", 1 << 20, []part{{1000, 50, 1050}, {2000, 100, 3100}}},
		{"NoMoreThanIsMissing", 30_000, []part{{10_000, whole, 30_000}, {10_000, whole, 30_000}}},
		{"TheFirstChunkNext", 1 << 20, []part{{1, whole, 4}, {600, whole, FirstChunk}}},
		{"SixteenTimes", 4 << 20, []part{{16 << 10, 4 << 20, FirstChunk}, {64 << 10, 4 << 20, 1 << 20}, {1 << 20, 4 << 20, 4 << 20}}},
		{"AsMuchAsComes", 4 << 20, []part{{16 << 10, 4 << 20, FirstChunk}, {2 << 20, 4 << 20, 16<<10 + 2<<20}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Cutter
			prefix := AppendPrefix(nil, false, tt.length)
			c.Feed(prefix[:PrefixLen-1], tt.length, Identity, nil)
			content := make([]byte, tt.length)
			for i, p := range tt.parts {
				data := content[:p.octets]
				if i == 0 {
					data = append(prefix[PrefixLen-1:], data...)
				}
				if _, _, err := c.Feed(data, tt.length, Identity, func() int { return p.window }); err != nil {
					t.Fatal(err)
				}
				want := p.capacity
				if tt.length > SmallMessage {
					want = buffer.Size(want)
				}
				if got := cap(c.Data()); got != want {
					t.Errorf("part %d: %d octets have come, and there is memory for %d, want %d", i, len(c.Data()), got, want)
				}
			}
		})
	}
}

// message is a message as a Cutter gives it.
type message struct {
	data       []byte
	compressed bool
}

// FuzzMessages cuts content into messages, as it comes in pieces of any size, and compares with a reading of it as a whole.
// Both directions: the messages make up the content again.
func FuzzMessages(f *testing.F) {
	f.Add(lpm(0, "one"), []byte{1}, uint16(100), false)
	f.Add(append(lpm(0, ""), append(lpm(1, "two"), 0)...), []byte{3, 200}, uint16(100), true)
	f.Add(append(lpm(0, strings.Repeat("x", 70_000)), lpm(0, "y")...), []byte{255, 1}, uint16(1<<16-1), false)
	f.Add(lpm(2, "x"), []byte{}, uint16(0), true)
	f.Add(lpm(1, "x"), []byte{0}, uint16(1), false)
	f.Add([]byte("\x00\xff\xff\xff\xff"), []byte{2}, uint16(9), false)
	f.Fuzz(func(t *testing.T, content, cuts []byte, limit uint16, compressed bool) {
		encoding := Identity
		if compressed {
			encoding = Gzip
		}
		whole := content
		want, wantKind, wantPartial := readMessages(content, int(limit), compressed)
		var c Cutter
		var got []message
		var err error
		for i := 0; len(content) > 0 && err == nil; i++ {
			n := len(content)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])*int(cuts[i%len(cuts)])+1)
			}
			piece := bytes.Clone(content[:n]) // of the read buffer, which is used again
			content = content[n:]
			for rest := piece; len(rest) > 0 && err == nil; {
				var done bool
				rest, done, err = c.Feed(rest, int(limit), encoding, wideOpen)
				if has := cap(c.Data()); has > max(16*len(c.Data()), FirstChunk) {
					t.Fatalf("%d octets of a message occupy %d", len(c.Data()), has)
				}
				if done {
					data, compressed := c.Take()
					got = append(got, message{data, compressed})
				}
			}
			clear(piece)
		}
		if kindOf(t, err) != wantKind || err == nil && c.Partial() != wantPartial || len(got) != len(want) {
			t.Fatalf("%d messages, %v, partial %v; want %d, %v, %v", len(got), err, c.Partial(), len(want), wantKind, wantPartial)
		}
		var again []byte
		for i := range got {
			if !bytes.Equal(got[i].data, want[i].data) || got[i].compressed != want[i].compressed {
				t.Fatalf("message %d is %.100q, want %.100q", i, got[i].data, want[i].data)
			}
			begin := len(again)
			again = append(AppendPrefix(again, got[i].compressed, 0), got[i].data...)
			SetLength(again[begin:])
			if compressed, n := ParsePrefix(again[begin:]); compressed != got[i].compressed || n != len(got[i].data) {
				t.Fatalf("the prefix of message %d says %d octets, compressed %v", i, n, compressed)
			}
			checkInflate(t, got[i].data, int(limit))
		}
		if !bytes.HasPrefix(whole, again) {
			t.Fatalf("%.100q became %.100q", whole, again)
		}
	})
}

// readMessages reads the messages of content up to the first that is wrong.
func readMessages(content []byte, limit int, compressed bool) (messages []message, err Kind, partial bool) {
	for len(content) >= 5 {
		flag, n := content[0], int64(binary.BigEndian.Uint32(content[1:]))
		switch {
		case flag > 1 || flag == 1 && !compressed:
			return messages, Malformed, false
		case n > int64(limit):
			return messages, TooLarge, false
		case n > int64(len(content)-5):
			return messages, noError, true
		}
		messages = append(messages, message{content[5 : 5+n], flag == 1})
		content = content[5+n:]
	}
	return messages, noError, len(content) > 0
}
