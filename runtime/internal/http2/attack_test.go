package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// calmed: what came before is answered or not, and then the connection ends with ENHANCE_YOUR_CALM.
func calmed(p *peer) {
	p.t.Helper()
	p.wantEventually(func(f h2test.Frame) bool { return f.Type == h2test.GoAway && codeOf(f) == ErrCodeEnhanceYourCalm })
	p.wantClosed()
}

// allTold: each stream was told that it is over, the one that was too much included.
func allTold(p *peer) {
	p.t.Helper()
	for _, st := range p.app.all {
		st.closedBy(p.t)
	}
}

// wantEventually takes frames until one is as wanted.
func (p *peer) wantEventually(wanted func(f h2test.Frame) bool) h2test.Frame {
	p.t.Helper()
	for {
		f, ok := p.Poll()
		if !ok {
			p.t.Fatal("the frame wanted has not come")
		}
		if wanted(f) {
			return f
		}
		if f.Type == h2test.GoAway {
			p.t.Fatalf("GOAWAY with %v (%q)", codeOf(f), f.Payload[8:])
		}
	}
}

// endures: whatever is answered, the connection goes on.
func endures(p *peer) {
	p.t.Helper()
	const id = 1<<31 - 3 // after the last one comes a GOAWAY
	p.WriteFrame(0x1, 0x5, id, okBlock)
	p.wantEventually(func(f h2test.Frame) bool { return f.Type == h2test.Headers && f.StreamID == id && f.Ends() })
}

// repeat sends frames n times, some of them at a time.
func repeat(n int, all ...[]byte) func(p *peer) {
	once := bytes.Join(all, nil)
	return func(p *peer) {
		p.t.Helper()
		for n > 0 && !p.stopped.Load() {
			some := min(n, 1+10_000/len(once))
			p.nc.Write(bytes.Repeat(once, some)) // the connection may end meanwhile
			n -= some
		}
	}
}

// requests opens n streams, and sends more frames on each.
func requests(n int, more ...func(id uint32) []byte) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		for i := range n {
			id := uint32(2*i + 1)
			b := rawFrame(0x1, 0x4, id, okBlock)
			for _, frame := range more {
				b = append(b, frame(id)...)
			}
			p.nc.Write(b)
		}
	}
}

// each gives a frame the stream's identifier.
func each(kind, flags byte, payload ...any) func(id uint32) []byte {
	return func(id uint32) []byte { return rawFrame(kind, flags, id, payload...) }
}

func after(first, then func(p *peer)) func(p *peer) {
	return func(p *peer) { p.t.Helper(); first(p); then(p) }
}

