package socket

import (
	"net"
	"testing"
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
