package runtime

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
		if got, ok := parseTimeout(tt.value); got != tt.want || ok != tt.ok {
			t.Errorf("parseTimeout(%q) = %v, %v; want %v, %v", tt.value, got, ok, tt.want, tt.ok)
		}
	}
}

// FuzzParseTimeout compares with a reading by the standard library.
func FuzzParseTimeout(f *testing.F) {
	for _, value := range []string{"1H", "99999999H", "0n", "1", "S", "12345678m", "123456789m", "-1S", "1_0S"} {
		f.Add(value)
	}
	units := map[byte]float64{'H': 3600e9, 'M': 60e9, 'S': 1e9, 'm': 1e6, 'u': 1e3, 'n': 1}
	f.Fuzz(func(t *testing.T, value string) {
		got, ok := parseTimeout(value)
		var want float64
		wantOK := len(value) >= 2 && len(value) <= 9
		if wantOK {
			last := len(value) - 1
			unit, known := units[value[last]]
			n, err := strconv.ParseUint(value[:last], 10, 64)
			wantOK = known && err == nil
			want = min(float64(n)*unit, math.MaxInt64)
		}
		if ok != wantOK || got < 0 || math.Abs(float64(got)-want) > want/1e9 {
			t.Errorf("parseTimeout(%q) = %d, %v; want %v, %v", value, got, ok, want, wantOK)
		}
	})
}