func TestConn_WithstandsFloods(t *testing.T) {
	open1 := func(p *peer) { p.open(1) }
	cut := rawFrame(0x1, 0, 1, okBlock) // HEADERS without END_HEADERS
	runOnce(t, []offence{
		{name: "rapid reset (CVE-2023-44487)", send: requests(3000, each(0x3, 0, h2test.Cancel)), want: after(calmed, allTold)},
		{name: "rapid reset, within the burst", send: requests(900, each(0x3, 0, h2test.Cancel)), want: endures},
		{name: "rapid reset of unknown streams", send: after(requests(1, each(0x3, 0, h2test.Cancel)), repeat(30_000, rawFrame(0x3, 0, 1, 8))), want: endures},
		{name: "MadeYouReset (CVE-2025-8671): WINDOW_UPDATE of 0", send: requests(3000, each(0x8, 0, 0)), want: calmed},
		{name: "MadeYouReset: window overflow", send: requests(3000, each(0x8, 0, 1<<31-1)), want: calmed},
		{name: "MadeYouReset: PRIORITY of 4 octets", send: requests(3000, each(0x2, 0, 0)), want: calmed},
		{name: "MadeYouReset: stream depends on itself", send: requests(3000, func(id uint32) []byte { return rawFrame(0x2, 0, id, int(id), "x") }), want: calmed},
		{name: "MadeYouReset: second HEADERS", send: requests(3000, each(0x1, 0x4, okBlock)), want: calmed},
		{name: "MadeYouReset: DATA beyond the window", config: Config{StreamWindow: 1}, send: requests(3000, each(0x0, 0, "ab")), want: calmed},
		{name: "MadeYouReset: DATA after END_STREAM", send: after(func(p *peer) {
			p.app.onRequest = func(*testStream, bool) bool { return true }
			p.app.onData = func(*testStream, []byte, bool) bool { return true }
		}, requests(3000, each(0x0, 1), each(0x0, 1))), want: calmed},
		{name: "reset flood (CVE-2019-9514): malformed requests", send: func(p *peer) {
			for i := range 3000 {
				p.nc.Write(rawFrame(0x1, 0x5, uint32(2*i+1), "\x83"))
			}
		}, want: calmed},
		{name: "more streams than announced, over and over", config: Config{MaxConcurrentStreams: 10}, send: requests(3000), want: calmed},

		{name: "PING (CVE-2019-9512)", send: repeat(3000, rawFrame(0x6, 0, 0, "12345678")), want: calmed},
		{name: "acknowledgements of no PING", send: repeat(30_000, rawFrame(0x6, 1, 0, "12345678")), want: endures},
		{name: "SETTINGS (CVE-2019-9515)", send: repeat(3000, rawFrame(0x4, 0, 0)), want: calmed},
		{name: "SETTINGS of many values (CVE-2020-11080)", send: frames(rawFrame(0x4, 0, 0, strings.Repeat("\x00\x04\x00\x00\xff\xff", 2730))), want: calmed},
		{name: "acknowledgements of no SETTINGS", send: repeat(30_000, rawFrame(0x4, 1, 0)), want: endures},
		{name: "INITIAL_WINDOW_SIZE up and down with many streams open", send: after(requests(900), repeat(400, rawFrame(0x4, 0, 0, strings.Repeat("\x00\x04\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff", 32)))), want: endures},
		{name: "PRIORITY (CVE-2019-9513)", send: repeat(3000, rawFrame(0x2, 0, 1, 3, "x")), want: calmed},
		{name: "empty DATA (CVE-2019-9518)", send: after(open1, repeat(30_000, rawFrame(0x0, 0, 1))), want: calmed},
		{name: "DATA of padding only", send: after(open1, repeat(30_000, rawFrame(0x0, 8, 1, "\x03abc"))), want: calmed},
		{name: "empty DATA on a closed stream", send: after(onClosed(), repeat(30_000, rawFrame(0x0, 0, 1))), want: calmed},
		{name: "DATA of one octet", send: after(open1, repeat(30_000, rawFrame(0x0, 0, 1, "x"))), want: endures},
		{name: "WINDOW_UPDATE", send: after(open1, repeat(30_000, rawFrame(0x8, 0, 0, 1), rawFrame(0x8, 0, 1, 1))), want: endures},
		{name: "unknown types", send: repeat(30_000, rawFrame(0xfa, 0, 0)), want: endures},
		{name: "GOAWAY", send: repeat(30_000, rawFrame(0x7, 0, 0, 0, 0)), want: endures},

		{name: "CONTINUATION (CVE-2024-28182)", send: after(frames(cut), repeat(3000, rawFrame(0x9, 0, 1, "\x00\x01a\x01b"))), want: calmed},
		{name: "CONTINUATION, empty", send: after(frames(cut), repeat(3000, rawFrame(0x9, 0, 1))), want: calmed},
		{name: "CONTINUATION, large", send: after(frames(cut), repeat(5, rawFrame(0x9, 0, 1, make([]byte, 16384)))), want: calmed},
		{name: "HEADERS without content", send: after(frames(rawFrame(0x1, 0, 1)), repeat(100, rawFrame(0x9, 0, 1))), want: calmed},
	})
}

// runOnce runs a table, each row as a whole.
func runOnce(t *testing.T, table []offence) {
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, row.config, func(p *peer) {
				p.GreetServer()
				row.send(p)
				row.want(p)
			})
		})
	}
}

