package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// offence is a row of a table of what peers do wrong, or seem to, and of what we make of it.
type offence struct {
	name   string
	send   func(p *peer)
	want   reaction
	config Config
	early  bool // sent in place of the preface, not after it
}

// reaction checks what follows an offence.
type reaction func(p *peer)

// connError: GOAWAY with the code, nothing else, and the connection closes.
func connError(code ErrCode) reaction {
	return func(p *peer) {
		p.t.Helper()
		f := p.Next()
		for f.Type == h2test.WindowUpdate || f.Type == h2test.Settings {
			f = p.Next()
		}
		if f.Type != h2test.GoAway || codeOf(f) != code {
			p.t.Fatalf("got %v with %v, want GOAWAY with %v", f, codeOf(f), code)
		}
		p.wantClosed()
		if err, ok := p.stop.(ConnError); !ok || err.Code != code {
			p.t.Errorf("Serve returned %v", p.stop)
		}
	}
}

// streamError: RST_STREAM on stream 1 with the code, and the connection goes on.
func streamError(code ErrCode) reaction {
	return func(p *peer) {
		p.t.Helper()
		p.wantRSTStream(1, code)
		if st := p.app.streams[1]; st != nil {
			if err, ok := st.closedBy(p.t).(StreamError); !ok || err.Code != code || err.StreamID != 1 {
				p.t.Errorf("the application was told %v", st.errs[0])
			}
		}
		p.wantServed(101)
	}
}

// malformed: as streamError, and the application has not seen the request.
func malformed(p *peer) {
	p.t.Helper()
	streamError(ErrCodeProtocol)(p)
	if p.app.streams[1] != nil {
		p.t.Error("the malformed request has reached the application")
	}
}

// ignored: no answer, and the connection goes on.
func ignored(p *peer) {
	p.t.Helper()
	p.WantNothing()
	p.wantServed(101)
}

// hungUp: the connection closes without a word.
func hungUp(p *peer) {
	p.t.Helper()
	p.WantNothing()
	if !p.stopped.Load() {
		p.t.Fatal("the connection is still open")
	}
}

// runOffences runs a table, each row as a whole and then octet by octet.
func runOffences(t *testing.T, table []offence) {
	for _, row := range table {
		for _, chunk := range []int{0, 1} {
			t.Run(row.name+[]string{"", ", in single octets"}[chunk], func(t *testing.T) {
				withPeer(t, row.config, func(p *peer) {
					p.nc.Chunk(chunk)
					if !row.early {
						p.GreetServer()
					}
					row.send(p)
					row.want(p)
				})
			})
		}
	}
}

// frames sends frames made by rawFrame.
func frames(all ...[]byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.Write(bytes.Join(all, nil))
	}
}

// onOpen opens stream 1, of which the request does not end, and then sends frames.
func onOpen(all ...[]byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.open(1)
		frames(all...)(p)
	}
}

// onHalfClosed sends frames on stream 1, of which the request has ended and the response has not begun.
func onHalfClosed(all ...[]byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.app.onRequest = func(st *testStream, endStream bool) bool { return st.id == 1 }
		p.WriteHeaders(1, true, request()...)
		p.accepted(1)
		frames(all...)(p)
	}
}

// onClosed sends frames on stream 1 after its request and response have ended.
func onClosed(all ...[]byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.WriteHeaders(1, true, request()...)
		p.wantReply(1, "")
		frames(all...)(p)
	}
}

// onResetByPeer sends frames on stream 1 after the peer has reset it.
func onResetByPeer(all ...[]byte) func(p *peer) {
	return onOpen(append([][]byte{rawFrame(0x3, 0, 1, h2test.Cancel)}, all...)...)
}

// onResetByUs sends frames on stream 1 after the application has reset it.
func onResetByUs(all ...[]byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.open(1).Reset(ErrCodeCancel)
		p.conn.Flush()
		p.wantRSTStream(1, ErrCodeCancel)
		frames(all...)(p)
	}
}

// headers opens stream 1 with a block made by hand.
func headers(block ...byte) func(p *peer) { return frames(rawFrame(0x1, 0x5, 1, block)) }

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

