package interop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/gogreeter/gogreeter/example/helloworld"
	routeguide "github.com/gogreeter/gogreeter/example/route_guide"
	"github.com/gogreeter/gogreeter/runtime"
)

// wantError checks that an error came and names what it should.
func wantError(t *testing.T, err error, names ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that names %q", names)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error %q does not name %q", err, name)
		}
	}
}

func TestServer_ReturnsError_ThatNamesTheMistake(t *testing.T) {
	unimplemented := helloworld.UnimplementedGreeterServicer{}
	server := runtime.NewServer(runtime.ServerOptions{})
	wantError(t, helloworld.AddGreeterToServer(nil, server), "helloworld.Greeter", "nil")
	if err := helloworld.AddGreeterToServer(unimplemented, server); err != nil {
		t.Fatal(err)
	}
	wantError(t, helloworld.AddGreeterToServer(unimplemented, server), "helloworld.Greeter")
	wantError(t, routeguide.AddRouteGuideToServer(nil, server), "routeguide.RouteGuide")

	channel := transport{}.dial(t, startHere(t, transport{}, server))
	wantError(t, server.Start(), "already-started")
	wantUnimplemented := func() {
		t.Helper()
		_, err := greet(t.Context(), channel, sayHello, "Ada")
		wantStatus(t, err, codes.Unimplemented, "Method not implemented!")
	}
	wantUnimplemented()
	wantError(t, helloworld.AddGreeterToServer(unimplemented, server), "helloworld.Greeter")
	wantUnimplemented()

	<-server.Stop(0)
	wantError(t, server.Start())
}

func TestServer_ReturnsError_ForAddressItCannotBind(t *testing.T) {
	taken := startServer(t, "greeter_server").address
	for _, address := range []string{taken, "127.0.0.1:99999", "127.0.0.1", "no.such.host.invalid:0"} {
		server := runtime.NewServer(runtime.ServerOptions{})
		_, err := server.AddInsecurePort(address)
		wantError(t, err, address)
	}
}

func TestExampleServers_EndWithError_WhenPortIsTaken(t *testing.T) {
	taken := startServer(t, "greeter_server")
	for _, name := range []string{"greeter_server", "route_guide_server"} {
		second := exec.Command(filepath.Join(bin, name), "-addr", taken.address)
		output, err := second.CombinedOutput()
		if err == nil || second.ProcessState.ExitCode() != 1 {
			t.Errorf("%s on a port that is taken ended with %v, want exit code 1", name, second.ProcessState)
		}
		for _, what := range []string{name + ": ", taken.address, "in use"} {
			if !strings.Contains(string(output), what) {
				t.Errorf("%s does not name %q: %s", name, what, output)
			}
		}
	}
	wantHello(t, transport{}.dial(t, taken.address))
}

// brokenFrames are what ends a connection, each with the error code of its GOAWAY.
var brokenFrames = []struct {
	name string
	send func(p *framePeer)
	code http2.ErrCode
}{
	{"DATA on stream 0", rawFrame(0x0, 0x1, 0, []byte("x")), http2.ErrCodeProtocol},
	{"DATA on an idle stream", rawFrame(0x0, 0x1, 99, []byte("x")), http2.ErrCodeProtocol},
	{"HEADERS on an even stream", rawFrame(0x1, 0x5, 2, []byte{0x82}), http2.ErrCodeProtocol},
	{"HEADERS that HPACK cannot read", rawFrame(0x1, 0x5, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), http2.ErrCodeCompression},
	{"CONTINUATION without HEADERS", rawFrame(0x9, 0x4, 1, []byte{0x82}), http2.ErrCodeProtocol},
	{"SETTINGS of 5 bytes", rawFrame(0x4, 0x0, 0, []byte{0, 4, 0, 0, 0}), http2.ErrCodeFrameSize},
	{"SETTINGS with a window above 2^31-1", rawFrame(0x4, 0x0, 0, []byte{0, 4, 0xff, 0xff, 0xff, 0xff}), http2.ErrCodeFlowControl},
	{"PING of 7 bytes", rawFrame(0x6, 0x0, 0, make([]byte, 7)), http2.ErrCodeFrameSize},
	{"WINDOW_UPDATE of 0", rawFrame(0x8, 0x0, 0, make([]byte, 4)), http2.ErrCodeProtocol},
	{"a frame of 16 MiB", frameHeader(0x0, 0x0, 99, 1<<24-1), http2.ErrCodeFrameSize},
}