// A handler that runs must not be started for a stream that is reset already, and limits must not hit those who use a
// connection as it is meant to be used.
func TestConn_BearsOrdinaryUse(t *testing.T) {
	for _, row := range []struct {
		name string
		use  func(p *peer, id uint32)
	}{
		{"a PING after each answer", func(p *peer, id uint32) {
			p.wantServedQuietly(id)
			p.WriteFrame(0x6, 0, 0, "roundtri")
			p.Want(h2test.Ping)
		}},
		{"a PING each five minutes, with a stream open", func(p *peer, id uint32) {
			if id == 1 {
				p.open(1)
			}
			time.Sleep(5 * time.Minute)
			p.WriteFrame(0x6, 0, 0, "keepaliv")
			p.Want(h2test.Ping)
		}},
		{"a PING each two hours, without", func(p *peer, id uint32) {
			time.Sleep(2 * time.Hour)
			p.Want(h2test.Ping) // ours
			p.WriteFrame(0x6, 0, 0, "keepaliv")
			p.Want(h2test.Ping)
		}},
		{"one RPC of three is cancelled", func(p *peer, id uint32) {
			if id%6 != 1 {
				p.wantServedQuietly(id)
				return
			}
			p.WriteHeaders(id, false, request()...)
			p.WriteFrame(0x3, 0, id, h2test.Cancel)
			p.WantNothing()
		}},
		{"an RPC is cancelled each second", func(p *peer, id uint32) {
			time.Sleep(time.Second)
			p.WriteHeaders(id, false, request()...)
			p.WriteFrame(0x3, 0, id, h2test.Cancel)
			p.WantNothing()
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer()
				for i := range 5000 {
					row.use(p, uint32(2*i+1))
				}
			})
		})
	}
}

// wantServedQuietly is wantServed for connections on which much has been sent already.
func (p *peer) wantServedQuietly(id uint32) {
	p.t.Helper()
	p.WriteWindowUpdate(0, 1)
	p.WriteHeaders(id, false, request()...)
	p.WriteData(id, true, "x")
	p.wantReply(id, "x")
}

func TestConn_LimitsFieldSections(t *testing.T) {
	config := Config{MaxHeaderListBytes: 1000, MaxHeaderFields: 20}
	big := strings.Repeat("v", 200)
	var crumbs []string
	for range 30 {
		crumbs = append(crumbs, "c", "")
	}
	for _, row := range []struct {
		name     string
		fields   []string
		oversize bool
	}{
		{"within the limits", request("a", big), false},
		{"one large field", request("a", strings.Repeat("v", 1000)), true},
		{"many large fields", request("a", big, "b", big, "c", big, "d", big, "e", big), true},
		{"many small fields (CVE-2026-49975)", request(crumbs...), true},
		{"pseudo-header fields are large", []string{":method", "POST", ":scheme", "http", ":path", "/" + strings.Repeat("v", 1000)}, true},
		{"a field that is malformed behind the limit", request("a", big, "b", big, "c", big, "d", big, "e", big, "F", "x"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, config, func(p *peer) {
				p.GreetServer()
				for id := uint32(1); id < 10; id += 2 { // the same again, from the dynamic table
					p.WriteHeaders(id, true, row.fields...)
					p.wantReply(id, "")
					r := p.app.streams[id].request
					size := 0
					for _, f := range r.Fields {
						size += len(f.Name) + len(f.Value) + 32
					}
					if r.Oversize != row.oversize || size > 1000 || len(r.Fields) > 20 {
						p.t.Errorf("oversize %v, %d fields of %d octets", r.Oversize, len(r.Fields), size)
					}
				}
				p.wantServed(11) // the dynamic table is in step
			})
		})
	}
}

// One large entry of the dynamic table, and then a field block of nothing but references to it (CVE-2016-6581).
func TestConn_WithstandsHPACKBomb(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		entry := append([]byte{0x40, 1, 'a', 0x7f, 0xa1, 0x1e}, bytes.Repeat([]byte("v"), 127+0x21+0x1e<<7)...)
		p.WriteFrame(0x1, 0x5, 1, okBlock, entry)
		p.wantReply(1, "")
		for id := uint32(3); id < 100; id += 2 {
			p.WriteFrame(0x1, 0x1, id, okBlock)
			p.WriteFrame(0x9, 0x0, id, bytes.Repeat([]byte{0xbe}, 16384))
			p.WriteFrame(0x9, 0x4, id, bytes.Repeat([]byte{0xbe}, 16384))
			p.wantReply(id, "")
			if r := p.app.streams[id].request; !r.Oversize || len(r.Fields) > 4 {
				p.t.Fatalf("oversize %v, %d fields", r.Oversize, len(r.Fields))
			}
		}
	})
}