var (
	plainBlock = []byte("\x83\x86\x44\x04/a/b\x41\x04test") // POST http://test/a/b, changes the dynamic table
	okBlock    = []byte("\x83\x86\x04\x04/a/b")             // POST http:///a/b
	tooLong    = make([]byte, 16385)
	ones       = "\xff\xff\xff\xff"
)

func TestConn_StartsWithPreface(t *testing.T) {
	early := func(b ...any) func(p *peer) { return func(p *peer) { p.Write(rawFrame(0, 0, 0, b...)[9:]) } }
	runOffences(t, []offence{
		{"3.4: something else", early("GET / HTTP/3\r\nHost: test\r\n\r\n"), hungUp, Config{}, true},
		{"3.4: garbage", early("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), hungUp, Config{}, true},
		{"3.4: wrong tail", early("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"), hungUp, Config{}, true},
		{"3.4: first frame is PING", early(preface, rawFrame(0x6, 0, 0, "12345678")), connError(ErrCodeProtocol), Config{}, true},
		{"3.4: first frame is HEADERS", early(preface, rawFrame(0x1, 0x5, 1, okBlock)), connError(ErrCodeProtocol), Config{}, true},
		{"3.4: first frame is WINDOW_UPDATE", early(preface, rawFrame(0x8, 0, 0, 1)), connError(ErrCodeProtocol), Config{}, true},
		{"3.4: first frame is unknown", early(preface, rawFrame(0xfa, 0, 0)), connError(ErrCodeProtocol), Config{}, true},
		{"3.4: first frame acknowledges SETTINGS", early(preface, rawFrame(0x4, 1, 0)), connError(ErrCodeProtocol), Config{}, true},
		{"3.4: first SETTINGS is bad", early(preface, rawFrame(0x4, 0, 0, "\x00\x02\x00\x00\x00\x02")), connError(ErrCodeProtocol), Config{}, true},
	})
}

func TestConn_ReactsToFrames(t *testing.T) {
	unknown := func(id uint32) (all [][]byte) {
		for kind := 0x0a; kind <= 0xff; kind++ {
			all = append(all, rawFrame(byte(kind), byte(kind), id, strings.Repeat("x", kind)))
		}
		return all
	}
	fine := func(p *peer) { p.wantReply(1, ""); ignored(p) }
	runOffences(t, []offence{
		{name: "4.1: unknown types on stream 0", send: frames(unknown(0)...), want: ignored},
		{name: "4.1: unknown types on an idle stream", send: frames(unknown(7)...), want: ignored},
		{name: "4.1: unknown types on an open stream", send: onOpen(unknown(1)...), want: ignored},
		{name: "4.1: the largest frame of an unknown type", send: frames(rawFrame(0xaa, 0, 0, tooLong[:16384])), want: ignored},
		{name: "4.1: undefined flags of HEADERS", send: frames(rawFrame(0x1, 0x5|0x92, 1, okBlock)), want: fine},
		{name: "4.1: undefined flags of DATA", send: onOpen(rawFrame(0x0, 0xf6, 1, "\x00")), want: ignored},
		{name: "4.1: undefined flags of RST_STREAM", send: onOpen(rawFrame(0x3, 0xff, 1, h2test.Cancel)), want: ignored},
		{name: "4.1: undefined flags of PRIORITY", send: frames(rawFrame(0x2, 0xff, 1, 0, "\x00")), want: ignored},
		{name: "4.1: undefined flags of WINDOW_UPDATE", send: frames(rawFrame(0x8, 0xff, 0, 1)), want: ignored},
		{name: "4.1: undefined flags of GOAWAY", send: frames(rawFrame(0x7, 0xff, 0, 0, 0)), want: ignored},
		{name: "4.1: undefined flags of SETTINGS", send: frames(rawFrame(0x4, 0xfe, 0)), want: func(p *peer) { p.Want(h2test.Settings); ignored(p) }},
		{name: "4.1: reserved bit", send: frames(rawFrame(0x1, 0x5, 1|1<<31, okBlock)), want: fine},
		{name: "4.1: reserved bit of stream 0", send: frames(rawFrame(0x6, 0x1, 1<<31, "12345678")), want: ignored},

		{name: "4.2: HEADERS too long", send: frames(rawFrame(0x1, 0x5, 1, tooLong)[:9]), want: connError(ErrCodeFrameSize)},
		{name: "4.2: CONTINUATION too long", send: frames(rawFrame(0x1, 0, 1, okBlock), rawFrame(0x9, 0, 1, tooLong)[:9]), want: connError(ErrCodeFrameSize)},
		{name: "4.2: SETTINGS too long", send: frames(rawFrame(0x4, 0, 0, tooLong)[:9]), want: connError(ErrCodeFrameSize)},
		{name: "4.2: DATA too long", send: onOpen(rawFrame(0x0, 0, 1, tooLong)[:9]), want: connError(ErrCodeFrameSize)},
		{name: "4.2: unknown type, as long as can be", send: frames([]byte(ones + "\x00\x00\x00\x00\x00")), want: connError(ErrCodeFrameSize)},

		{name: "5.3.2: PRIORITY on an idle stream", send: frames(rawFrame(0x2, 0, 9, uint32(3|1<<31), "\xff")), want: ignored},
		{name: "5.3.2: PRIORITY on an open stream", send: onOpen(rawFrame(0x2, 0, 1, 3, "\xff")), want: ignored},
		{name: "5.3.2: PRIORITY on a closed stream", send: onClosed(rawFrame(0x2, 0, 1, 3, "\xff")), want: ignored},
		{name: "5.3.2: PRIORITY in HEADERS", send: frames(rawFrame(0x1, 0x25, 1, 3, "\xff", okBlock)), want: fine},
		{name: "5.3.2: stream depends on itself", send: onOpen(rawFrame(0x2, 0, 1, 1, "\xff")), want: streamError(ErrCodeProtocol)},
		{name: "5.3.2: stream depends on itself in HEADERS", send: frames(rawFrame(0x1, 0x25, 1, 1, "\xff", okBlock)), want: malformed},

		{name: "6.1: DATA on stream 0", send: frames(rawFrame(0x0, 0, 0, "x")), want: connError(ErrCodeProtocol)},
		{name: "6.1: padding longer than DATA", send: onOpen(rawFrame(0x0, 0x8, 1, "\x04abc")), want: connError(ErrCodeProtocol)},
		{name: "6.1: padding of DATA without its length", send: onOpen(rawFrame(0x0, 0x8, 1)), want: connError(ErrCodeProtocol)},
		{name: "6.1: padding as long as DATA", send: onOpen(rawFrame(0x0, 0x8, 1, "\x03abc")), want: ignored},
		{name: "6.2: HEADERS on stream 0", send: frames(rawFrame(0x1, 0x5, 0, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "6.2: padding longer than HEADERS", send: frames(rawFrame(0x1, 0xd, 1, "\x14", okBlock)), want: connError(ErrCodeProtocol)},
		{name: "6.2: padding longer than HEADERS with priority", send: frames(rawFrame(0x1, 0x2d, 1, "\x06", 0, "\x00", "\x83\x86")), want: func(p *peer) { p.Want(h2test.GoAway); p.wantClosed() }},
		{name: "6.2: HEADERS too short for its priority", send: frames(rawFrame(0x1, 0x25, 1, "abcd")), want: connError(ErrCodeFrameSize)},
		{name: "6.2: padded HEADERS", send: frames(rawFrame(0x1, 0xd, 1, "\x03", okBlock, "\x00\x00\x00")), want: fine},
		{name: "6.3: PRIORITY on stream 0", send: frames(rawFrame(0x2, 0, 0, 1, "\x00")), want: connError(ErrCodeProtocol)},
		{name: "6.3: PRIORITY of 4 octets", send: onOpen(rawFrame(0x2, 0, 1, 3)), want: streamError(ErrCodeFrameSize)},
		{name: "6.3: PRIORITY of 6 octets", send: onOpen(rawFrame(0x2, 0, 1, 3, "\x00\x00")), want: streamError(ErrCodeFrameSize)},
		{name: "6.4: PRIORITY of 4 octets on an idle stream", send: frames(rawFrame(0x2, 0, 1, 3)), want: connError(ErrCodeFrameSize)},
		{name: "6.4: RST_STREAM on stream 0", send: frames(rawFrame(0x3, 0, 0, 8)), want: connError(ErrCodeProtocol)},
		{name: "6.4: RST_STREAM of 3 octets", send: onOpen(rawFrame(0x3, 0, 1, "abc")), want: connError(ErrCodeFrameSize)},
		{name: "6.4: RST_STREAM of 5 octets", send: onOpen(rawFrame(0x3, 0, 1, "abcde")), want: connError(ErrCodeFrameSize)},
		{name: "6.6: PUSH_PROMISE", send: onOpen(rawFrame(0x5, 0x4, 1, 2, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "6.7: PING on a stream", send: onOpen(rawFrame(0x6, 0, 1, "12345678")), want: connError(ErrCodeProtocol)},
		{name: "6.7: PING of 7 octets", send: frames(rawFrame(0x6, 0, 0, "1234567")), want: connError(ErrCodeFrameSize)},
		{name: "6.7: acknowledgement of a PING of 9 octets", send: frames(rawFrame(0x6, 1, 0, "123456789")), want: connError(ErrCodeFrameSize)},
		{name: "6.7: PING", send: frames(rawFrame(0x6, 0, 0, "12345678")), want: func(p *peer) {
			if f := p.Want(h2test.Ping); f.Flags != 1 || string(f.Payload) != "12345678" {
				p.t.Errorf("got %v", f)
			}
			ignored(p)
		}},
		{name: "6.7: acknowledgement of no PING of ours", send: frames(rawFrame(0x6, 1, 0, "12345678")), want: ignored},
		{name: "6.7: acknowledgement of a PING that we did not send", send: frames(rawFrame(0x6, 1, 0, "shutdown")), want: ignored},
		{name: "6.8: GOAWAY on a stream", send: onOpen(rawFrame(0x7, 0, 1, 0, 0)), want: connError(ErrCodeProtocol)},
		{name: "6.8: GOAWAY of 7 octets", send: frames(rawFrame(0x7, 0, 0, "1234567")), want: connError(ErrCodeFrameSize)},
		{name: "6.8: GOAWAY while a request is under way", send: onOpen(rawFrame(0x7, 0, 0, 0, 0, "bye"), rawFrame(0x0, 1, 1, "abc")), want: func(p *peer) { p.wantReply(1, "abc") }},
		{name: "6.10: CONTINUATION on stream 0", send: frames(rawFrame(0x1, 0, 1, okBlock), rawFrame(0x9, 4, 0)), want: connError(ErrCodeProtocol)},
	})
}

func TestConn_ReactsToStreamStates(t *testing.T) {
	data, end := rawFrame(0x0, 0, 1, "abc"), rawFrame(0x0, 1, 1, "abc")
	trailers := rawFrame(0x1, 0x5, 1, "\x00\x01a\x01b")
	update, rst := rawFrame(0x8, 0, 1, 1), rawFrame(0x3, 0, 1, h2test.Cancel)
	on := func(id byte, f []byte) []byte { f = bytes.Clone(f); f[8] = id; return f }
	after5 := func(all ...[]byte) func(p *peer) {
		return func(p *peer) { p.open(5); frames(all...)(p) }
	}
	runOffences(t, []offence{
		{name: "5.1: DATA on an idle stream", send: frames(data), want: connError(ErrCodeProtocol)},
		{name: "5.1: DATA on an even idle stream", send: after5(on(2, data)), want: connError(ErrCodeProtocol)},
		{name: "5.1: RST_STREAM on an idle stream", send: frames(rst), want: connError(ErrCodeProtocol)},
		{name: "5.1: RST_STREAM on an even idle stream", send: after5(on(2, rst)), want: connError(ErrCodeProtocol)},
		{name: "5.1: WINDOW_UPDATE on an idle stream", send: frames(update), want: connError(ErrCodeProtocol)},
		{name: "5.1: WINDOW_UPDATE on an even idle stream", send: after5(on(2, update)), want: connError(ErrCodeProtocol)},
		{name: "5.1: CONTINUATION on an idle stream", send: frames(rawFrame(0x9, 4, 1, okBlock)), want: connError(ErrCodeProtocol)},

		{name: "5.1: half-closed (remote): DATA", send: onHalfClosed(data), want: streamError(ErrCodeStreamClosed)},
		{name: "5.1: half-closed (remote): HEADERS", send: onHalfClosed(trailers), want: streamError(ErrCodeStreamClosed)},
		{name: "5.1: half-closed (remote): CONTINUATION", send: onHalfClosed(rawFrame(0x9, 4, 1, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "5.1: half-closed (remote): WINDOW_UPDATE", send: onHalfClosed(update), want: ignored},
		{name: "5.1: half-closed (remote): PRIORITY", send: onHalfClosed(rawFrame(0x2, 0, 1, 3, "\x00")), want: ignored},
		{name: "5.1: half-closed (remote): RST_STREAM", send: onHalfClosed(rst), want: func(p *peer) {
			ignored(p)
			if err := p.app.streams[1].closedBy(p.t); err != (ResetError{ErrCodeCancel}) {
				p.t.Errorf("the application was told %v", err)
			}
		}},

		{name: "5.1: closed: DATA", send: onClosed(data), want: streamError1(ErrCodeStreamClosed)},
		{name: "5.1: closed: HEADERS", send: onClosed(trailers), want: connError(ErrCodeStreamClosed)},
		{name: "5.1: closed: CONTINUATION", send: onClosed(rawFrame(0x9, 4, 1, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "5.1: closed: RST_STREAM, WINDOW_UPDATE", send: onClosed(rst, update), want: ignored},
		{name: "5.1: closed by the peer's RST_STREAM: DATA", send: onResetByPeer(data), want: streamError1(ErrCodeStreamClosed)},
		{name: "5.1: closed by the peer's RST_STREAM: HEADERS", send: onResetByPeer(trailers), want: connError(ErrCodeStreamClosed)},
		{name: "5.1: closed by the peer's RST_STREAM: RST_STREAM, WINDOW_UPDATE", send: onResetByPeer(rst, update), want: ignored},
		{name: "5.1: closed by our RST_STREAM: DATA", send: onResetByUs(data, end), want: ignored},
		{name: "5.1: closed by our RST_STREAM: HEADERS", send: onResetByUs(trailers), want: ignored},
		{name: "5.1: closed by our RST_STREAM: RST_STREAM, WINDOW_UPDATE", send: onResetByUs(rst, update), want: ignored},

		{name: "5.1.1: even stream", send: frames(rawFrame(0x1, 0x5, 2, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "5.1.1: HEADERS on a stream that was skipped", send: after5(rawFrame(0x1, 0x5, 3, okBlock)), want: connError(ErrCodeProtocol)},
		{name: "5.1.1: the last stream there can be", send: frames(rawFrame(0x1, 0x5, 1<<31-1, okBlock)), want: func(p *peer) {
			ping := p.wantShutdown()
			p.wantReply(1<<31-1, "")
			p.WantNothing()
			p.WriteFrame(0x6, flagAck, 0, ping)
			p.wantSecondGoAway(1<<31 - 1)
			p.wantGoodEnd()
		}},
		{name: "5.1.1: the last stream there can be, refused", config: Config{MaxConcurrentStreams: 1}, send: func(p *peer) {
			p.open(1)
			p.WriteFrame(0x1, 0x5, 1<<31-1, okBlock)
		}, want: func(p *peer) {
			ping := p.wantShutdown()
			p.wantRSTStream(1<<31-1, ErrCodeRefusedStream)
			p.WriteFrame(0x6, flagAck, 0, ping)
			p.wantSecondGoAway(1<<31 - 1)
			p.WriteData(1, true, "abc")
			p.wantReply(1, "abc")
			p.wantGoodEnd()
		}},
		{name: "5.1.2: more streams than announced", config: Config{MaxConcurrentStreams: 2}, send: func(p *peer) {
			p.open(3)
			p.open(5)
			p.WriteHeaders(7, false, request()...)
			p.WriteData(7, false, "abc")
			p.WriteHeaders(7, true, "trailer", "x")
		}, want: func(p *peer) {
			p.wantRSTStream(7, ErrCodeRefusedStream)
			p.WantNothing() // not for what had been on its way either
			p.WriteData(3, true, "abc")
			p.wantReply(3, "abc")
			p.WriteData(5, true, "def")
			p.wantReply(5, "def")
			ignored(p)
		}},
		{name: "8.1.1: what follows a malformed request", send: func(p *peer) {
			p.WriteHeaders(1, false, request("Upper", "x")...)
			p.WriteData(1, false, "abc")
			p.WriteHeaders(1, true, "trailer", "x")
		}, want: malformed},
	})
}

// streamError1 is streamError for a stream that the application has let go of.
func streamError1(code ErrCode) reaction {
	return func(p *peer) {
		p.t.Helper()
		p.wantRSTStream(1, code)
		p.wantServed(101)
	}
}

func TestConn_ReactsToFieldBlocks(t *testing.T) {
	interrupted := func(kind, flags byte, id uint32, payload ...any) offence {
		return offence{
			name: fmt.Sprintf("4.3: field block interrupted by frame type %#x on stream %d", kind, id),
			send: frames(rawFrame(0x1, 0x1, 1, okBlock[:3]), rawFrame(kind, flags, id, payload...)),
			want: connError(ErrCodeProtocol),
		}
	}
	undecodable := func(name string, block ...byte) offence {
		return offence{name: "4.3: " + name, send: headers(block...), want: connError(ErrCodeCompression)}
	}
	static := func(tail ...byte) []byte { return append([]byte("\x83\x86\x04\x04/a/b"), tail...) }
	runOffences(t, []offence{
		interrupted(0x0, 0, 1, "abc"),
		interrupted(0x1, 0x4, 1, okBlock),
		interrupted(0x1, 0x4, 3, okBlock),
		interrupted(0x2, 0, 1, 3, "\x00"),
		interrupted(0x3, 0, 1, 8),
		interrupted(0x4, 0, 0),
		interrupted(0x4, 1, 0),
		interrupted(0x5, 4, 1, 2, okBlock),
		interrupted(0x6, 0, 0, "12345678"),
		interrupted(0x7, 0, 0, 0, 0),
		interrupted(0x8, 0, 0, 1),
		interrupted(0x9, 4, 3, okBlock[3:]),
		interrupted(0xfa, 0, 0),
		{name: "6.10: CONTINUATION after END_HEADERS", send: onOpen(rawFrame(0x9, 4, 1, okBlock)), want: connError(ErrCodeProtocol)},

		undecodable("index 0", static(0x80)...),
		undecodable("index beyond the tables", static(0xbe)...),
		undecodable("index far beyond the tables", static(0xff, 0xff, 0xff, 0x7f)...),
		undecodable("name index beyond the tables", static(0x7e, 1, 'x')...),
		undecodable("integer overflow", static([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")...)...),
		undecodable("integer without end", static(0xff, 0xff)...),
		undecodable("string cut short", static(0x00, 0x01, 'a', 0x05, 'b')...),
		undecodable("length of a string missing", static(0x00)...),
		undecodable("EOS in a Huffman string", static([]byte("\x00\x01a\x84\xff\xff\xff\xfc")...)...),
		undecodable("Huffman padding of zeros", static(0x00, 0x01, 'a', 0x81, 0x18)...),
		undecodable("Huffman padding over 7 bits", static(0x00, 0x01, 'a', 0x82, 0x1f, 0xff)...),
		undecodable("table size above the limit", append([]byte("\x3f\xe2\x1f"), okBlock...)...),
		undecodable("table size not first", append(plainBlock, 0x20)...), // of an empty table, hpack lets it pass
		{name: "4.3: trailers that cannot be decompressed", send: onOpen(rawFrame(0x1, 0x5, 1, "\x80")), want: connError(ErrCodeCompression)},
		{name: "4.3: on a closed stream", send: onResetByUs(rawFrame(0x1, 0x5, 1, "\x80")), want: connError(ErrCodeCompression)},
		{name: "4.3: table size at the limit and below", send: headers(append([]byte("\x3f\xe1\x1f\x20\x3f\xe1\x1f")[:4], okBlock...)...), want: func(p *peer) { p.wantReply(1, ""); p.Encoder.SetMaxDynamicTableSize(0); ignored(p) }},
		{name: "4.3: field block in four pieces", send: frames(rawFrame(0x1, 0x1, 1), rawFrame(0x9, 0, 1, okBlock[:3]), rawFrame(0x9, 0, 1), rawFrame(0x9, 4, 1, okBlock[3:])), want: func(p *peer) { p.wantReply(1, ""); ignored(p) }},
	})
}
