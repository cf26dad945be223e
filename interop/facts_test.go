package interop

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// quiet is for servers whose handlers panic on purpose.
var quiet = runtime.ServerOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}

func TestMetadata_GoesBothWays(t *testing.T) {
	sent := metadata.Pairs(
		"initial-text", "one", "initial-text", "two, and three", "initial-raw-bin", "\x00\xff\x80,", "initial-empty", "",
		"trailing-text", "end", "trailing-raw-bin", "\x01", "trailing-raw-bin", "\x02\x03", "trailing-empty-bin", "")
	overTransports(t, func(t *testing.T, tr transport) {
		channel := tr.dial(t, serveFacts(t, tr, newFacts(), runtime.ServerOptions{}))
		for _, method := range []string{"Metadata", "MetadataStream"} {
			t.Run(method, func(t *testing.T) {
				var initial, trailing metadata.MD
				ctx := metadata.NewOutgoingContext(t.Context(), sent)
				answers, err := call[request, reply](ctx, channel, factsPath(method), requests("?"),
					grpc.Header(&initial), grpc.Trailer(&trailing))
				if err != nil {
					t.Fatal(err)
				}
				wantMetadata(t, "initial", initial, sent)
				wantMetadata(t, "trailing", trailing, sent)
				if len(answers) != 1 {
					t.Fatalf("%d answers, want 1", len(answers))
				}
				wantInvocationKeys(t, answers[0].GetMessage())
			})
		}
	})
}

// wantMetadata checks that all that was sent with a prefix has come back, in order, and nothing else with this prefix.
func wantMetadata(t *testing.T, prefix string, have, sent metadata.MD) {
	t.Helper()
	for key, values := range sent {
		if strings.HasPrefix(key, prefix) && !slices.Equal(have.Get(key), values) {
			t.Errorf("%s metadata %s is %q, want %q", prefix, key, have.Get(key), values)
		}
	}
	for key := range have {
		if strings.HasPrefix(key, "initial-") != (prefix == "initial") && strings.Contains(key, "-") && sent.Get(key) != nil {
			t.Errorf("%s metadata has %s", prefix, key)
		}
	}
}

// wantInvocationKeys checks what a handler sees: the client's metadata and its user-agent, and nothing of the protocol.
func wantInvocationKeys(t *testing.T, keys string) {
	t.Helper()
	have := strings.Fields(keys)
	for _, key := range []string{"initial-text", "initial-raw-bin", "trailing-empty-bin", "user-agent"} {
		if !slices.Contains(have, key) {
			t.Errorf("invocation metadata lacks %s: %s", key, keys)
		}
	}
	for _, key := range []string{
		":path", ":method", ":scheme", ":authority", "te", "content-type", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding",
	} {
		if slices.Contains(have, key) {
			t.Errorf("invocation metadata has %s, which is the protocol's: %s", key, keys)
		}
	}
}

func TestMetadata_IsRefused_TheSecondTime(t *testing.T) {
	channel := transport{}.dial(t, serveFacts(t, transport{}, newFacts(), runtime.ServerOptions{}))
	var initial metadata.MD
	answer, err := greet(t.Context(), channel, factsPath("Twice"), "?", grpc.Header(&initial))
	if err != nil {
		t.Fatal(err)
	}
	if have := initial.Get("time"); !slices.Equal(have, []string{"first"}) {
		t.Errorf("initial metadata is %q, want the first", have)
	}
	if first, second, _ := strings.Cut(answer, "; "); first != "<nil>" || second == "<nil>" {
		t.Errorf("sending it twice returned %q and %q, want nil and an error", first, second)
	}
}

