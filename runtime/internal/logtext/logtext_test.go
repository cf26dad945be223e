package logtext

import (
	"errors"
	"net"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	long := strings.Repeat("x", Limit)
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"/t.S/M", "/t.S/M"},
		{long, long},
		{long + "y", long + "… (513 octets)"},
		{long[1:] + "é", long[1:] + "… (513 octets)"}, // not through a rune
		{long[2:] + "é", long[2:] + "é"},
		{strings.Repeat("\x80", 1000), strings.Repeat("\x80", Limit-utf8.UTFMax) + "… (1000 octets)"},
	} {
		if got := Cut(tt.text); got != tt.want {
			t.Errorf("Cut(%.10q…) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

type unprintable struct{}

func (unprintable) Error() string   { panic("no") }
func (unprintable) Network() string { panic("no") }
func (unprintable) String() string  { panic("no") }

func TestOf(t *testing.T) {
	for want, value := range map[string]any{
		"boom":                        errors.New("boom"),
		"7":                           7,
		"<nil>":                       nil,
		"%!v(PANIC=Error method: no)": unprintable{},
	} {
		if got := Of(value).Resolve().String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		addr net.Addr
		want string
	}{
		{nil, "unknown"},
		{(*net.TCPAddr)(nil), "unknown"},
		{unprintable{}, "unknown"},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, "127.0.0.1:80"},
		{&net.UnixAddr{Name: "@x", Net: "unix"}, "@x"},
		{&net.UnixAddr{Name: strings.Repeat("x", Limit+1)}, strings.Repeat("x", Limit) + "… (513 octets)"},
	} {
		if got := Address(tt.addr); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
