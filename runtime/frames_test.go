package runtime

import (
	"net"
	"testing"

	"github.com/gogreeter/gogreeter/runtime/internal/h2test"
)

// framePeer writes single frames, and reads only when it is told to. A testClient reads by itself.
type framePeer struct{ *h2test.Peer }

func newFramePeer(t testing.TB, nc net.Conn) framePeer {
	p := h2test.NewPeer(t, nc)
	p.MayFail = true
	p.Encoder.SetMaxDynamicTableSize(0) // so that blocks can be written in any order
	return framePeer{p}
}

// open sends the field block of a call.
func (p framePeer) open(id uint32, endStream bool, path string, more ...string) {
	var lines []string
	for _, f := range request(path, more...) {
		lines = append(lines, f.Name, f.Value)
	}
	p.WriteHeaders(id, endStream, lines...)
}

// call sends a unary call with an empty message.
func (p framePeer) call(id uint32, path string, more ...string) {
	p.open(id, false, path, more...)
	p.WriteData(id, true, lpm(0, ""))
}
