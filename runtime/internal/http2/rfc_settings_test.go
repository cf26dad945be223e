package http2

import (
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

func settings(pairs ...any) func(p *peer) { return frames(rawFrame(0x4, 0, 0, pairs...)) }

// acknowledged: SETTINGS were applied and acknowledged.
func acknowledged(p *peer) {
	p.t.Helper()
	if f := p.Want(h2test.Settings); f.Flags != 1 || len(f.Payload) != 0 {
		p.t.Fatalf("got %v, want an acknowledgement", f)
	}
	ignored(p)
}

// TestConn_AnnouncesTableSize is RFC 7541, Section 4.2: the first field block after the peer has made its dynamic table
// smaller begins with a Dynamic Table Size Update.
func TestConn_AnnouncesTableSize(t *testing.T) {
	for _, row := range []struct {
		name  string
		sizes []uint32
		want  bool
	}{
		{"default", []uint32{4096}, false},
		{"larger", []uint32{1 << 20}, false},
		{"none", []uint32{0}, true},
		{"a little smaller", []uint32{4095}, true},
		{"smaller, and larger again", []uint32{0, 4096}, true},
		{"larger, and smaller", []uint32{8192, 5000}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer()
				for id := uint32(1); id < 8; id += 4 { // once for each reduction
					for _, size := range row.sizes {
						p.WriteSettings(settingHeaderTableSize, size)
						p.Want(h2test.Settings)
					}
					p.WriteHeaders(id, true, request()...)
					reduced := row.want && (id == 1 || len(row.sizes) > 1)
					if first := p.WantOn(h2test.Headers, id).Payload[0]; (first == tableSizeZero) != reduced {
						t.Errorf("the field block begins with 0x%02x", first)
					}
					p.WantHeaders(id, true) // the trailers, without another
				}
			})
		})
	}
}

func TestConn_ReactsToSettings(t *testing.T) {
	runOffences(t, []offence{
		{name: "6.5: on a stream", send: frames(rawFrame(0x4, 0, 1)), want: connError(ErrCodeProtocol)},
		{name: "6.5: acknowledgement on a stream", send: frames(rawFrame(0x4, 1, 1)), want: connError(ErrCodeProtocol)},
		{name: "6.5: acknowledgement with content", send: frames(rawFrame(0x4, 1, 0, "\x00\x03\x00\x00\x00\x01")), want: connError(ErrCodeFrameSize)},
		{name: "6.5: 5 octets", send: settings("\x00\x03\x00\x00\x00"), want: connError(ErrCodeFrameSize)},
		{name: "6.5: 7 octets", send: settings("\x00\x03\x00\x00\x00\x01\x00"), want: connError(ErrCodeFrameSize)},
		{name: "6.5: empty", send: settings(), want: acknowledged},
		{name: "6.5: acknowledgement without need", send: frames(rawFrame(0x4, 1, 0)), want: ignored},
		{name: "6.5.2: unknown", send: settings("\xff\xff", ones, "\x00\x00", ones, "\x00\x07", ones), want: acknowledged},
		{name: "6.5.2: HEADER_TABLE_SIZE of 4 GiB", send: settings("\x00\x01", ones), want: acknowledged},
		{name: "6.5.2: HEADER_TABLE_SIZE of 0", send: settings("\x00\x01", 0), want: acknowledged},
		{name: "6.5.2: ENABLE_PUSH of 0 and 1", send: settings("\x00\x02", 0, "\x00\x02", 1), want: acknowledged},
		{name: "6.5.2: ENABLE_PUSH of 2", send: settings("\x00\x02", 2), want: connError(ErrCodeProtocol)},
		{name: "6.5.2: MAX_CONCURRENT_STREAMS of 0", send: settings("\x00\x03", 0), want: acknowledged},
		{name: "6.5.2: INITIAL_WINDOW_SIZE of 2^31-1", send: settings("\x00\x04", 1<<31-1), want: acknowledged},
		{name: "6.5.2: INITIAL_WINDOW_SIZE of 2^31", send: settings("\x00\x04", uint32(1<<31)), want: connError(ErrCodeFlowControl)},
		{name: "6.5.2: MAX_FRAME_SIZE of 0", send: settings("\x00\x05", 0), want: connError(ErrCodeProtocol)},
		{name: "6.5.2: MAX_FRAME_SIZE of 16383", send: settings("\x00\x05", 16383), want: connError(ErrCodeProtocol)},
		{name: "6.5.2: MAX_FRAME_SIZE of 2^24-1", send: settings("\x00\x05", 1<<24-1), want: acknowledged},
		{name: "6.5.2: MAX_FRAME_SIZE of 2^24", send: settings("\x00\x05", 1<<24), want: connError(ErrCodeProtocol)},
		{name: "6.5.2: MAX_HEADER_LIST_SIZE of 0", send: settings("\x00\x06", 0), want: acknowledged},
		{name: "6.5.3: the last of equal parameters counts", send: settings("\x00\x04", 0, "\x00\x04", 65535), want: acknowledged},
		{name: "6.5.3: our SETTINGS never acknowledged", early: true, send: func(p *peer) {
			p.Write([]byte(preface))
			p.WriteSettings()
			p.Want(h2test.Settings)
			p.Want(h2test.WindowUpdate)
			p.Want(h2test.Settings)
		}, want: ignored},
	})
}

