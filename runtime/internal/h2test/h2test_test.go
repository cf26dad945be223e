package h2test

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

func TestRaw(t *testing.T) {
	for _, row := range []struct {
		frame []byte
		want  Frame
	}{
		{Raw(Ping, Ack, 0, "12345678"), Frame{Ping, Ack, 0, []byte("12345678")}},
		{Raw(0xfa, 0xff, 1<<32-1), Frame{0xfa, 0xff, 1<<32 - 1, nil}},
		{Raw(WindowUpdate, 0, 3, 1<<31-1), Frame{WindowUpdate, 0, 3, []byte{0x7f, 0xff, 0xff, 0xff}}},
		{Raw(Data, Padded, 1, byte(1), []byte("ab"), nil, "\x00"), Frame{Data, Padded, 1, []byte("\x01ab\x00")}},
		{Raw(GoAway, 0, 0, uint32(7), 8), Frame{GoAway, 0, 0, []byte{0, 0, 0, 7, 0, 0, 0, 8}}},
		{Raw(Settings, 0, 0, Parameters(4, 1<<16)), Frame{Settings, 0, 0, []byte{0, 4, 0, 1, 0, 0}}},
		{Raw(Data, 0, 1, make([]byte, 1<<16+1)), Frame{Data, 0, 1, make([]byte, 1<<16+1)}},
	} {
		for n := range row.frame[:min(len(row.frame), 20)] {
			if f, rest, ok := Cut(row.frame[:n]); ok || len(rest) != n {
				t.Errorf("%v is cut out of %d octets of it", f, n)
			}
		}
		f, rest, ok := Cut(append(bytes.Clone(row.frame), "rest"...))
		if !ok || string(rest) != "rest" || f.String() != row.want.String() || !bytes.Equal(f.Payload, row.want.Payload) {
			t.Errorf("got %v and %.10q, want %v", f, rest, row.want)
		}
	}
}

// TestPeer_BothRoles has two peers talk to each other on sockets.
func TestPeer_BothRoles(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	client, server := NewPeer(t, here), NewPeer(t, there)

	greeted := make(chan struct{})
	go func() {
		defer close(greeted)
		server.GreetClient(3, 100)
	}()
	client.GreetServer(4, 1<<20)
	<-greeted

	client.WriteHeaders(1, false, ":method", "POST", "a", "b")
	client.WriteData(1, true, "content")
	if got := server.WantHeaders(1, false); got != ":method: POST\na: b" {
		t.Errorf("the server has got %q", got)
	}
	server.WantData(1, true, "content")

	block := server.Block(":status", "200", "large", strings.Repeat("x", 100))
	server.WriteFrame(Headers, EndStream, 1, block[:10])
	server.WriteFrame(Continuation, EndHeaders, 1, block[10:])
	if got := client.WantHeaders(1, true); !strings.HasPrefix(got, ":status: 200\nlarge: xxx") {
		t.Errorf("the client has got %q", got)
	}
	server.WriteWindowUpdate(0, 7)
	client.WantWindowUpdate(0, 7)
	server.WriteFrame(RSTStream, 0, 1, Cancel)
	client.WantRSTStream(1, Cancel)
	server.WriteFrame(GoAway, 0, 0, 1, 11, "calm")
	if last, debug := client.WantGoAway(11); last != 1 || debug != "calm" {
		t.Errorf("GOAWAY names stream %d, %q", last, debug)
	}
	server.Write(Raw(Ping, 0, 0, "12345678")[:10])
	there.Close()
	if _, err := client.Read(); err != io.ErrUnexpectedEOF {
		t.Errorf("half a frame: %v", err)
	}
	client.WantNothing()
}

func TestPeer_Together(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPipe()
		p := NewPeer(t, a)
		p.Together(func() {
			p.Preface()
			p.WriteHeaders(1, true, "large", strings.Repeat("\x00", 20_000)) // of which Huffman coding makes more
			if n := a.Unread(); n != 0 {
				t.Errorf("%d octets have left", n)
			}
		})
		got, ok := bytes.CutPrefix(b.Take(), []byte(ClientPreface))
		var kinds, flags []byte
		for f, rest, ok := Cut(got); ok; f, rest, ok = Cut(rest) {
			kinds, flags = append(kinds, f.Type), append(flags, f.Flags)
		}
		if !ok || string(kinds) != "\x04\x01\x09" || string(flags) != "\x00\x01\x04" {
			t.Errorf("the preface %v, frames of the types %v with the flags %v", ok, kinds, flags)
		}
		b.Close()
		p.MayFail = true
		p.WriteData(1, true, "to nobody")
	})
}

func TestInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPipe()
		in, p := NewInbox(), NewPeer(t, b)
		var got []string
		in.Start(a, func(f http2.Frame) { got = append(got, f.Header().Type.String()) })
		go func() {
			time.Sleep(time.Second)
			p.WriteFrame(Headers, EndStream, 1, "\x88")
			p.WriteFrame(Continuation, EndHeaders, 1)
			p.WriteFrame(Ping, 0, 0, "12345678")
		}()
		if in.Wait(time.Millisecond, func() bool { return len(got) > 0 }) {
			t.Errorf("%v has come too early", got)
		}
		if !in.Wait(time.Minute, func() bool { return len(got) == 2 }) || strings.Join(got, " ") != "HEADERS PING" {
			t.Errorf("got %v", got)
		}
		go in.Change(func() { got = nil })
		if !in.Wait(time.Minute, func() bool { return got == nil }) {
			t.Error("a change wakes nobody")
		}
		b.Close()
		in.Join()
		if in.Err != io.EOF {
			t.Errorf("the end is %v", in.Err)
		}
	})
}

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewPipe()
		a.Limit(10)
		written := make(chan error)
		go func() {
			_, err := b.Write([]byte("more than fits"))
			written <- err
		}()
		synctest.Wait()
		if n := b.Unread(); n != 10 {
			t.Errorf("%d octets are unread", n)
		}
		b.Chunk(3)
		buf := make([]byte, 100)
		if n, err := a.Read(buf); string(buf[:n]) != "mor" || err != nil {
			t.Errorf("got %q, %v", buf[:n], err)
		}
		synctest.Wait()
		if got := string(a.Take()); got != "e than fit" {
			t.Errorf("got %q", got)
		}
		if err := <-written; err != nil || string(a.Take()) != "s" {
			t.Errorf("the rest: %v", err)
		}
		a.SetReadDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if _, err := a.Read(buf); err != os.ErrDeadlineExceeded || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		a.SetDeadline(time.Time{})
		b.CloseWrite()
		if _, err := a.Read(buf); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		if _, err := b.Write(buf); err != net.ErrClosed {
			t.Errorf("written behind the end: %v", err)
		}
		b.Close()
		if _, err := a.Write(buf); err != io.ErrClosedPipe {
			t.Errorf("written to nobody: %v", err)
		}
	})
}
