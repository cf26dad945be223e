package fields

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// decodeAll decodes blocks one after the other and returns what the last one means.
func decodeAll(t *testing.T, d *Decoder, blocks ...string) *Section {
	t.Helper()
	var r *Section
	for _, block := range blocks {
		var err error
		if r, err = d.Decode(Request, unhex(block)); err != nil {
			t.Fatalf("%s: %v", block, err)
		}
	}
	return r
}

// The examples of RFC 7541, Appendix C that are parts of requests, behind a block that makes requests of them.
func TestDecoder_Appendix_C_2(t *testing.T) {
	const rest = "86 84 41 01 78" // :scheme: http, :path: /, :authority: x
	for _, row := range []struct {
		section, block string
		want           string
		leavesTable    bool
	}{
		{"C.2.1", "83" + rest + "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "POST http x / custom-key=custom-header", false},
		{"C.2.2", "83 86 040c 2f73 616d 706c 652f 7061 7468", "POST http  /sample/path", true},
		{"C.2.3", "83 86 84 1008 7061 7373 776f 7264 0673 6563 7265 74", "POST http  / password=secret", true},
		{"C.2.4", "82 86 84", "GET http  /", true},
	} {
		r := decodeAll(t, NewDecoder(1000, 10), row.block)
		if got := describe(r); got != row.want {
			t.Errorf("%s: got %q, want %q", row.section, got, row.want)
		}
		if got := leavesTableAlone(unhex(row.block)); got != row.leavesTable {
			t.Errorf("%s: leaves the table alone: %v", row.section, got)
		}
	}
}

func describe(r *Section) string {
	s := fmt.Sprintf("%s %s %s %s", r.Method, r.Scheme, r.Authority, r.Path)
	for _, f := range r.Fields {
		s += " " + f.Name + "=" + f.Value
	}
	return s
}

// Three requests on a connection, without and with Huffman coding.
func TestDecoder_Appendix_C_3_C_4(t *testing.T) {
	want := []string{
		"GET http www.example.com /",
		"GET http www.example.com / cache-control=no-cache",
		"GET https www.example.com /index.html custom-key=custom-value",
	}
	for section, blocks := range map[string][]string{
		"C.3": {
			"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
			"8286 84be 5808 6e6f 2d63 6163 6865",
			"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
		},
		"C.4": {
			"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
			"8286 84be 5886 a8eb 1064 9cbf",
			"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
		},
	} {
		d := NewDecoder(1000, 10)
		for i, block := range blocks {
			if got := describe(decodeAll(t, d, block)); got != want[i] {
				t.Errorf("%s.%d: got %q, want %q", section, i+1, got, want[i])
			}
		}
	}
}

// The responses of Appendix C.5 are not requests, but keep the dynamic table in step all the same.
func TestDecoder_Appendix_C_5(t *testing.T) {
	d := NewDecoder(1000, 10)
	for i, row := range []struct{ block, malformed string }{
		{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "unknown pseudo-header field"},
		{"4803 3330 37c1 c0bf", "unknown pseudo-header field"},
		{"82 86 84 c1 c0 bf", ""}, // the three fields from the table
	} {
		r := decodeAll(t, d, row.block)
		if r.Malformed != row.malformed {
			t.Errorf("block %d: malformed: %q", i, r.Malformed)
		}
		if want := "GET http  / cache-control=private date=Mon, 21 Oct 2013 20:13:21 GMT location=https://www.example.com"; row.malformed == "" && describe(r) != want {
			t.Errorf("got %q", describe(r))
		}
	}
}

func TestLeavesTableAlone(t *testing.T) {
	for _, row := range []struct {
		block string
		want  bool
	}{
		{"", true},
		{"82 be ff 80 01", true},
		{"00 01 61 01 62", true},
		{"00 81 1f 81 1f", true}, // Huffman
		{"0f 2f 01 62", true},    // name index 62
		{"1f 2f 01 62", true},
		{"00 7f 00" + strings.Repeat("61", 127) + "01 62", true},
		{"00 7f 01" + strings.Repeat("61", 128) + "00 82", true},
		{"40 01 61 01 62", false},
		{"7e 01 62", false},
		{"82 20", false},
		{"20 82", false},
		{"3f e1 1f", false},
		{"00 01 61 01 62 40 01 61 01 62", false},
		{"00 01 61 40 01 62", true}, // 0x40 is a length here
		{"00 7f 00" + strings.Repeat("61", 127) + "00 40 00 00", false},
	} {
		if got := leavesTableAlone(unhex(row.block)); got != row.want {
			t.Errorf("%s: %v", row.block, got)
		}
	}
}

// The same octets are the same request only as long as the dynamic table is the same.
func TestDecoder_Memo(t *testing.T) {
	const (
		plain   = "83 86 84"
		indexed = "83 86 84 be"                 // and the newest entry of the table
		entry1  = "83 86 84 40 01 61 01 31"     // and a=1, into the table
		entry2  = "83 86 84 40 01 61 01 32"     // and a=2, into the table
		shrunk  = "20 3f e1 1f 83 86 84"        // the table emptied
		upper   = "83 86 84 00 01 41 01 31"     // malformed
		lengthy = "83 86 84 00 01 61 7f ef 07 " // and 1,134 octets
	)
	for _, row := range []struct {
		name   string
		blocks []string
		want   string
		hit    bool
	}{
		{"the same twice", []string{plain, plain}, "POST http  /", true},
		{"another, and then again", []string{plain, "82 86 84", plain}, "POST http  /", false},
		{"from the table", []string{entry1, indexed, indexed}, "POST http  / a=1", true},
		{"the table has changed meanwhile", []string{entry1, indexed, entry2, indexed}, "POST http  / a=2", false},
		{"changes the table itself", []string{entry1, entry1}, "POST http  / a=1", false},
		{"the table was emptied meanwhile", []string{plain, shrunk, plain}, "POST http  /", false},
		{"too long to be kept", []string{lengthy + strings.Repeat("61", 1134), lengthy + strings.Repeat("61", 1134)}, "POST http  / a=" + strings.Repeat("a", 1134), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := NewDecoder(10_000, 10)
			var seen []*Section
			for _, block := range row.blocks {
				seen = append(seen, decodeAll(t, d, block))
			}
			last := seen[len(seen)-1]
			if got := describe(last); got != row.want {
				t.Errorf("got %.100q", got)
			}
			if hit := len(seen) > 1 && last == seen[len(seen)-2]; hit != row.hit {
				t.Errorf("from the memo: %v", hit)
			}
		})
	}
	t.Run("malformed", func(t *testing.T) {
		d := NewDecoder(1000, 10)
		for range 3 {
			if decodeAll(t, d, upper).Malformed == "" {
				t.Error("passed")
			}
			if decodeAll(t, d, plain, plain).Malformed != "" {
				t.Error("a block from the memo is malformed like the one before")
			}
		}
	})
	t.Run("trailers that change the table", func(t *testing.T) {
		d := NewDecoder(1000, 10)
		decodeAll(t, d, entry1, indexed)
		d.Decode(Trailers, unhex("40 01 61 01 33"))
		if got := describe(decodeAll(t, d, indexed)); got != "POST http  / a=3" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("of each kind", func(t *testing.T) {
		d := NewDecoder(1000, 10)
		blocks := map[Kind][]byte{Request: unhex(plain), Response: unhex("88"), Trailers: unhex("00 01 61 01 31")}
		seen := make(map[Kind]*Section)
		for round := range 2 {
			for kind, block := range blocks {
				s, err := d.Decode(kind, block)
				if err != nil || s.Malformed != "" || round > 0 && s != seen[kind] {
					t.Errorf("kind %d, round %d: %+v, %v", kind, round, s, err)
				}
				seen[kind] = s
			}
		}
		if s, _ := d.Decode(Trailers, blocks[Request]); s.Malformed == "" {
			t.Error("what was a request passes as trailers")
		}
	})
}

// A decoder with the memo and one without agree, whatever an encoder makes of the table.
func TestDecoder_MemoAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(7541, 1))
	for range 50 {
		var buf bytes.Buffer
		enc := hpack.NewEncoder(&buf)
		with, without := NewDecoder(500, 8), NewDecoder(500, 8)
		var blocks [][]byte
		for range 200 {
			if len(blocks) == 0 || r.IntN(3) > 0 {
				buf.Reset()
				if r.IntN(20) == 0 {
					enc.SetMaxDynamicTableSize(uint32(r.IntN(200)))
				}
				for _, f := range []string{":method=POST", ":scheme=http", ":path=/"} {
					name, value, _ := strings.Cut(f, "=")
					enc.WriteField(hpack.HeaderField{Name: name, Value: value})
				}
				for range r.IntN(4) {
					enc.WriteField(hpack.HeaderField{Name: string(rune('a' + r.IntN(3))), Value: string(rune('0' + r.IntN(3))), Sensitive: r.IntN(3) == 0})
				}
				blocks = append(blocks, bytes.Clone(buf.Bytes()))
			} else {
				blocks = append(blocks, blocks[len(blocks)-1])
			}
			agree(t, with, without, Request, blocks[len(blocks)-1])
		}
	}
}