func TestConn_ReactsToWindows(t *testing.T) {
	half := rawFrame(0x8, 0, 1, 1<<30)
	small := Config{StreamWindow: 100, ConnWindow: 65535}
	runOffences(t, []offence{
		{name: "6.9: WINDOW_UPDATE of 3 octets", send: frames(rawFrame(0x8, 0, 0, "abc")), want: connError(ErrCodeFrameSize)},
		{name: "6.9: WINDOW_UPDATE of 5 octets on a stream", send: onOpen(rawFrame(0x8, 0, 1, 1, "x")), want: connError(ErrCodeFrameSize)},
		{name: "6.9: increment of 0 on the connection", send: frames(rawFrame(0x8, 0, 0, 0)), want: connError(ErrCodeProtocol)},
		{name: "6.9: increment of 0 on a stream", send: onOpen(rawFrame(0x8, 0, 1, 0)), want: streamError(ErrCodeProtocol)},
		{name: "6.9: increment of 0 and the reserved bit", send: onOpen(rawFrame(0x8, 0, 1, uint32(1<<31))), want: streamError(ErrCodeProtocol)},
		{name: "6.9.1: window of the connection at 2^31-1", send: frames(rawFrame(0x8, 0, 0, 1<<31-1-65535)), want: ignored},
		{name: "6.9.1: window of the connection over 2^31-1", send: frames(rawFrame(0x8, 0, 0, 1<<31-65535)), want: connError(ErrCodeFlowControl)},
		{name: "6.9.1: window of a stream at 2^31-1", send: onOpen(rawFrame(0x8, 0, 1, 1<<31-1-65535)), want: ignored},
		{name: "6.9.1: window of a stream over 2^31-1", send: onOpen(half, half), want: streamError(ErrCodeFlowControl)},
		{name: "6.9.2: INITIAL_WINDOW_SIZE makes a window overflow", send: onOpen(half, rawFrame(0x4, 0, 0, "\x00\x04", 1<<30)), want: connError(ErrCodeFlowControl)},
		{name: "6.9.1: stream's window used to the last octet", config: small, send: onOpen(rawFrame(0x0, 0, 1, tooLong[:100])), want: func(p *peer) { p.WantWindowUpdate(1, 100); ignored(p) }},
		{name: "6.9.1: beyond a stream's window", config: small, send: onOpen(rawFrame(0x0, 0, 1, tooLong[:101])), want: streamError(ErrCodeFlowControl)},
		{name: "6.9.1: beyond a stream's window, at its end", config: small, send: onOpen(rawFrame(0x0, 1, 1, tooLong[:101])), want: streamError(ErrCodeFlowControl)},
		{name: "6.9.1: padding counts", config: small, send: onOpen(rawFrame(0x0, 0x8, 1, "\x62ab", tooLong[:98])), want: streamError(ErrCodeFlowControl)},
		{name: "6.9.1: beyond the connection's window", config: Config{ConnWindow: 65535}, send: func(p *peer) {
			p.open(1)
			p.conn.in.window.window = 10 // as if a peer had ignored the window; ours is given back on receipt
			p.WriteData(1, false, "0123456789a")
		}, want: connError(ErrCodeFlowControl)},
	})
}