// Window is given back whatever becomes of the data: otherwise the connection starves.
func TestConn_GivesWindowBack(t *testing.T) {
	chunk := make([]byte, 16384)
	for name, send := range map[string]func(p *peer, i int) (id uint32){
		"on a stream that we have reset": func(p *peer, i int) uint32 {
			if i == 0 {
				p.open(1).Reset(ErrCodeCancel)
			}
			return 1
		},
		"on a stream that the peer has reset, over and over": func(p *peer, i int) uint32 {
			id := uint32(2*i + 1)
			p.open(id)
			p.WriteFrame(0x3, 0, id, h2test.Cancel)
			return id
		},
		"on refused streams": func(p *peer, i int) uint32 {
			p.app.accept = func(*fields.Section) bool { return false }
			p.WriteHeaders(uint32(2*i+1), false, request()...)
			return uint32(2*i + 1)
		},
		"beyond the stream's window": func(p *peer, i int) uint32 {
			id := uint32(2*i + 1)
			p.app.onData = func(*testStream, []byte, bool) bool { return true } // gives nothing back
			p.open(id)
			for range 4 {
				p.WriteData(id, false, chunk)
			}
			return id
		},
		"on an early response": func(p *peer, i int) uint32 {
			id := uint32(2*i + 1)
			p.app.onRequest = func(st *testStream, _ bool) bool { st.reply(); return true }
			p.WriteHeaders(id, false, request()...)
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			withPeer(t, Config{ConnWindow: 65535}, func(p *peer) {
				p.GreetServer()
				window := 65535
				for i := range 200 {
					id := send(p, i)
					p.WriteData(id, false, chunk)
					for f, ok := p.Poll(); ok; f, ok = p.Poll() {
						if f.Type == h2test.GoAway {
							p.t.Fatalf("GOAWAY with %v (%q)", codeOf(f), f.Payload[8:])
						}
					}
					window = int(p.conn.in.window.window)
					if window < 65535/2 {
						p.t.Fatalf("the connection's window is down to %d", window)
					}
				}
			})
		})
	}
	t.Run("of padding, on the stream too", func(t *testing.T) {
		withPeer(t, Config{MaxWindow: -1}, func(p *peer) {
			p.GreetServer()
			p.open(1)
			for range 5000 {
				p.WriteFrame(0x0, 0x8, 1, "\xffx", chunk[:255])
			}
			for f, ok := p.Poll(); ok; f, ok = p.Poll() {
				if f.Type != h2test.WindowUpdate {
					p.t.Fatalf("got %v", f)
				}
			}
			p.WriteHeaders(1, true, "end", "now")
			p.wantReply(1, strings.Repeat("x", 5000))
		})
	})
}

// A peer that does not read gets no more of our attention, and ties up no more than a bounded number of octets.
func TestConn_StopsReading_WhenPeerDoesNotRead(t *testing.T) {
	for name, frame := range map[string][]byte{
		"PING":      rawFrame(0x6, 0, 0, "12345678"),
		"SETTINGS":  rawFrame(0x4, 0, 0),
		"malformed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			withPeer(t, Config{MinPingInterval: -1}, func(p *peer) {
				p.GreetServer()
				p.conn.in.floods.controls, p.conn.in.floods.resets = unbounded(), unbounded()
				p.nc.Limit(1000)
				// Something else writes already, so that the reader has somebody to wait for.
				go func() {
					p.conn.mu.Lock()
					p.conn.out.buf = append(p.conn.out.buf, make([]byte, 1000)...)
					p.conn.mu.Unlock()
					p.conn.Flush()
				}()
				synctest.Wait()
				for i := range 200_000 {
					f := frame
					if f == nil {
						f = rawFrame(0x1, 0x5, uint32(2*i+1), "\x83")
					}
					p.nc.Write(f)
				}
				synctest.Wait()
				p.conn.mu.Lock()
				waiting := len(p.conn.out.buf)
				p.conn.mu.Unlock()
				unread := p.nc.Unread()
				if waiting > maxOutReader+2*largeReadBufferSize || unread == 0 {
					p.t.Errorf("%d octets wait to be written, %d to be read", waiting, unread)
				}
				time.Sleep(p.conn.config.WriteTimeout + time.Second)
				synctest.Wait()
				if !p.stopped.Load() {
					p.t.Error("still open after the write timeout")
				}
			})
		})
	}
}

func ExampleConnError() {
	fmt.Println(ConnError{ErrCodeEnhanceYourCalm, "too many streams reset"})
	// Output: http2: connection error ENHANCE_YOUR_CALM: too many streams reset
}
