package excerpt_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
)

func TestOf(t *testing.T) {
	full := strings.Repeat("x", excerpt.Max)
	for _, tt := range []struct{ name, in, want string }{
		{"Empty", "", ""},
		{"Short", "abc", "abc"},
		{"Full", full, full},
		{"OneMore", full + "y", full + "..."},
		{"Long", strings.Repeat("x", 1<<20), full + "..."},
		{"NotThroughACharacter", full[1:] + "é" + "z", full[1:] + "..."},
		{"NotUTF8", strings.Repeat("\x80", 100), strings.Repeat("\x80", excerpt.Max-utf8.UTFMax) + "..."},
	} {
		if got := excerpt.Of(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add(strings.Repeat("é", 50))
	f.Add(strings.Repeat("\xff", 100))
	f.Fuzz(func(t *testing.T, s string) {
		got := excerpt.Of(s)
		if len(got) > excerpt.Max+3 || len(s) <= excerpt.Max && got != s || !strings.HasPrefix(s, strings.TrimSuffix(got, "...")) && got != s {
			t.Errorf("%q became %q", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is not UTF-8", s, got)
		}
	})
}