// fieldLines sends a request with END_STREAM.
func fieldLines(all ...string) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.WriteHeaders(1, true, all...)
	}
}

// with sends a plain request with one more field.
func with(name, value string) func(p *peer) { return fieldLines(request(name, value)...) }

func TestConn_ReactsToMalformedRequests(t *testing.T) {
	served := func(p *peer) { p.wantReply(1, ""); ignored(p) }
	declares := func(length string, all ...[]byte) func(p *peer) {
		return func(p *peer) {
			p.WriteHeaders(1, false, request("content-length", length)...)
			frames(all...)(p)
		}
	}
	trailers := func(block string) []byte { return rawFrame(0x1, 0x5, 1, block) }
	m, s, a, pa := []string{":method", "POST"}, []string{":scheme", "http"}, []string{":authority", "test"}, []string{":path", "/a/b"}
	join := func(parts ...[]string) (all []string) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	table := []offence{
		{name: "8.1: second HEADERS without END_STREAM", send: onOpen(rawFrame(0x1, 0x4, 1, "\x00\x01a\x01b")), want: streamError(ErrCodeProtocol)},
		{name: "8.1: pseudo-header field in trailers", send: onOpen(trailers("\x83")), want: streamError(ErrCodeProtocol)},
		{name: "8.1: :status in trailers", send: onOpen(trailers("\x88")), want: streamError(ErrCodeProtocol)},
		{name: "8.1: upper case in trailers", send: onOpen(trailers("\x00\x01A\x01b")), want: streamError(ErrCodeProtocol)},
		{name: "8.1: trailers", send: onOpen(rawFrame(0x0, 0, 1, "abc"), trailers("\x00\x01a\x01b")), want: func(p *peer) { p.wantReply(1, "abc"); ignored(p) }},
		{name: "8.1.1: content-length and no content", send: with("content-length", "3"), want: malformed},
		{name: "8.1.1: content-length over the content", send: declares("4", rawFrame(0x0, 1, 1, "abc")), want: streamError(ErrCodeProtocol)},
		{name: "8.1.1: content-length under the content", send: declares("2", rawFrame(0x0, 0, 1, "abc")), want: streamError(ErrCodeProtocol)},
		{name: "8.1.1: content-length over the sum of the content", send: declares("6", rawFrame(0x0, 0, 1, "ab"), rawFrame(0x0, 1, 1, "cde")), want: streamError(ErrCodeProtocol)},
		{name: "8.1.1: content-length over the content with trailers", send: declares("4", rawFrame(0x0, 0, 1, "abc"), trailers("\x00\x01a\x01b")), want: streamError(ErrCodeProtocol)},
		{name: "8.1.1: content-length of 0 and no content", send: with("content-length", "0"), want: served},
		{name: "8.1.1: content-length as it is", send: declares("3", rawFrame(0x0, 0x8, 1, "\x02ab\x00\x00"), rawFrame(0x0, 1, 1, "c")), want: func(p *peer) { p.wantReply(1, "abc"); ignored(p) }},
		{name: "8.1.1: content-length is not a number", send: with("content-length", "three"), want: malformed},
		{name: "8.1.1: content-length is negative", send: with("content-length", "-3"), want: malformed},
		{name: "8.1.1: content-length has a sign", send: with("content-length", "+3"), want: malformed},
		{name: "8.1.1: content-length is over 63 bits", send: with("content-length", "9223372036854775808"), want: malformed},
		{name: "8.1.1: two content-lengths", send: fieldLines(request("content-length", "3", "content-length", "4")...), want: malformed},

		{name: "8.3: method, then field, then path", send: fieldLines(join(m, s, a, []string{"x", "y"}, pa)...), want: malformed},
		{name: "8.3: unknown", send: fieldLines(join(m, s, a, pa, []string{":protocol", "x"})...), want: malformed},
		{name: "8.3: only a colon", send: fieldLines(join(m, s, a, pa, []string{":", "x"})...), want: malformed},
		{name: "8.3: :status", send: fieldLines(join(m, s, a, pa, []string{":status", "200"})...), want: malformed},
		{name: "8.3: upper case", send: fieldLines(join(s, a, pa, []string{":Method", "POST"})...), want: malformed},
		{name: "8.3.1: no :method", send: fieldLines(join(s, a, pa)...), want: malformed},
		{name: "8.3.1: no :scheme", send: fieldLines(join(m, a, pa)...), want: malformed},
		{name: "8.3.1: no :path", send: fieldLines(join(m, s, a)...), want: malformed},
		{name: "8.3.1: none", send: fieldLines("x", "y"), want: malformed},
		{name: "8.3.1: no field at all", send: fieldLines(), want: malformed},
		{name: "8.3.1: no :authority", send: fieldLines(join(m, s, pa)...), want: served},
		{name: "8.3.1: empty :path", send: fieldLines(join(m, s, a, []string{":path", ""})...), want: malformed},
		{name: "8.3.1: empty :method", send: fieldLines(join([]string{":method", ""}, s, a, pa)...), want: malformed},
		{name: "8.3.1: :path with CR", send: fieldLines(join(m, s, a, []string{":path", "/a\r"})...), want: malformed},
		{name: "8.3: :authority twice, empty at first", send: fieldLines(join(m, s, pa, []string{":authority", ""}, a)...), want: malformed},
	}
	for _, pseudo := range [][]string{m, s, a, pa} {
		table = append(table, offence{name: "8.3: twice " + pseudo[0], send: fieldLines(join(m, s, a, pa, pseudo)...), want: malformed})
	}
	for _, name := range []string{"", "Upper", "with space", "col:on", "tab\t", "nul\x00", "del\x7f", "\x1f", "high\x80", "cr\r", "lf\n", "quo\"te", "(a)"} {
		table = append(table, offence{name: "8.2.1: name " + safe(name), send: with(name, "value"), want: malformed})
	}
	for _, value := range []string{"a\x00b", "a\rb", "a\nb", "\r\nset: x", "\x00"} {
		table = append(table, offence{name: "8.2.1: value " + safe(value), send: with("name", value), want: malformed})
	}
	for _, value := range []string{"", "a\tb", "ü", "\x80\xff", "a b", "\x7f"} {
		table = append(table, offence{name: "8.2.1: fine value " + safe(value), send: with("name", value), want: served})
	}
	for _, name := range []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"} {
		table = append(table, offence{name: "8.2.2: " + name, send: with(name, "x"), want: malformed})
	}
	table = append(table,
		offence{name: "8.2.2: te: gzip", send: with("te", "gzip"), want: malformed},
		offence{name: "8.2.2: te: trailers, gzip", send: with("te", "trailers, gzip"), want: malformed},
		offence{name: "8.2.2: te: trailers", send: with("te", "trailers"), want: served},
	)
	runOffences(t, table)
}

func safe(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == '"' || r == '/' {
			return '?'
		}
		return r
	}, s), "/") + " of " + string(rune('0'+len(s)))
}
