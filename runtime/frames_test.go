package runtime

import (
	"bytes"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames writes and reads single frames on a connection: unlike a testClient it reads only when it is told to.
type frames struct {
	t  testing.TB
	nc net.Conn
}

func (w *frames) do(write func(framer *http2.Framer)) {
	w.t.Helper()
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	write(framer)
	w.nc.Write(out.Bytes()) // an error shows in what is read, or does not matter
}

// greet sends the preface.
func (w *frames) greet(settings ...http2.Setting) {
	w.nc.Write([]byte(http2.ClientPreface))
	w.do(func(framer *http2.Framer) { framer.WriteSettings(settings...) })
}

// call sends a unary call with an empty message.
func (w *frames) call(id uint32, path string, more ...string) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	for _, f := range request(path, more...) {
		encoder.WriteField(f)
	}
	w.do(func(framer *http2.Framer) {
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
		framer.WriteData(id, true, lpm(0, ""))
	})
}

// readUntil reads frames until one is wanted.
func (w *frames) readUntil(wanted func(f http2.Frame) bool) {
	w.t.Helper()
	framer := http2.NewFramer(nil, w.nc)
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			w.t.Fatalf("waiting for a frame: %v", err)
		}
		if wanted(f) {
			return
		}
	}
}