// rawFrame sends a frame as it is.
func rawFrame(kind, flags byte, stream uint32, payload []byte) func(*framePeer) {
	return func(p *framePeer) {
		frameHeader(kind, flags, stream, len(payload))(p)
		p.write(payload)
	}
}

// frameHeader announces a frame, and leaves it at that.
func frameHeader(kind, flags byte, stream uint32, length int) func(*framePeer) {
	header := []byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags}
	header = binary.BigEndian.AppendUint32(header, stream)
	return func(p *framePeer) { p.write(header) }
}

func TestBrokenFrame_EndsItsConnection_AndNoOther(t *testing.T) {
	server := startServer(t, "greeter_server")
	channel := transport{}.dial(t, server.address)
	conversation, err := open[request, reply](t.Context(), channel, sayHelloBidiStream)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range brokenFrames {
		t.Run(c.name, func(t *testing.T) {
			peer := dialFrames(t, server.address)
			peer.call(sayHello, requestBody("Ada")).wantOK(t, "Hello, Ada!")
			c.send(peer)
			if have := peer.waitGoAway(); have.code != c.code {
				t.Errorf("GOAWAY says %v %q, want %v", have.code, have.debug, c.code)
			}
			if err := conversation.Send(&request{Name: c.name}); err != nil {
				t.Fatal(err)
			}
			answer, err := conversation.Recv()
			if err != nil || answer.GetMessage() != "Hello, "+c.name+"!" {
				t.Fatalf("on another connection the RPC that was open is answered %v, %v", answer, err)
			}
		})
	}
	wantHello(t, channel)
}

func TestForeignProtocol_EndsItsConnection_AndNoOther(t *testing.T) {
	server := startServer(t, "greeter_server")
	for _, words := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\x00"} {
		wantClosed(t, server.address, []byte(words))
	}
	wantHello(t, transport{}.dial(t, server.address))
}

// wantClosed says something to the server and then no more, and waits for the server to hang up.
func wantClosed(t *testing.T, address string, words []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(words); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// A reset instead of an orderly end is fine: the server need not read what it does not understand.
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the server keeps a connection on which it was told %q", words)
	}
}

// Messages that are broken end their RPC with a status; the connection goes on.
func TestBrokenMessage_EndsItsRPC_AndNoOther(t *testing.T) {
	whole := requestBody("Ada")
	compressed := append([]byte{1}, whole[1:]...) // says that it is, and is not
	gzip := hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"}
	cases := []struct {
		name   string
		body   []byte
		fields []hpack.HeaderField
		code   string
	}{
		{"truncated prefix", whole[:3], nil, "13"},
		{"truncated message", whole[:len(whole)-1], nil, "13"},
		{"compressed without grpc-encoding", compressed, nil, "13"},
		{"compressed flag of 2", append([]byte{2}, whole[1:]...), nil, "13"},
		{"corrupt gzip", compressed, []hpack.HeaderField{gzip}, "13"},
		{"unknown grpc-encoding", compressed, []hpack.HeaderField{{Name: "grpc-encoding", Value: "snappy"}}, "12"},
		{"announces more than 4 MiB", []byte{0, 0, 0x40, 0, 1}, nil, "8"},
		{"announces 4 GiB", []byte{0, 0xff, 0xff, 0xff, 0xff}, nil, "8"},
	}
	peer := dialFrames(t, startServer(t, "greeter_server").address)
	for _, c := range cases {
		for _, path := range []string{sayHello, collectHellos} {
			t.Run(c.name+path, func(t *testing.T) {
				response := peer.call(path, c.body, c.fields...)
				if have := response.trailer("grpc-status"); have != c.code {
					t.Errorf("grpc-status is %q %q, want %s", have, response.trailer("grpc-message"), c.code)
				}
				peer.call(sayHello, whole).wantOK(t, "Hello, Ada!")
			})
		}
	}
}
