package wire

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestEncoding_Names reads each name, and one that is none.
func TestEncoding_Names(t *testing.T) {
	for e := range Encoding(encodings) {
		if got, err := ParseEncoding(e.String()); err != nil || got != e {
			t.Errorf("%v came back as %v, %v", e, got, err)
		}
	}
	for _, name := range []string{"", "snappy", "Gzip", "gzip ", "unknown", strings.Repeat("x", 1000)} {
		if e, err := ParseEncoding(name); kindOf(t, err) != Unsupported || e != Identity || len(err.Error()) > 200 {
			t.Errorf("%.20q became %v, %v", name, e, err)
		}
	}
	if e := Encoding(17); e.Known() || e.String() != "unknown" {
		t.Errorf("%v is known: %v", e, e.Known())
	}
}

// TestEncodingSet_Read has more names in grpc-accept-encoding than there are encodings, and reads our own.
func TestEncodingSet_Read(t *testing.T) {
	for commas, want := range map[int]bool{0: true, maxAccepted - 1: true, maxAccepted: false, 10_000: false} {
		var s EncodingSet
		s.Read(strings.Repeat(",", commas) + "gzip")
		if s.Has(Gzip) != want {
			t.Errorf("behind %d commas: %v", commas, s.Has(Gzip))
		}
	}
	for _, tt := range []struct {
		values []string
		has    []Encoding
	}{
		{nil, nil},
		{[]string{AcceptEncoding}, []Encoding{Identity, Gzip, Deflate}},
		{[]string{"snappy , deflate", " gzip"}, []Encoding{Gzip, Deflate}},
		{[]string{"gzip;q=1"}, nil},
	} {
		var s, want EncodingSet
		for _, value := range tt.values {
			s.Read(value)
		}
		for _, e := range tt.has {
			want |= 1 << e
		}
		if s != want || s.Has(17) {
			t.Errorf("%q became %b, want %b", tt.values, s, want)
		}
	}
}

// TestCompress compresses messages that become smaller by it, and such that do not.
func TestCompress(t *testing.T) {
	random := make([]byte, 10_000)
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, e := range []Encoding{Gzip, Deflate} {
		for _, tt := range []struct {
			name, message string
			smaller       bool
		}{
			{"Empty", "", false}, {"Short", "x", false}, {"Long", strings.Repeat("abc", 10_000), true}, {"Random", string(random), false},
		} {
			b := Compress(append(AppendPrefix(nil, false, 0), tt.message...), e)
			SetLength(b)
			var c Cutter
			rest, done, err := c.Feed(b, -1, e, wideOpen)
			if err != nil || !done || len(rest) != 0 {
				t.Fatalf("%v/%s: %v, done %v, %d octets are left", e, tt.name, err, done, len(rest))
			}
			got, compressed := c.Take()
			if compressed {
				if len(got) >= len(tt.message) {
					t.Errorf("%v/%s: %d octets became %d", e, tt.name, len(tt.message), len(got))
				}
				got, err = e.Inflate(got, len(tt.message))
			}
			if err != nil || compressed != tt.smaller || string(got) != tt.message {
				t.Errorf("%v/%s: %v, compressed %v, %.20q", e, tt.name, err, compressed, got)
			}
		}
	}
}

// TestEncoding_Inflate is about what is not what it says.
func TestEncoding_Inflate(t *testing.T) {
	for _, e := range []Encoding{Gzip, Deflate} {
		bomb, err := e.deflate(nil, make([]byte, 1<<20), math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			data  string
			limit int
			kind  Kind
		}{
			{string(bomb), 1 << 20, noError},
			{string(bomb), -1, noError},
			{string(bomb), 1<<20 - 1, TooLarge},
			{string(bomb), 0, TooLarge},
			{string(bomb[:len(bomb)-1]), -1, Corrupt},
			{"garbage", -1, Corrupt},
			{"", -1, Corrupt},
		} {
			if got, err := e.Inflate([]byte(tt.data), tt.limit); kindOf(t, err) != tt.kind || err == nil && len(got) != 1<<20 {
				t.Errorf("%v: %.10q with limit %d: %d octets, %v", e, tt.data, tt.limit, len(got), err)
			}
		}
	}
}

// TestEncoding_KeepsInflaters checks that a message that is not compressed as it says does not cost the next one the inflater.
func TestEncoding_KeepsInflaters(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at will")
	}
	for _, e := range []Encoding{Gzip, Deflate} {
		valid, err := e.deflate(nil, []byte("x"), math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		inflate := func(data []byte) {
			if _, err := e.Inflate(data, 100); (err == nil) != (len(data) == len(valid)) {
				t.Errorf("%v: %v", e, err)
			}
		}
		garbage := []byte("garbage, and long enough for a header")
		alone := testing.AllocsPerRun(100, func() { inflate(valid) })
		both := testing.AllocsPerRun(100, func() {
			inflate(garbage)
			inflate(valid)
		})
		if both > alone+3 { // a reader of octets for each, and the error
			t.Errorf("%v: %v allocations for each message, and %v if one before is not valid", e, alone, both)
		}
	}
}

// checkInflate inflates what is compressed and what only claims to be, and compares with the standard library.
func checkInflate(t *testing.T, data []byte, limit int) {
	t.Helper()
	var want []byte
	r, wantErr := gzip.NewReader(bytes.NewReader(data))
	if wantErr == nil {
		want, wantErr = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	}
	got, err := Gzip.Inflate(data, limit)
	switch {
	case wantErr == nil && len(want) > limit:
		if kindOf(t, err) != TooLarge || len(got) > limit+1 {
			t.Fatalf("inflated %d octets, %v; the limit is %d", len(got), err, limit)
		}
	case (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want):
		t.Fatalf("inflated to %.100q, %v; want %.100q, %v", got, err, want, wantErr)
	}
	for _, e := range []Encoding{Gzip, Deflate} {
		deflated, err := e.deflate([]byte("before"), data, math.MaxInt)
		if err != nil || !bytes.HasPrefix(deflated, []byte("before")) {
			t.Fatalf("%v: %v", e, err)
		}
		if again, err := e.Inflate(deflated[len("before"):], len(data)); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%v: %.100q came back as %.100q, %v", e, data, again, err)
		}
	}
}
