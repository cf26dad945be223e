package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"

	"github.com/gogreeter/gogreeter/example/helloworld"
)

var cardinalities = []struct {
	path     string
	requests []*helloworld.HelloRequest
	replies  []*helloworld.HelloReply
}{
	{sayHello, requests("Ada"), replies("Hello, Ada!")},
	{sayHello, requests(""), replies("Hello, !")},
	{
		sayHelloStreamReply, requests("Ada"),
		replies("Hello, Ada!", "Bonjour, Ada !", "Guten Tag, Ada!", "¡Hola, Ada!", "こんにちは、Ada!"),
	},
	{collectHellos, requests("Ada", "Grace", "Barbara"), replies("Hello, Ada, Grace and Barbara!")},
	{collectHellos, requests(), replies("Hello, !")},
	{sayHelloBidiStream, requests("Ada", "Grace", "Barbara"), replies("Hello, Ada!", "Hello, Grace!", "Hello, Barbara!")},
	{sayHelloBidiStream, requests(), replies()},
}

func TestGreeter_AnswersGRPCGo_InAllCardinalities(t *testing.T) {
	compressions := []struct {
		name    string
		options []grpc.CallOption
	}{
		{"identity", nil},
		{"gzip", []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "greeter_server", tr.serverFlags()...)
		channel := tr.dial(t, server.address)
		for _, compression := range compressions {
			for i, c := range cardinalities {
				t.Run(fmt.Sprintf("%s%s#%d", compression.name, c.path, i), func(t *testing.T) {
					got, err := call[helloworld.HelloRequest, helloworld.HelloReply](t.Context(), channel, c.path, c.requests, compression.options...)
					if err != nil {
						t.Fatal(err)
					}
					wantMessages(t, got, c.replies)
				})
			}
		}
	})
}

// A conversation, where each request is sent only after the reply to the one before has come, shows that replies do not
// wait for the end of the RPC.
func TestGreeter_AnswersEachRequest_BeforeTheNext(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "greeter_server", tr.serverFlags()...)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conversation, err := open[helloworld.HelloRequest, helloworld.HelloReply](ctx, tr.dial(t, server.address), sayHelloBidiStream)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			name := fmt.Sprint("guest ", i)
			if err := conversation.Send(&helloworld.HelloRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
			reply, err := conversation.Recv()
			if err != nil || reply.GetMessage() != "Hello, "+name+"!" {
				t.Fatalf("reply %d is %v, %v", i, reply, err)
			}
		}
	})
}

func TestGreeter_TakesMessages_UpTo4MiB(t *testing.T) {
	const more = 16 // what a reply adds to the name
	sizes := []struct {
		name string
		size int
		code codes.Code
		text string
	}{
		{"1 MB", 1_000_000, codes.OK, ""},
		{"1 MiB", 1 << 20, codes.OK, ""},
		{"4 MiB", messageLimit, codes.OK, ""},
		{"4 MiB and a byte", messageLimit + 1, codes.ResourceExhausted, "Received message larger than max (4194305 vs. 4194304)"},
		{"9 MB", 9_000_000, codes.ResourceExhausted, "Received message larger than max (9000000 vs. 4194304)"},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "greeter_server", tr.serverFlags()...)
		channel := tr.dial(t, server.address, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageLimit+more)))
		for _, s := range sizes {
			for _, path := range []string{sayHello, collectHellos, sayHelloBidiStream} {
				t.Run(s.name+path, func(t *testing.T) {
					name := nameOf(t, s.size)
					got, err := call[helloworld.HelloRequest, helloworld.HelloReply](t.Context(), channel, path, requests(name))
					wantStatus(t, err, s.code, s.text)
					if s.code == codes.OK && (len(got) != 1 || got[0].GetMessage() != "Hello, "+name+"!") {
						t.Errorf("the reply is not the name that was sent, with a greeting")
					}
					wantHello(t, channel)
				})
			}
		}
	})
}

func TestGreeter_RefusesOversizeMessage_ThatGzipMadeSmall(t *testing.T) {
	server := startServer(t, "greeter_server")
	channel := transport{}.dial(t, server.address)
	name := strings.Repeat("x", messageLimit+1)
	_, err := greet(t.Context(), channel, sayHello, name, grpc.UseCompressor(gzip.Name))
	wantStatus(t, err, codes.ResourceExhausted, "Received message larger than max…")
	wantHello(t, channel)
}

func TestGreeter_RefusesWhatItCannotDispatchOrDecode(t *testing.T) {
	cases := []struct {
		name, path string
		body       []byte
		code       codes.Code
		text       string
	}{
		{"unknown method", "/helloworld.Greeter/SayGoodbye", nil, codes.Unimplemented, "Method not found!"},
		{"unknown service", "/helloworld.Nobody/SayHello", nil, codes.Unimplemented, "Method not found!"},
		{"other case", "/helloworld.greeter/sayHello", nil, codes.Unimplemented, "Method not found!"},
		{"undecodable tag", sayHello, []byte{0xff}, codes.Internal, "Exception deserializing request!"},
		{"undecodable length", sayHello, []byte{0x0a, 0x05, 'A'}, codes.Internal, "Exception deserializing request!"},
		{"undecodable in a stream", collectHellos, []byte{0x0a, 0x05, 'A'}, codes.Internal, "Exception deserializing request!"},
		{"undecodable in a conversation", sayHelloBidiStream, []byte{0xff}, codes.Internal, "Exception deserializing request!"},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "greeter_server", tr.serverFlags()...)
		channel := tr.dial(t, server.address)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				_, err := call[[]byte, []byte](t.Context(), channel, c.path, []*[]byte{&c.body}, grpc.ForceCodec(rawCodec{}))
				wantStatus(t, err, c.code, c.text)
				wantHello(t, channel)
			})
		}
	})
}

func TestGreeter_EndsRPC_WithDeadlineOrCancellation(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		server := startServer(t, "greeter_server", append(tr.serverFlags(), "-delay", "1h")...)
		channel := tr.dial(t, server.address)
		t.Run("deadline", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := greet(ctx, channel, sayHello, "Ada")
			// The client's own clock may be first, and it has its own words.
			wantStatus(t, err, codes.DeadlineExceeded, "…")
		})
		t.Run("cancel", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			_, err := greet(ctx, channel, sayHello, "Ada")
			wantStatus(t, err, codes.Canceled, "…")
		})
		t.Run("still serves", func(t *testing.T) {
			got, err := call[helloworld.HelloRequest, helloworld.HelloReply](t.Context(), channel, collectHellos, requests("Ada"))
			if err != nil {
				t.Fatal(err)
			}
			wantMessages(t, got, replies("Hello, Ada!"))
		})
	})
}

func TestGreeter_AcceptsMetadata_ItDoesNotKnow(t *testing.T) {
	server := startServer(t, "greeter_server")
	channel := transport{}.dial(t, server.address)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "name", "value", "name", "another", "bytes-bin", "\x00\xff\x80")
	message, err := greet(ctx, channel, sayHello, "Ada")
	if err != nil || message != "Hello, Ada!" {
		t.Errorf("SayHello(Ada) = %q, %v", message, err)
	}
}

// rawCodec passes messages through as the bytes they are.
type rawCodec struct{}

func (rawCodec) Name() string                       { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
