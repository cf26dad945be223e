package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestFrame_RoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(9113, 41))
	for range 1000 {
		kind, flags, id, length := frameType(r.Uint32()), uint8(r.Uint32()), r.Uint32(), r.IntN(1<<24)
		b := appendFrameHeader(nil, kind, flags, id&streamIDMask, length)
		if !bytes.Equal(b[3:], rawFrame(byte(kind), flags, id&streamIDMask)[3:]) {
			t.Fatalf("made % x", b)
		}
		b[5] |= byte(id >> 31 << 7) // the reserved bit
		f, n := parseFrameHeader(b)
		if f.kind != kind || f.flags != flags || f.streamID != id&streamIDMask || n != length {
			t.Fatalf("got %+v, %d from % x", f, n, b)
		}
	}
}

func TestFrame_Append(t *testing.T) {
	for _, row := range []struct {
		name string
		got  []byte
		want []byte
	}{
		{"RST_STREAM", appendRSTStream(nil, 3, ErrCodeCancel), rawFrame(0x3, 0, 3, 8)},
		{"WINDOW_UPDATE", appendWindowUpdate(nil, 5, maxWindow), rawFrame(0x8, 0, 5, 1<<31-1)},
		{"PING", appendPing(nil, flagAck, shutdownPing), rawFrame(0x6, 1, 0, "shutdown")},
		{"GOAWAY", appendGoAway(nil, 7, ErrCodeProtocol, "why"), rawFrame(0x7, 0, 0, 7, 1, "why")},
		{"SETTINGS", appendSettings(nil, setting{4, 5}, setting{6, 7}), rawFrame(0x4, 0, 0, "\x00\x04", 5, "\x00\x06", 7)},
		{"no SETTINGS", appendSettings(nil), rawFrame(0x4, 0, 0)},
		{"acknowledgement of SETTINGS", appendSettingsAck(nil), rawFrame(0x4, 1, 0)},
		{"HEADERS", appendHeaders(nil, 9, []byte("abc"), false, 3), rawFrame(0x1, 4, 9, "abc")},
		{"HEADERS and the end", appendHeaders(nil, 9, []byte("abc"), true, 4), rawFrame(0x1, 5, 9, "abc")},
		{"HEADERS and CONTINUATION", appendHeaders(nil, 9, []byte("abcdefgh"), true, 3), append(append(rawFrame(0x1, 1, 9, "abc"), rawFrame(0x9, 0, 9, "def")...), rawFrame(0x9, 4, 9, "gh")...)},
		{"empty HEADERS", appendHeaders(nil, 9, nil, false, 3), rawFrame(0x1, 4, 9)},
	} {
		if !bytes.Equal(row.got, row.want) {
			t.Errorf("%s:\ngot  % x\nwant % x", row.name, row.got, row.want)
		}
	}
}

func TestFrame_Unpad(t *testing.T) {
	for _, row := range []struct {
		flags   uint8
		payload string
		want    string
		ok      bool
	}{
		{0, "", "", true},
		{0, "abc", "abc", true},
		{flagPadded, "", "", false},
		{flagPadded, "\x00", "", true},
		{flagPadded, "\x01", "", false},
		{flagPadded, "\x00abc", "abc", true},
		{flagPadded, "\x02abc", "a", true},
		{flagPadded, "\x03abc", "", true},
		{flagPadded, "\x04abc", "", false},
		{flagPadded, "\xffabc", "", false},
	} {
		got, ok := frame{flags: row.flags, payload: []byte(row.payload)}.unpad()
		if string(got) != row.want || ok != row.ok {
			t.Errorf("%q: %q, %v", row.payload, got, ok)
		}
	}
}

func TestErrCode_String(t *testing.T) {
	for code, want := range map[ErrCode]string{
		ErrCodeNo: "NO_ERROR", ErrCodeEnhanceYourCalm: "ENHANCE_YOUR_CALM", ErrCodeHTTP11Required: "HTTP_1_1_REQUIRED",
		0xe: "error code 0xe", 1<<32 - 1: "error code 0xffffffff",
	} {
		if got := code.String(); got != want {
			t.Errorf("%d is %q, want %q", uint32(code), got, want)
		}
	}
	for _, row := range []struct {
		err  error
		want string
	}{
		{ConnError{ErrCodeProtocol, "why"}, "http2: connection error PROTOCOL_ERROR: why"},
		{StreamError{3, ErrCodeStreamClosed, "why"}, "http2: stream 3: stream error STREAM_CLOSED: why"},
		{ResetError{ErrCodeCancel}, "http2: stream reset by the peer with CANCEL"},
	} {
		if got := fmt.Sprint(row.err); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
