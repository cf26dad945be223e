package http2

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// tcpConn serves a connection on a socket of the system's, which the pipes of the other tests are not.
func tcpConn(t *testing.T, app Application, config Config) (c *Conn, client *net.TCPConn, served chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c = NewConn(accepted, app, config.WithDefaults(), budget.New(-1, nil, nil))
	served = make(chan error, 1)
	go func() { served <- c.Serve() }()
	return c, nc.(*net.TCPConn), served
}

// mustEnd waits for the end of Serve. The limit is for a test that would hang otherwise, and no measure of anything.
func mustEnd(t *testing.T, served chan error) error {
	t.Helper()
	select {
	case err := <-served:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
		return nil
	}
}

var tcpGreeting = append([]byte(preface), rawFrame(0x4, 0, 0)...)

// TestSocket_Serves sends requests as one write, octet by octet, and in pieces that cut each frame.
func TestSocket_Serves(t *testing.T) {
	all := bytes.Clone(tcpGreeting)
	for id := uint32(1); id < 64; id += 2 {
		all = append(all, rawFrame(0x1, 0x4, id, okBlock)...)
		all = append(all, rawFrame(0x0, 0x1, id, bytes.Repeat([]byte{byte(id)}, int(id)*20))...)
	}
	for _, piece := range []int{1, 7, 1000, len(all)} {
		_, client, served := tcpConn(t, newTestApp(), Config{})
		go func() {
			for rest := all; len(rest) > 0; {
				n := min(piece, len(rest))
				client.Write(rest[:n])
				rest = rest[n:]
			}
			client.CloseWrite()
		}()
		got, err := io.ReadAll(client)
		if err != nil {
			t.Fatal(err)
		}
		mustEnd(t, served)
		replies := make(map[uint32]int)
		for f, rest, ok := h2test.Cut(got); ok; f, rest, ok = h2test.Cut(rest) {
			if f.Type == h2test.Data {
				replies[f.StreamID] += bytes.Count(f.Payload, []byte{byte(f.StreamID)})
			}
		}
		for id := uint32(1); id < 64; id += 2 {
			if replies[id] != int(id)*20 {
				t.Errorf("pieces of %d: stream %d got %d of %d octets", piece, id, replies[id], id*20)
			}
		}
	}
}

// A peer that is gone when the reader writes its answer must not leave the reader waiting for itself.
func TestSocket_EndsWhenWritingFails(t *testing.T) {
	app := newTestApp()
	opened, gone := make(chan bool, 1), make(chan struct{})
	app.onRequest = func(st *testStream, endStream bool) bool {
		opened <- true
		<-gone
		st.replyWith(make([]byte, 60_000))
		return true
	}
	c, client, served := tcpConn(t, app, Config{})
	client.Write(append(bytes.Clone(tcpGreeting), rawFrame(0x1, 0x5, 1, okBlock)...))
	<-opened
	client.SetLinger(0)
	client.Close() // by a TCP reset
	// The reset has arrived once a write fails; the reader is in HandleHead all the while.
	for err := error(nil); err == nil; {
		_, err = c.nc.Conn.Write([]byte{0})
	}
	close(gone)
	if err := mustEnd(t, served); err == nil {
		t.Error("Serve returned nil")
	}
	app.check(t)
}

// The same, if it is another goroutine that writes, while the reader processes frames.
func TestSocket_EndsWhenWritingFailsElsewhere(t *testing.T) {
	app := newTestApp()
	opened, gone := make(chan *testStream, 1), make(chan struct{})
	app.onRequest = func(st *testStream, endStream bool) bool {
		opened <- st
		<-gone
		return true
	}
	c, client, served := tcpConn(t, app, Config{})
	client.Write(append(bytes.Clone(tcpGreeting), rawFrame(0x1, 0x5, 1, okBlock)...))
	st := <-opened
	client.SetLinger(0)
	client.Close()
	for err := error(nil); err == nil; {
		_, err = c.nc.Conn.Write([]byte{0})
	}
	flushed := make(chan struct{})
	go func() {
		st.Write(outgoing{Headers: okHeaders, Finish: true})
		c.Flush()
		close(flushed)
	}()
	<-flushed
	close(gone)
	if err := mustEnd(t, served); err == nil {
		t.Error("Serve returned nil")
	}
}

// A peer that goes on sending after its connection has ended gets lingerTime, not for ever.
func TestSocket_EndsUnderFlood(t *testing.T) {
	app := newTestApp()
	c, client, served := tcpConn(t, app, Config{})
	client.Write(tcpGreeting)
	flood := bytes.Repeat(rawFrame(0xfa, 0, 0, make([]byte, 1000)), 1000)
	go func() {
		for {
			if _, err := client.Write(flood); err != nil {
				return
			}
		}
	}()
	go io.Copy(io.Discard, client)
	c.End(ErrCodeNo, "enough")
	if err := mustEnd(t, served); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}
