package wire

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestParseTimeout(t *testing.T) {
	tests := []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"1H", time.Hour, true},
		{"2M", 2 * time.Minute, true},
		{"3S", 3 * time.Second, true},
		{"4m", 4 * time.Millisecond, true},
		{"5u", 5 * time.Microsecond, true},
		{"6n", 6, true},
		{"0n", 0, true},
		{"0S", 0, true},
		{"00000001S", time.Second, true},
		{"99999999n", 99999999, true},
		{"99999999S", 99999999 * time.Second, true},
		{"99999999M", 99999999 * time.Minute, true},
		{"2562047H", 2562047 * time.Hour, true},
		{"2562048H", math.MaxInt64, true}, // more than an int64 of nanoseconds
		{"99999999H", math.MaxInt64, true},
		{"100000000n", 0, false}, // nine digits
		{"", 0, false},
		{"S", 0, false},
		{"1", 0, false},
		{"1x", 0, false},
		{"1s", 0, false},
		{"abc", 0, false},
		{"-1S", 0, false},
		{"+1S", 0, false},
		{"1.5S", 0, false},
		{"1 S", 0, false},
		{" 1S", 0, false},
		{"1S ", 0, false},
		{"1SS", 0, false},
		{"0x1S", 0, false},
		{"１S", 0, false},
	}
	for _, tt := range tests {
		if got, err := ParseTimeout(tt.value); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseTimeout(%q) = %v, %v; want %v, %v", tt.value, got, err, tt.want, tt.ok)
		}
	}
}

func TestFormatTimeout(t *testing.T) {
	for _, tt := range []struct {
		timeout time.Duration
		want    string
	}{
		{math.MinInt64, "0n"},
		{-1, "0n"},
		{0, "0n"},
		{1, "1n"},
		{99_999_999, "99999999n"},
		{100_000_000, "100000u"},
		{100_000_001, "100001u"},
		{time.Second, "1000000u"},
		{99_999_999 * time.Microsecond, "99999999u"},
		{99_999_999*time.Microsecond + 1, "100000m"},
		{24 * time.Hour, "86400000m"},
		{99_999_999 * time.Second, "99999999S"},
		{99_999_999*time.Second + 1, "1666667M"},
		{math.MaxInt64 - 1, "2562048H"},
		{math.MaxInt64, "2562048H"},
	} {
		if got := FormatTimeout(tt.timeout); got != tt.want {
			t.Errorf("FormatTimeout(%v) = %q, want %q", tt.timeout, got, tt.want)
		}
	}
}

// FuzzFormatTimeout reads what has been written: never earlier than it was, and later by a unit of which it has 100,000 at least.
func FuzzFormatTimeout(f *testing.F) {
	for _, n := range []int64{math.MinInt64, -1, 0, 1, 99_999_999, 100_000_038, 99_999_999e9 + 1, math.MaxInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		timeout := time.Duration(n)
		value := FormatTimeout(timeout)
		got, err := ParseTimeout(value)
		want := max(timeout, 0)
		if err != nil || got < want || got-want > want/100_000+1 && got != math.MaxInt64 {
			t.Errorf("%v went as %q and came back as %v, %v", timeout, value, got, err)
		}
	})
}

// FuzzParseTimeout compares with a reading by the standard library.
func FuzzParseTimeout(f *testing.F) {
	for _, value := range []string{"1H", "99999999H", "0n", "1", "S", "12345678m", "123456789m", "-1S", "1_0S"} {
		f.Add(value)
	}
	units := map[byte]float64{'H': 3600e9, 'M': 60e9, 'S': 1e9, 'm': 1e6, 'u': 1e3, 'n': 1}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := ParseTimeout(value)
		var want float64
		wantOK := len(value) >= 2 && len(value) <= 9
		if wantOK {
			last := len(value) - 1
			unit, known := units[value[last]]
			n, err := strconv.ParseUint(value[:last], 10, 64)
			wantOK = known && err == nil
			want = min(float64(n)*unit, math.MaxInt64)
		}
		if (err == nil) != wantOK || got < 0 || math.Abs(float64(got)-want) > want/1e9 {
			t.Errorf("ParseTimeout(%q) = %d, %v; want %v, %v", value, got, err, want, wantOK)
		}
	})
}
