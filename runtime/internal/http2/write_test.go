package http2

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

func TestStream_WaitRoom(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(p *peer, st *testStream)
		room bool
	}{
		{"window opens", func(p *peer, st *testStream) { p.WriteWindowUpdate(1, 1000) }, true},
		{"the peer resets the stream", func(p *peer, st *testStream) { p.WriteFrame(0x3, 0, 1, h2test.Cancel) }, false},
		{"the application resets the stream", func(p *peer, st *testStream) { st.Reset(ErrCodeCancel) }, false},
		{"what waits is discarded", func(p *peer, st *testStream) { st.Write(outgoing{Discard: true, Trailers: okTrailers}) }, false},
		{"the connection breaks", func(p *peer, st *testStream) { p.nc.Close() }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{MaxPendingBytes: 50}, func(p *peer) {
				p.GreetServer(4, 10)
				st := p.open(1)
				var room, done bool
				go func() {
					st.Write(outgoing{Headers: okHeaders, Data: make([]byte, 100)})
					room, _ = st.WaitRoom(0)
					done = true
				}()
				p.WantHeaders(1, false)
				p.WantData(1, false, string(make([]byte, 10)))
				p.WriteWindowUpdate(1, 39) // 51 octets wait still
				p.Want(h2test.Data)
				if done {
					t.Fatal("WaitRoom has returned")
				}
				row.end(p, st)
				synctest.Wait()
				if !done || room != row.room {
					t.Errorf("WaitRoom has returned: %v, %v", done, room)
				}
			})
		})
	}
}

// A write that makes no progress for as long as WriteTimeout ends the connection.
func TestConn_WriteTimeout(t *testing.T) {
	withPeer(t, Config{WriteTimeout: 20 * time.Second}, func(p *peer) {
		p.GreetServer(4, 1<<20)
		p.WriteWindowUpdate(0, 1<<20)
		p.nc.Limit(1000)
		p.serveWith(100_000)
		p.WriteHeaders(1, true, request()...)
		synctest.Wait()
		time.Sleep(20*time.Second - 1)
		synctest.Wait()
		if p.stopped.Load() {
			t.Fatal("ended before the timeout")
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if !p.stopped.Load() || p.stop == nil {
			t.Errorf("ended: %v, with %v", p.stopped.Load(), p.stop)
		}
		p.app.streams[1].closedBy(t)
	})
}

func TestStream_EarlyResponse(t *testing.T) {
	withPeer(t, Config{ConnWindow: 65535, MaxWindow: -1}, func(p *peer) {
		p.GreetServer()
		p.app.onRequest = func(st *testStream, _ bool) bool {
			st.write(outgoing{Headers: okHeaders, Data: []byte("no, thanks"), Finish: true})
			return true
		}
		p.WriteHeaders(1, false, request()...)
		p.WantHeaders(1, false)
		p.WantData(1, false, "no, thanks")
		p.WantData(1, true, "")
		p.wantRSTStream(1, ErrCodeNo)
		p.WriteData(1, false, make([]byte, 16384))
		p.WriteData(1, false, make([]byte, 16384))
		p.WriteData(1, true, "the rest")
		p.WantWindowUpdate(0, 2*16384)
		p.app.onRequest = nil
		p.wantServed(3)
		if st := p.app.streams[1]; len(st.data) > 0 || len(st.errs) > 0 {
			t.Errorf("the application got %d octets and %v", len(st.data), st.errs)
		}
	})
}

func TestStream_Write(t *testing.T) {
	big := strings.Repeat("v", 40_000)
	for _, row := range []struct {
		name  string
		write []outgoing
		want  func(p *peer)
	}{
		{"only headers", []outgoing{{Headers: okHeaders, Finish: true}}, func(p *peer) { p.WantHeaders(1, true) }},
		{"headers, later the end", []outgoing{{Headers: okHeaders}, {Finish: true}}, func(p *peer) { p.WantHeaders(1, false); p.WantData(1, true, "") }},
		{"headers, later trailers", []outgoing{{Headers: okHeaders}, {Trailers: okTrailers}}, func(p *peer) { p.wantReply(1, "") }},
		{"in four", []outgoing{{Headers: okHeaders}, {Data: []byte("a")}, {Data: []byte("b")}, {Trailers: okTrailers}}, func(p *peer) {
			p.WantHeaders(1, false)
			p.WantData(1, false, "a")
			p.WantData(1, false, "b")
			p.WantHeaders(1, true)
		}},
		{"trailers of three frames", []outgoing{{Headers: okHeaders, Trailers: fields.AppendField(nil, "big", big)}}, func(p *peer) {
			p.WantHeaders(1, false)
			if got := p.WantHeaders(1, true); got != "big: "+big {
				p.t.Errorf("got %d octets", len(got))
			}
		}},
		{"headers of three frames and the end", []outgoing{{Headers: fields.AppendField(fields.AppendStatus(nil, 404), "big", big), Finish: true}}, func(p *peer) {
			if got := p.WantHeaders(1, true); got != ":status: 404\nbig: "+big {
				p.t.Errorf("got %d octets", len(got))
			}
		}},
		{"discarding what waits", []outgoing{{Headers: okHeaders, Data: []byte("0123456789abc")}, {Data: []byte("def")}, {Discard: true, Trailers: okTrailers}}, func(p *peer) {
			p.wantReply(1, "0123456789")
		}},
		{"discarding, then more", []outgoing{{Headers: okHeaders, Data: []byte("0123456789abc")}, {Discard: true, Data: []byte("xyz")}, {Trailers: okTrailers}}, func(p *peer) {
			p.WantHeaders(1, false)
			p.WantData(1, false, "0123456789")
			p.WriteWindowUpdate(1, 100)
			p.WantData(1, false, "xyz")
			p.WantHeaders(1, true)
		}},
		{"after the end", []outgoing{{Headers: okHeaders, Data: []byte("0123456789abc"), Finish: true}, {Data: []byte("late")}, {Trailers: okTrailers}}, func(p *peer) {
			p.WantHeaders(1, false)
			p.WantData(1, false, "0123456789")
			p.WriteWindowUpdate(1, 100)
			p.WantData(1, false, "abc")
			p.WantData(1, true, "")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{}, func(p *peer) {
				p.GreetServer(4, 10)
				p.app.onRequest = func(st *testStream, _ bool) bool {
					for _, o := range row.write {
						st.write(o)
					}
					return true
				}
				p.WriteHeaders(1, true, request()...)
				row.want(p)
				p.WantNothing()
				p.app.onRequest = nil
				p.wantServedQuietly(3)
			})
		})
	}
}