func TestStatus_ReachesGRPCGo(t *testing.T) {
	cases := []struct {
		method, name string
		code         codes.Code
		text         string
	}{
		{"PlainError", "kaput", codes.Unknown, "kaput"},
		{"PlainError", "100 % kaputt, schöne Grüße\n こんにちは", codes.Unknown, "100 % kaputt, schöne Grüße\n こんにちは"},
		{"PlainError", "", codes.Unknown, ""},
		{"Panic", "boom", codes.Unknown, "Exception calling application: boom"},
		{"PanicStream", "boom", codes.Unknown, "Exception…"},
		{"Details", "no more", codes.FailedPrecondition, "no more"},
		{"DetailsStream", "no more", codes.FailedPrecondition, "no more"},
		{"NoSuchMethod", "", codes.Unimplemented, "Method not found!"},
	}
	overTransports(t, func(t *testing.T, tr transport) {
		channel := tr.dial(t, serveFacts(t, tr, newFacts(), quiet))
		for _, c := range cases {
			t.Run(c.method+"/"+c.text, func(t *testing.T) {
				_, err := call[request, reply](t.Context(), channel, factsPath(c.method), requests(c.name))
				wantStatus(t, err, c.code, c.text)
			})
		}
		t.Run("unimplemented servicer", func(t *testing.T) {
			for _, path := range []string{sayHello, sayHelloStreamReply, collectHellos, sayHelloBidiStream} {
				_, err := call[request, reply](t.Context(), channel, path, requests("Ada"))
				wantStatus(t, err, codes.Unimplemented, "Method not implemented!")
			}
		})
	})
}

func TestStatus_BringsDetailsAndTrailingMetadata(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		channel := tr.dial(t, serveFacts(t, tr, newFacts(), runtime.ServerOptions{}))
		for method, messages := range map[string][]*reply{"Details": nil, "DetailsStream": replies("before")} {
			t.Run(method, func(t *testing.T) {
				var trailing metadata.MD
				have, err := call[request, reply](t.Context(), channel, factsPath(method), requests("é %"), grpc.Trailer(&trailing))
				wantMessages(t, have, messages)
				wantStatus(t, err, codes.FailedPrecondition, "é %")
				details := status.Convert(err).Details()
				if len(details) != 2 {
					t.Fatalf("details are %v, want two", details)
				}
				if info, isInfo := details[0].(*errdetails.ErrorInfo); !isInfo || info.GetReason() != "QUOTA" {
					t.Errorf("the first of the details is %v, want ErrorInfo QUOTA", details[0])
				}
				if reason, bytes := trailing.Get("reason"), trailing.Get("bytes-bin"); !slices.Equal(reason, []string{"quota"}) ||
					!slices.Equal(bytes, []string{"\x00\xff"}) {
					t.Errorf("trailing metadata is %q", trailing)
				}
			})
		}
	})
}

func TestCancellation_ReachesHandler(t *testing.T) {
	overTransports(t, func(t *testing.T, tr transport) {
		f := newFacts()
		channel := tr.dial(t, serveFacts(t, tr, f, runtime.ServerOptions{}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := greet(ctx, channel, factsPath("Wait"), "?")
			ended <- err
		}()
		<-f.began
		cancel()
		if err := <-f.waitEnds; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's ctx ended with %v, want context.Canceled", err)
		}
		wantStatus(t, <-ended, codes.Canceled, "…")
	})
}

// A client that goes away without a word is a cancellation too.
func TestCancellation_ReachesHandler_WhenChannelCloses(t *testing.T) {
	f := newFacts()
	channel := transport{}.dial(t, serveFacts(t, transport{}, f, runtime.ServerOptions{}))
	ended := make(chan error, 1)
	go func() {
		_, err := greet(t.Context(), channel, factsPath("Wait"), "?")
		ended <- err
	}()
	<-f.began
	channel.Close()
	if err := <-f.waitEnds; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's ctx ended with %v, want context.Canceled", err)
	}
	<-ended
}

func TestStop_EndsRPCs_WithUnavailable(t *testing.T) {
	f := newFacts()
	server := runtime.NewServer(runtime.ServerOptions{})
	if err := server.AddService(f.service()); err != nil {
		t.Fatal(err)
	}
	channel := transport{}.dial(t, startHere(t, transport{}, server))
	ended := make(chan error, 1)
	go func() {
		_, err := greet(t.Context(), channel, factsPath("Wait"), "?")
		ended <- err
	}()
	<-f.began
	<-server.Stop(0)
	wantStatus(t, <-ended, codes.Unavailable, "Cancelling all calls")
	if err := <-f.waitEnds; err == nil {
		t.Error("the handler's ctx has no error")
	}
}

func TestEarlyReturn_DoesNotWaitForFurtherRequests(t *testing.T) {
	channel := transport{}.dial(t, serveFacts(t, transport{}, newFacts(), runtime.ServerOptions{}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := open[request, reply](ctx, channel, factsPath("EarlyReturn"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&request{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv() // and never a CloseSend
	if err != nil || answer.GetMessage() != "first" {
		t.Fatalf("answer is %v, %v", answer, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the RPC ends with %v, want OK", err)
	}
}
