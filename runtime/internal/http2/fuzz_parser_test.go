package http2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// FuzzFrameParser reads one frame here and with another implementation.
func FuzzFrameParser(f *testing.F) {
	for _, seed := range fuzzSeeds {
		for _, b := range seed {
			f.Add(b)
		}
	}
	f.Add(rawFrame(0x0, 0x8, 1, "\x05abc\x00\x00"))
	f.Add(rawFrame(0x0, 0x8, 1))
	f.Add(rawFrame(0x1, 0x2c, 1, "\x01", 3, "\xffabc\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frameHeaderLen {
			return
		}
		ours, n := parseFrameHeader(b)
		if head, err := http2.ReadFrameHeader(bytes.NewReader(b)); err != nil || int(head.Length) != n ||
			byte(head.Type) != byte(ours.kind) || byte(head.Flags) != ours.flags || head.StreamID != ours.streamID {
			t.Fatalf("% x: %+v with %d octets, and elsewhere %v", b[:frameHeaderLen], ours, n, head)
		}
		if len(b) < frameHeaderLen+n || ours.kind != frameData && ours.kind != frameHeaders || ours.streamID == 0 {
			return
		}
		ours.payload = b[frameHeaderLen:][:n]
		content, ok := ours.unpad()
		framer := http2.NewFramer(nil, bytes.NewReader(b))
		framer.SetMaxReadFrameSize(maxMaxFrameSize)
		theirs, err := framer.ReadFrame()
		switch theirs := theirs.(type) {
		case *http2.DataFrame:
			if !ok || !bytes.Equal(content, theirs.Data()) {
				t.Fatalf("% x: content % x, %v; elsewhere % x", b, content, ok, theirs.Data())
			}
		case *http2.HeadersFrame:
			if ours.has(flagPriority) && len(content) >= 5 {
				content = content[5:]
			}
			if !ok || !bytes.Equal(content, theirs.HeaderBlockFragment()) {
				t.Fatalf("% x: content % x, %v; elsewhere % x", b, content, ok, theirs.HeaderBlockFragment())
			}
		default:
			if ok && ours.kind == frameData {
				t.Fatalf("% x: content % x; elsewhere %v", b, content, err)
			}
		}
	})
}
