package http2

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// TestData_InParts sends frames piece by piece. Content that is worth it goes to the application before its frame has
// come as a whole; whatever the pieces are, it gets all of it, in order, and END_STREAM behind the last octet.
func TestData_InParts(t *testing.T) {
	content := make([]byte, 16384)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	for _, row := range []struct {
		name   string
		padded bool
		pieces []int // octets of content that are written at once, all but the last
		early  []int // octets that the application has got after each
	}{
		{"whole", false, nil, nil},
		{"a few octets", false, []int{0, 100, minPartialData - 101}, []int{0, 0, 0}},
		{"just enough", false, []int{minPartialData}, []int{minPartialData}},
		{"all but one octet", false, []int{16383}, []int{16383}},
		{"several parts", false, []int{5000, 100, 4000, 5000}, []int{5000, 5000, 9100, 14100}},
		{"padded", true, []int{10000}, []int{0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, Config{MaxWindow: -1}, func(p *peer) {
				p.GreetServer()
				for id := uint32(1); id < 7; id += 2 {
					st := p.open(id)
					b := rawFrame(0x0, 0x1, id, content)
					head := frameHeaderLen
					if row.padded {
						b = rawFrame(0x0, 0x9, id, byte(50), content[:16000], make([]byte, 50))
						head++
					}
					for i, n := range row.pieces {
						p.Write(b[:head+n])
						b, head = b[head+n:], 0
						synctest.Wait()
						if len(st.data) != row.early[i] || st.ended {
							t.Errorf("after piece %d, the application has %d octets, want %d; the end: %v", i, len(st.data), row.early[i], st.ended)
						}
					}
					p.Write(b)
					synctest.Wait()
					want := content
					if row.padded {
						want = content[:16000]
					}
					if !bytes.Equal(st.data, want) || !st.ended {
						t.Errorf("the application has %d octets, or others; the end: %v", len(st.data), st.ended)
					}
					p.wantReply(id, string(want))
				}
			})
		})
	}
}

// TestData_BadPart has frames of which a part is enough to see that they are wrong. The rest is no second error.
func TestData_BadPart(t *testing.T) {
	half := func(p *peer, id uint32) (rest []byte) {
		b := rawFrame(0x0, 0x1, id, make([]byte, 16384))
		p.Write(b[:8000])
		synctest.Wait()
		return b[8000:]
	}
	for _, row := range []struct {
		name   string
		config Config
		begin  func(p *peer) // what comes before, on stream 1
		code   ErrCode
	}{
		{"content-length", Config{MaxWindow: -1}, func(p *peer) { p.WriteHeaders(1, false, request("content-length", "5000")...) }, ErrCodeProtocol},
		{"a stream that has ended", Config{MaxWindow: -1}, func(p *peer) { p.wantServed(1) }, ErrCodeStreamClosed},
		{"the stream's window", Config{StreamWindow: 6000, MaxWindow: -1}, func(p *peer) { p.open(1) }, ErrCodeFlowControl},
	} {
		t.Run(row.name, func(t *testing.T) {
			withPeer(t, row.config, func(p *peer) {
				p.GreetServer()
				row.begin(p)
				rest := half(p, 1)
				p.wantRSTStream(1, row.code)
				p.Write(rest)
				p.wantServed(3)
			})
		})
	}
	t.Run("no stream", func(t *testing.T) {
		withPeer(t, Config{}, func(p *peer) {
			p.GreetServer()
			half(p, 0)
			p.wantGoAway(ErrCodeProtocol)
		})
	})
}

// TestData_PartIsHandedOverOnce has the reader end while the application takes a part of a frame. The next reader goes on
// behind that part.
func TestData_PartIsHandedOverOnce(t *testing.T) {
	withPeer(t, Config{MaxWindow: -1}, func(p *peer) {
		p.GreetServer()
		st := p.open(1)
		p.app.onData = func(*testStream, []byte, bool) bool {
			p.app.onData = nil
			go func() {
				p.stop = p.conn.Serve()
				p.stopped.Store(true)
			}()
			runtime.Goexit()
			return true
		}
		content := pattern(1, 16384)
		b := rawFrame(0x0, 0x1, 1, content)
		p.Write(b[:8000])
		synctest.Wait()
		p.Write(b[8000:])
		synctest.Wait()
		if !bytes.Equal(st.data, content) || !st.ended {
			t.Errorf("the application has %d octets of %d, or others; the end: %v", len(st.data), len(content), st.ended)
		}
		p.wantReply(1, string(content))
	})
}

// TestConn_LastAnswerOfAReader has the reader end behind the answer to the last stream of a connection that is shut down. The
// next reader has it sent, and the connection ends.
func TestConn_LastAnswerOfAReader(t *testing.T) {
	withPeer(t, Config{}, func(p *peer) {
		p.GreetServer()
		p.open(1)
		p.conn.Shutdown()
		p.wantGoAway(ErrCodeNo)
		f := p.Want(h2test.Ping)
		p.WriteFrame(h2test.Ping, h2test.Ack, 0, f.Payload)
		p.wantGoAway(ErrCodeNo)
		p.app.onData = func(st *testStream, _ []byte, _ bool) bool {
			st.reply()
			go func() {
				p.stop = p.conn.Serve()
				p.stopped.Store(true)
			}()
			runtime.Goexit()
			return true
		}
		p.WriteData(1, true, "last")
		p.wantReply(1, "last")
		p.wantClosed()
	})
}
