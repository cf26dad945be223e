package runtimetest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestPipe_IsAConn has the checks that package nettest makes of any net.Conn, deadlines and races included.
func TestPipe_IsAConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = runtimetest.Pipe()
		return c1, c2, func() {
			c1.Close()
			c2.Close()
		}, nil
	})
}

func TestPipe_HasABufferWithABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := runtimetest.Pipe()
		written := make(chan int, 1)
		go func() {
			n, _ := client.Write(make([]byte, 1<<20))
			written <- n
		}()
		synctest.Wait()
		select {
		case <-written:
			t.Fatal("a megabyte was written although nobody reads")
		default:
		}
		n, err := io.Copy(io.Discard, io.LimitReader(server, 1<<20))
		if err != nil || n != 1<<20 {
			t.Fatalf("read %d octets, %v", n, err)
		}
		if n := <-written; n != 1<<20 {
			t.Errorf("Write returned %d", n)
		}
	})
}

func TestPipe_KeepsWhatWasWrittenBeforeClose(t *testing.T) {
	client, server := runtimetest.Pipe()
	if _, err := client.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	client.Close()
	got, err := io.ReadAll(server)
	if err != nil || string(got) != "last words" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := server.Write([]byte("answer")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write to a closed end: got %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read from a closed end: got %v", err)
	}
	if err := client.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline of a closed end: got %v", err)
	}
}

func TestPipe_DeadlinesAreOfFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := runtimetest.Pipe()
		defer client.Close()
		defer server.Close()
		begin := time.Now()
		client.SetReadDeadline(begin.Add(time.Hour))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: got %v", err)
		}
		client.SetWriteDeadline(begin.Add(2 * time.Hour))
		if n, err := client.Write(make([]byte, 1<<20)); n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: got %d, %v", n, err)
		}
		if passed := time.Since(begin); passed != 2*time.Hour {
			t.Errorf("%v have passed", passed)
		}
		client.SetReadDeadline(time.Time{})
		server.Write([]byte("x"))
		if n, err := client.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("Read after the deadline was lifted: got %d, %v", n, err)
		}
	})
}