// Many goroutines answer, each in pieces. Every response is whole, and has one end.
func TestConn_ConcurrentWrites(t *testing.T) {
	const streams, pieces, size = 200, 20, 700
	app := newTestApp()
	var handlers sync.WaitGroup
	app.onRequest = func(st *testStream, _ bool) bool {
		handlers.Go(func() {
			data := pattern(int(st.id), pieces*size)
			o := outgoing{Headers: okHeaders}
			for i := range pieces {
				o.Data = bytes.Clone(data[i*size : (i+1)*size])
				st.Write(o)
				o = outgoing{}
				switch i % 3 {
				case 0:
					st.conn.Flush()
				case 1:
					st.WaitRoom(0)
				}
			}
			st.Write(outgoing{Trailers: okTrailers})
			st.conn.Flush()
		})
		return true
	}
	_, client, served := tcpConn(t, app, Config{MaxPendingBytes: 1000})
	go func() {
		client.Write([]byte(preface))
		client.Write(rawFrame(0x4, 0, 0, "\x00\x04\x00\x00\x04\x00"))
		for i := range streams {
			client.Write(rawFrame(0x1, 0x5, uint32(2*i+1), okBlock))
		}
	}()
	got := make(map[uint32]*response)
	var input []byte
	buf := make([]byte, 5000)
	for ended := 0; ended < streams; {
		n, err := client.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		input = append(input, buf[:n]...)
		for {
			var f h2test.Frame
			var ok bool
			if f, input, ok = h2test.Cut(input); !ok {
				break
			}
			if f.StreamID == 0 {
				continue
			}
			r := got[f.StreamID]
			if r == nil {
				r = new(response)
				got[f.StreamID] = r
			}
			switch {
			case r.ended:
				t.Fatalf("stream %d: frame type %d after the end", f.StreamID, f.Type)
			case f.Type == h2test.Headers:
				r.headers++
			case f.Type == h2test.Data:
				r.data = append(r.data, f.Payload...)
				client.Write(append(rawFrame(0x8, 0, 0, len(f.Payload)), rawFrame(0x8, 0, f.StreamID, len(f.Payload))...))
			}
			if r.ended = f.Ends(); r.ended {
				ended++
			}
		}
	}
	for id, r := range got {
		if r.headers != 2 || !bytes.Equal(r.data, pattern(int(id), pieces*size)) {
			t.Errorf("stream %d: %d HEADERS frames and %d octets, or not the right ones", id, r.headers, len(r.data))
		}
	}
	handlers.Wait()
	client.Close()
	mustEnd(t, served)
	app.check(t)
}
