package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// raceEnabled says that the race detector is on, which allocates and empties pools at will.
var raceEnabled bool

// cannedConn is a connection to a client that has encoded all its frames beforehand, and allocates nothing.
type cannedConn struct {
	in    chan []byte
	rest  []byte
	done  chan struct{} // one value for each response that has ended
	frame []byte        // the header of the frame under way, as far as it has been written
	skip  int           // octets of payload to come
}

func (c *cannedConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		rest, ok := <-c.in
		if !ok {
			return 0, io.EOF
		}
		c.rest = rest
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *cannedConn) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if c.skip > 0 {
			n := min(c.skip, len(rest))
			c.skip, rest = c.skip-n, rest[n:]
			continue
		}
		n := min(9-len(c.frame), len(rest))
		c.frame, rest = append(c.frame, rest[:n]...), rest[n:]
		if len(c.frame) < 9 {
			break
		}
		c.skip = int(c.frame[0])<<16 | int(c.frame[1])<<8 | int(c.frame[2])
		if http2.FrameType(c.frame[3]) == http2.FrameHeaders && http2.Flags(c.frame[4]).Has(http2.FlagHeadersEndStream) {
			c.done <- struct{}{}
		}
		c.frame = c.frame[:0]
	}
	return len(p), nil
}

func (*cannedConn) Close() error                     { return nil }
func (*cannedConn) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (*cannedConn) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (*cannedConn) SetDeadline(time.Time) error      { return nil }
func (*cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (*cannedConn) SetWriteDeadline(time.Time) error { return nil }

// cannedCall is a unary call whose field block is the same each time; its stream identifier is at two places.
func cannedCall(t testing.TB, encoder *hpack.Encoder, block *bytes.Buffer, message []byte) []byte {
	t.Helper()
	block.Reset()
	for _, f := range request("/t.S/M", "user-agent", "canned/1") {
		check(t, encoder.WriteField(f))
	}
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	framer.WriteData(1, true, lpm(0, string(message)))
	return out.Bytes()
}

// setStreamID puts a stream identifier into the two frames of a canned call.
func setStreamID(call []byte, id uint32) {
	binary.BigEndian.PutUint32(call[5:], id)
	data := 9 + int(call[0])<<16 + int(call[1])<<8 + int(call[2])
	binary.BigEndian.PutUint32(call[data+5:], id)
}

// TestRPC_Allocations counts what a small unary RPC allocates: transport, decoding, handler and encoding included.
func TestRPC_Allocations(t *testing.T) {
	if raceEnabled || observeAll || locks.Checked {
		t.Skip("the race detector allocates, and so do the recorder and the check of the order of locks")
	}
	hello := func(_ context.Context, request *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return &wrapperspb.StringValue{Value: "Hello, " + request.Value + "!"}, nil
	}
	for _, tt := range []struct {
		name      string
		handler   *MethodHandler
		observers []Observer
		limit     float64 // what it is: one more is to be seen. The bar is 8
	}{
		{"Worker", UnaryUnary(hello), nil, 6},
		{"Inline", UnaryUnary(hello).WithExecutor(Inline), nil, 6},
		{"Observed", UnaryUnary(hello), []Observer{quiet{}}, 7}, // what there is of an RPC for observers
		{"ObservedTwice", UnaryUnary(hello), []Observer{quiet{}, quiet{}}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestServer(t, ServerOptions{Observers: tt.observers}, handlers{"M": tt.handler})
			nc := &cannedConn{in: make(chan []byte), done: make(chan struct{}, 100), frame: make([]byte, 0, 9)}
			s.listener.conns <- nc
			defer close(nc.in)
			var preface, block bytes.Buffer
			preface.WriteString(http2.ClientPreface)
			http2.NewFramer(&preface, nil).WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			http2.NewFramer(&preface, nil).WriteWindowUpdate(0, 1<<30)
			nc.in <- preface.Bytes()
			encoder := hpack.NewEncoder(&block)
			id := uint32(1)
			call := func(frames []byte) {
				setStreamID(frames, id)
				id += 2
				nc.in <- frames
				<-nc.done
			}
			call(cannedCall(t, encoder, &block, []byte("\x0a\x03Ada"))) // fills the dynamic table
			frames := cannedCall(t, encoder, &block, []byte("\x0a\x03Ada"))
			for range 100 {
				call(frames)
			}
			allocations := testing.AllocsPerRun(2000, func() { call(frames) })
			t.Logf("%v allocations", allocations)
			if allocations > tt.limit {
				t.Errorf("%v allocations for a unary RPC, want at most %v", allocations, tt.limit)
			}
		})
	}
}

// quiet is an observer that does nothing.
type quiet struct{}

func (quiet) ObserveConnection(ConnectionInfo) ConnectionObserver { return quiet{} }
func (quiet) ObserveConnectionEvent(ConnectionEvent)              {}
func (quiet) ObserveRPCEvent(RPCEvent)                            {}
func (quiet) BeginRPC(ctx context.Context, _ *RPCInfo) (context.Context, RPCObserver) {
	return ctx, quiet{}
}

// TestRPC_Size has an RPC fit into the size class of 576 octets, of which the allocator takes 8. The next one is 64 octets more,
// for each RPC.
func TestRPC_Size(t *testing.T) {
	if size := unsafe.Sizeof(rpc{}); size > 576-8 {
		t.Errorf("an RPC takes %d octets", size)
	}
}
