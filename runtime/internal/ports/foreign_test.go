package ports

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// oddConn is a connection of a user's own type, whose methods do something else before what they should.
type oddConn struct {
	net.Conn
	odd func(method string)
}

func (c oddConn) Read(b []byte) (int, error)  { c.odd("Read"); return c.Conn.Read(b) }
func (c oddConn) Write(b []byte) (int, error) { c.odd("Write"); return c.Conn.Write(b) }
func (c oddConn) Close() error                { c.odd("Close"); return c.Conn.Close() }
func (c oddConn) LocalAddr() net.Addr         { c.odd("LocalAddr"); return c.Conn.LocalAddr() }
func (c oddConn) RemoteAddr() net.Addr        { c.odd("RemoteAddr"); return c.Conn.RemoteAddr() }
func (c oddConn) SetDeadline(t time.Time) error {
	c.odd("SetDeadline")
	return c.Conn.SetDeadline(t)
}

func (c oddConn) SetReadDeadline(t time.Time) error {
	c.odd("SetReadDeadline")
	return c.Conn.SetReadDeadline(t)
}

func (c oddConn) SetWriteDeadline(t time.Time) error {
	c.odd("SetWriteDeadline")
	return c.Conn.SetWriteDeadline(t)
}

// oddTLS is a connection of a user's own type that makes a handshake.
type oddTLS struct{ oddConn }

func (c oddTLS) HandshakeContext(context.Context) error { return nil }
func (c oddTLS) ConnectionState() tls.ConnectionState   { return tls.ConnectionState{} }
func (c oddTLS) NetConn() net.Conn                      { return c.Conn }
func (c oddTLS) CloseWrite() error                      { c.odd("CloseWrite"); return nil }

// TestContain_Panics has each method panic, twice. It returns an error, and the first panic is reported.
func TestContain_Panics(t *testing.T) {
	addr := func(get func() net.Addr) error {
		if get() == nil {
			return errForeign
		}
		return nil
	}
	for method, call := range map[string]func(nc net.Conn) error{
		"Read":             func(nc net.Conn) error { _, err := nc.Read(nil); return err },
		"Write":            func(nc net.Conn) error { _, err := nc.Write(nil); return err },
		"Close":            net.Conn.Close,
		"LocalAddr":        func(nc net.Conn) error { return addr(nc.LocalAddr) },
		"RemoteAddr":       func(nc net.Conn) error { return addr(nc.RemoteAddr) },
		"SetDeadline":      func(nc net.Conn) error { return nc.SetDeadline(time.Time{}) },
		"SetReadDeadline":  func(nc net.Conn) error { return nc.SetReadDeadline(time.Time{}) },
		"SetWriteDeadline": func(nc net.Conn) error { return nc.SetWriteDeadline(time.Time{}) },
		"CloseWrite":       func(nc net.Conn) error { return nc.(interface{ CloseWrite() error }).CloseWrite() },
	} {
		t.Run(method, func(t *testing.T) {
			_, server := net.Pipe()
			var odd net.Conn = oddTLS{oddConn{server, func(called string) {
				if called == method {
					panic("odd")
				}
			}}}
			reports := 0
			nc := Contain(odd, func(_ net.Conn, reported string, reason any) {
				reports++
				if reported != method || reason != "odd" {
					t.Errorf("reported %s: %v", reported, reason)
				}
			})
			for i := range 2 {
				want := errForeign
				if method == "Close" && i == 1 {
					want = net.ErrClosed // a connection is closed once
				}
				if err := call(nc); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			if reports != 1 {
				t.Errorf("%d panics were reported", reports)
			}
		})
	}
}

// TestContain_ReadExits has Read end the goroutine. It is not called a second time.
func TestContain_ReadExits(t *testing.T) {
	reads := 0
	nc := Contain(oddConn{nil, func(string) { reads++; runtime.Goexit() }}, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc.Read(nil)
		t.Error("Read has returned")
	}()
	<-ended
	if _, err := nc.Read(nil); !errors.Is(err, errForeign) || reads != 1 {
		t.Errorf("%v, after %d reads", err, reads)
	}
}

// liar is a connection that returns numbers which cannot be.
type liar struct {
	net.Conn
	n int
}

func (c liar) Read([]byte) (int, error)  { return c.n, nil }
func (c liar) Write([]byte) (int, error) { return c.n, nil }

// TestContain_Lies has Read return impossible numbers, and Write leave something out without a word: the client would take
// what comes next for the rest of a frame.
func TestContain_Lies(t *testing.T) {
	for _, n := range []int{-1, 9, 11} {
		nc := Contain(liar{n: n}, nil)
		if got, err := nc.Read(make([]byte, 10)); n != 9 && (got != 0 || err == nil) {
			t.Errorf("Read: got %d, %v", got, err)
		}
		if got, err := nc.Write(make([]byte, 10)); got != 0 || err == nil {
			t.Errorf("Write: got %d, %v", got, err)
		}
	}
}

// noDeadlines is a connection that refuses deadlines.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// TestContain_WriteDeadline has a write take too long on a connection that knows no deadlines: it is closed. A write that
// ends in time is not disturbed.
func TestContain_WriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		nc := Contain(noDeadlines{server}, nil)
		if err := nc.SetWriteDeadline(time.Now().Add(time.Second)); err == nil {
			t.Error("the deadline was taken")
		}
		go client.Read(make([]byte, 1))
		if _, err := nc.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if _, err := nc.Write([]byte("y")); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestContain_Ours leaves connections alone that package net has made.
func TestContain_Ours(t *testing.T) {
	ours := &net.TCPConn{}
	over := tls.Server(ours, nil)
	for _, nc := range []net.Conn{ours, &net.UnixConn{}, over} {
		if Contain(nc, nil) != nc {
			t.Errorf("a %T is taken for a user's", nc)
		}
	}
	for _, nc := range []net.Conn{(*net.TCPConn)(nil), &oddConn{Conn: ours}, tls.Server(oddConn{Conn: ours}, nil)} {
		if Contain(nc, nil) == nc {
			t.Errorf("a %T is taken for one of package net", nc)
		}
	}
}

// TestKnown has addresses that are there, and missing.
func TestKnown(t *testing.T) {
	there := &net.TCPAddr{Port: 1}
	for _, addr := range []net.Addr{there, nil, (*net.TCPAddr)(nil)} {
		got := Known(addr)
		if addr == there && got != addr || addr != there && (got.String() != "unknown" || got.Network() != "unknown") {
			t.Errorf("got %v for %v", got, addr)
		}
	}
}
