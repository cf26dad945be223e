package socket

import (
	"net"
	"testing"
	"testing/synctest"
)

// TestUnderTLS_BoundsKeyUpdates: answers to a peer that does nothing but update its key are not kept without bound.
func TestUnderTLS_BoundsKeyUpdates(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	u := &underTLS{Conn: a}
	u.begin()
	kept := 0
	for range 100_000 {
		n, err := u.Write(make([]byte, 27))
		if err != nil {
			break
		}
		kept += n
	}
	if kept > maxOwnRecords || len(u.records) != kept {
		t.Errorf("%d octets are kept", kept)
	}
}

// TestUnderTLS_CloseEndsWrite closes a connection on which a write waits, of a handshake or of another protocol.
func TestUnderTLS_CloseEndsWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		u := &underTLS{Conn: a}
		written := make(chan error)
		go func() {
			_, err := u.Write(make([]byte, 100))
			written <- err
		}()
		synctest.Wait()
		u.Close()
		if err := <-written; err == nil {
			t.Error("the octets were written to nobody")
		}
	})
}
