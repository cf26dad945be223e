package ports

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPort_AcceptQueued takes what is there, and does not wait for more.
func TestPort_AcceptQueued(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is nothing to test but on Linux")
	}
	for _, network := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", t.TempDir() + "/s"}} {
		l, err := net.Listen(network[0], network[1])
		check(t, err)
		for range 3 {
			client, err := net.Dial(network[0], l.Addr().String())
			check(t, err)
			defer client.Close()
		}
		p := New(l, nil)
		for i := range 3 {
			nc, _ := p.AcceptQueued()
			if nc == nil {
				t.Fatalf("%v: there were %d connections in the queue", network, i)
			}
			if fmt.Sprintf("%T", nc) != map[string]string{"tcp": "*net.TCPConn", "unix": "*net.UnixConn"}[network[0]] {
				t.Errorf("%v: a %T", network, nc)
			}
			nc.Close()
		}
		if nc, _ := p.AcceptQueued(); nc != nil {
			t.Errorf("%v: there was one more", network)
		}
		p.Close(nil)
		if nc, _ := p.AcceptQueued(); nc != nil {
			t.Errorf("%v: a closed listener has a queue", network)
		}
	}
	if nc, _ := New(oddListener{}, nil).AcceptQueued(); nc != nil {
		t.Error("a listener that is no socket has a queue")
	}
}

// TestPort_AcceptQueued_AfterReset tells the address of a client that has reset its connection, which the socket forgets.
func TestPort_AcceptQueued_AfterReset(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is nothing to test but on Linux")
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // no IPv6 here
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		check(t, err)
		client.(*net.TCPConn).SetLinger(0) // so that Close sends a TCP reset
		client.Close()
		nc, peer := New(l, nil).AcceptQueued()
		if nc == nil {
			t.Fatal("there was a connection in the queue")
		}
		defer nc.Close()
		if nc.RemoteAddr() != nil {
			t.Skip("this system's sockets remember") // and what follows is not needed
		}
		if peer == nil || peer.String() != client.LocalAddr().String() {
			t.Errorf("the address is %v, want %v", peer, client.LocalAddr())
		}
	}
}

// oddListener is a listener of a user's own type.
type oddListener struct {
	accept func() (net.Conn, error)
	addr   func() net.Addr
	close  func()
}

func (l oddListener) Accept() (net.Conn, error) { return l.accept() }
func (l oddListener) Addr() net.Addr            { return l.addr() }
func (l oddListener) Close() error              { l.close(); return nil }

// TestPort_Accept has a user's listener do what it should not.
func TestPort_Accept(t *testing.T) {
	_, server := net.Pipe()
	for name, tt := range map[string]struct {
		accept func() (net.Conn, error)
		nc     net.Conn
		err    string // "": there is none
	}{
		"Connection": {func() (net.Conn, error) { return server, nil }, server, ""},
		"Error":      {func() (net.Conn, error) { return nil, os.ErrClosed }, nil, os.ErrClosed.Error()},
		"Nothing":    {func() (net.Conn, error) { return nil, nil }, nil, "neither a connection nor an error"},
		"Panic":      {func() (net.Conn, error) { panic("odd") }, nil, "Accept of a ports.oddListener has panicked: odd"},
		"PanicError": {func() (net.Conn, error) { panic(errors.New("odd")) }, nil, "has panicked: odd"},
	} {
		nc, err := New(oddListener{accept: tt.accept}, nil).Accept()
		if nc != tt.nc || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %v, %v", name, nc, err)
		}
	}
}

// TestPort_Address has addresses that are there, missing, and broken.
func TestPort_Address(t *testing.T) {
	for want, addr := range map[string]func() net.Addr{
		"/s":      func() net.Addr { return &net.UnixAddr{Name: "/s"} },
		"unknown": func() net.Addr { panic("odd") },
	} {
		if got := New(oddListener{addr: addr}, nil).Address(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPort_Interrupt interrupts the listeners that package net has, and cannot do so with others.
func TestPort_Interrupt(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "unix:" + t.TempDir() + "/s"} {
		p, err := Bind(address, nil)
		check(t, err)
		defer p.Close(nil)
		if !p.Interrupt() {
			t.Errorf("%s: not interrupted", address)
		}
		if _, err := p.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", address, err)
		}
		p.Close(nil)
		if p.Interrupt() {
			t.Errorf("%s: a port that is closed was interrupted", address)
		}
	}
	if New(oddListener{}, nil).Interrupt() {
		t.Error("a user's listener was interrupted")
	}
}

// TestPort_Close closes a port whose listener panics, or ends the goroutine. It is closed once.
func TestPort_Close(t *testing.T) {
	for name, odd := range map[string]func(){"Returns": func() {}, "Panics": func() { panic("odd") }, "Exits": runtime.Goexit} {
		closes, reasons := 0, []any(nil)
		p := New(oddListener{close: func() { closes++; odd() }}, nil)
		for range 2 {
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				p.Close(func(reason any) { reasons = append(reasons, reason) })
			}()
			<-closed
		}
		if closes != 1 || (name == "Panics") != (len(reasons) == 1 && reasons[0] == "odd") {
			t.Errorf("%s: closed %d times, panicked with %v", name, closes, reasons)
		}
	}
}

// TestPort_CloseUnlinks closes Unix sockets whose file is theirs, a successor's, or gone.
func TestPort_CloseUnlinks(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(t *testing.T, path string)
		stays  bool
	}{
		"Own":  {func(*testing.T, string) {}, false},
		"Gone": {func(t *testing.T, path string) { check(t, os.Remove(path)) }, false},
		"Successor": {func(t *testing.T, path string) {
			check(t, os.Remove(path))
			check(t, os.WriteFile(path, nil, 0o600))
		}, true},
	} {
		path := t.TempDir() + "/s"
		p, err := Bind("unix:"+path, nil)
		check(t, err)
		if p.Number() != 0 {
			t.Errorf("%s: the port is %d", name, p.Number())
		}
		tt.before(t, path)
		p.Close(nil)
		if _, err := os.Lstat(path); (err == nil) != tt.stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}