// agree decodes a block twice, with and without the memo. It reports whether the connection would go on.
func agree(t *testing.T, with, without *Decoder, kind Kind, block []byte) bool {
	t.Helper()
	clear(without.memos[:])
	a, errA := with.Decode(kind, block)
	b, errB := without.Decode(kind, block)
	if (errA == nil) != (errB == nil) {
		t.Fatalf("% x: %v, and without the memo %v", block, errA, errB)
	}
	if errA != nil {
		return false
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("% x: %+v, and without the memo %+v", block, a, b)
	}
	return true
}

// TestDecoder_Limits has a field section that is as large as permitted, and one that is larger by an octet or a field.
func TestDecoder_Limits(t *testing.T) {
	var block []byte
	size, num := 0, 0
	for _, f := range []Field{{":method", "POST"}, {":scheme", "http"}, {":path", "/a/b"}, {"a", "1"}, {"b", strings.Repeat("v", 300)}} {
		block = AppendField(block, f.Name, f.Value)
		size += len(f.Name) + len(f.Value) + 32
		num++
	}
	for _, row := range []struct {
		maxList, maxNum int
		oversize        bool
	}{
		{size, num, false},
		{size - 1, num, true},
		{size, num - 1, true},
	} {
		r, err := NewDecoder(row.maxList, row.maxNum).Decode(Request, block)
		if err != nil || r.Oversize != row.oversize {
			t.Errorf("%d fields of %d octets, %d of %d permitted: oversize %v, %v", num, size, row.maxNum, row.maxList, r.Oversize, err)
		}
	}
	r, err := NewDecoder(size+100, num+2).Decode(Request, block)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Fits(2, 100) || r.Fits(3, 100) || r.Fits(2, 101) {
		t.Errorf("2 more lines of 100 octets: %v; 3 lines: %v; 101 octets: %v", r.Fits(2, 100), r.Fits(3, 100), r.Fits(2, 101))
	}
}
