package runtimetest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

func TestNewContext_TellsTheFacts(t *testing.T) {
	client := &peer.Peer{Addr: runtimetest.Addr{}}
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{
		Method: "/t.S/m", InvocationMetadata: runtime.Pairs("k", "v"), Peer: client, Timeout: time.Hour,
	})
	defer recorder.End()
	if got := runtime.Method(ctx); got != "/t.S/m" {
		t.Errorf("Method: got %q", got)
	}
	if got := runtime.InvocationMetadata(ctx).Get("k"); got != "v" {
		t.Errorf("InvocationMetadata: got %q", got)
	}
	if md, _ := metadata.FromIncomingContext(ctx); !slices.Equal(md["k"], []string{"v"}) {
		t.Errorf("metadata.FromIncomingContext: got %v", md)
	}
	if p, _ := peer.FromContext(ctx); p != client || runtime.Peer(ctx) != client {
		t.Errorf("Peer: got %v and %v", p, runtime.Peer(ctx))
	}
	deadline, ok := ctx.Deadline()
	if remaining := time.Until(deadline); !ok || remaining <= 0 || remaining > time.Hour {
		t.Errorf("Deadline: in %v, %v", remaining, ok)
	}
	if err := ctx.Err(); err != nil {
		t.Errorf("the RPC is over: %v", err)
	}
}

func TestNewContext_OfTheZeroRPC(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
	defer recorder.End()
	if _, ok := ctx.Deadline(); ok {
		t.Error("there is a deadline")
	}
	if p := runtime.Peer(ctx); p == nil || p.Addr == nil {
		t.Errorf("Peer: got %v", p)
	}
}

func TestRecorder_RecordsWhatTheHandlerDoes(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
	defer recorder.End()
	if _, sent := recorder.InitialMetadata(); sent {
		t.Error("initial metadata is said to have been sent")
	}
	for _, err := range []error{
		runtime.SetCompression(ctx, runtime.Gzip),
		runtime.SendInitialMetadata(ctx, runtime.Pairs("a", "1")),
		runtime.DisableNextMessageCompression(ctx),
		runtime.SetTrailingMetadata(ctx, runtime.Pairs("b", "2")),
		runtime.SetTrailingMetadata(ctx, runtime.Pairs("b", "3")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := runtime.SendInitialMetadata(ctx, nil); !errors.Is(err, runtime.ErrInitialMetadataSent) || err.Error() != "Initial metadata no longer allowed!" {
		t.Errorf("the second SendInitialMetadata: got %v", err)
	}
	if err := runtime.SetCompression(ctx, runtime.Deflate); err == nil {
		t.Error("SetCompression after SendInitialMetadata succeeds")
	}
	if err := runtime.SetTrailingMetadata(ctx, runtime.Metadata{{Key: "Upper"}}); err == nil {
		t.Error("metadata that cannot be sent is accepted")
	}
	if md, sent := recorder.InitialMetadata(); !sent || md.Get("a") != "1" {
		t.Errorf("InitialMetadata: got %v, %v", md, sent)
	}
	if md := recorder.TrailingMetadata(); !slices.Equal(md, runtime.Pairs("b", "3")) || !slices.Equal(md, runtime.TrailingMetadata(ctx)) {
		t.Errorf("TrailingMetadata: got %v", md)
	}
	if recorder.Compression() != runtime.Gzip || recorder.UncompressedMessages() != 1 {
		t.Errorf("got compression %v and %d messages without", recorder.Compression(), recorder.UncompressedMessages())
	}
}

// TestRecorder_Ends has RPCs end in each of the ways there are.
func TestRecorder_Ends(t *testing.T) {
	for _, tt := range []struct {
		name      string
		end       func(ctx context.Context, recorder *runtimetest.Recorder, cancelParent func())
		want      codes.Code
		cancelled bool
	}{
		{"End", func(_ context.Context, r *runtimetest.Recorder, _ func()) { r.End() }, codes.Canceled, false},
		{"Parent", func(_ context.Context, _ *runtimetest.Recorder, cancelParent func()) { cancelParent() }, codes.Canceled, false},
		{"Cancel", func(ctx context.Context, _ *runtimetest.Recorder, _ func()) { runtime.Cancel(ctx) }, codes.Canceled, true},
		{"Deadline", func(ctx context.Context, _ *runtimetest.Recorder, _ func()) { <-ctx.Done() }, codes.DeadlineExceeded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancelParent := context.WithCancel(t.Context())
				defer cancelParent()
				ctx, recorder := runtimetest.NewContext(parent, runtimetest.RPC{Timeout: time.Minute})
				var calls []int
				for i := range 3 {
					if !runtime.AddCallback(ctx, func() { calls = append(calls, i) }) {
						t.Error("AddCallback reports false")
					}
				}
				tt.end(ctx, recorder, cancelParent)
				synctest.Wait()
				recorder.End()
				if !slices.Equal(calls, []int{0, 1, 2}) {
					t.Errorf("callbacks were called in the order %v", calls)
				}
				if runtime.AddCallback(ctx, func() { t.Error("called after the end") }) {
					t.Error("AddCallback reports true after the end")
				}
				for _, err := range []error{runtime.SetTrailingMetadata(ctx, nil), runtime.SendInitialMetadata(ctx, nil), runtime.SetCompression(ctx, runtime.Gzip)} {
					if status.Code(err) != tt.want {
						t.Errorf("after the end: got %v, want %v", err, tt.want)
					}
				}
				if recorder.Cancelled() != tt.cancelled {
					t.Errorf("Cancelled: got %v", recorder.Cancelled())
				}
			})
		})
	}
}

func TestRequests(t *testing.T) {
	broken := errors.New("broken off")
	for _, tt := range []struct {
		name    string
		err     error
		wantErr error
	}{{"ToTheEnd", nil, nil}, {"BrokenOff", broken, broken}} {
		t.Run(tt.name, func(t *testing.T) {
			requests := runtimetest.NewRequests(rawOf("a"), rawOf("b"), rawOf("c"))
			requests.Err = tt.err
			if request, err := requests.Next(); err != nil || string(request.Data) != "a" {
				t.Errorf("Next: got %v, %v", request, err)
			}
			if got := requests.Remaining(); got != 2 {
				t.Errorf("Remaining: got %d", got)
			}
			var got string
			var last error
			for request, err := range requests.All() {
				if last = err; err == nil {
					got += string(request.Data)
				}
			}
			if got != "bc" || last != tt.wantErr {
				t.Errorf("All: got %q, %v", got, last)
			}
			want := tt.wantErr
			if want == nil {
				want = io.EOF
			}
			for range 2 {
				if _, err := requests.Next(); err != want {
					t.Errorf("Next after the end: got %v", err)
				}
			}
		})
	}
}

func TestResponses(t *testing.T) {
	broken := errors.New("broken off")
	responses := &runtimetest.Responses[runtime.RawMessage]{Err: broken, Limit: 2}
	message := rawOf("a")
	if err := responses.Send(message); err != nil {
		t.Error(err)
	}
	message.Data[0] = 'b' // which a handler may do
	if err := responses.Send(message); err != nil {
		t.Error(err)
	}
	if err := new(runtimetest.Responses[runtime.RawMessage]).Send(nil); status.Code(err) != codes.Internal {
		t.Errorf("nil: got %v", err)
	}
	if err := responses.Send(message); err != broken {
		t.Errorf("got %v", err)
	}
	var got string
	for _, response := range responses.Sent() {
		got += string(response.Data)
	}
	if got != "ab" {
		t.Errorf("sent %q", got)
	}
}

// TestResponses_Fail has a stream without a recorder end with the response that cannot be encoded.
func TestResponses_Fail(t *testing.T) {
	for name, bad := range map[string]*wrapperspb.StringValue{"Nil": nil, "NotUTF8": {Value: "\xff"}} {
		responses := &runtimetest.Responses[wrapperspb.StringValue]{}
		for _, tt := range []struct {
			response *wrapperspb.StringValue
			want     codes.Code
		}{{wrapperspb.String("a"), codes.OK}, {bad, codes.Internal}, {wrapperspb.String("b"), codes.Internal}} {
			if err := responses.Send(tt.response); status.Code(err) != tt.want {
				t.Errorf("%s: Send(%v): got %v, want %v", name, tt.response, err, tt.want)
			}
		}
		if sent := responses.Sent(); len(sent) != 1 {
			t.Errorf("%s: sent %v", name, sent)
		}
	}
}

// TestRecorder_Return ends an RPC, with its callbacks, once.
func TestRecorder_Return(t *testing.T) {
	aborted := status.Error(codes.Aborted, "a")
	for _, tt := range []struct {
		name     string
		before   func(ctx context.Context, recorder *runtimetest.Recorder)
		response any
		err      error
		want     codes.Code
		then     codes.Code // of what is done afterwards
	}{
		{"Response", nil, rawOf("x"), nil, codes.OK, codes.Internal},
		{"EndOfAStream", nil, nil, nil, codes.OK, codes.Internal},
		{"NilResponse", nil, (*runtime.RawMessage)(nil), nil, codes.Internal, codes.Internal},
		{"NotUTF8", nil, wrapperspb.String("\xff"), nil, codes.Internal, codes.Internal},
		{"Error", nil, (*runtime.RawMessage)(nil), aborted, codes.Aborted, codes.Aborted},
		{"PlainError", nil, nil, errors.New("x"), codes.Unknown, codes.Unknown},
		{"Twice", func(_ context.Context, r *runtimetest.Recorder) { r.Return(nil, aborted) }, nil, nil, codes.Aborted, codes.Aborted},
		{"AfterEnd", func(_ context.Context, r *runtimetest.Recorder) { r.End() }, nil, nil, codes.Canceled, codes.Canceled},
		{"AfterCancel", func(ctx context.Context, _ *runtimetest.Recorder) { runtime.Cancel(ctx) }, nil, aborted, codes.Canceled, codes.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
			called := 0
			runtime.AddCallback(ctx, func() { called++ })
			if tt.before != nil {
				tt.before(ctx, recorder)
			}
			if err := recorder.Return(tt.response, tt.err); status.Code(err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if called != 1 || !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("the callback was called %d times, and the context ended with %v", called, ctx.Err())
			}
			if err := runtime.SetTrailingMetadata(ctx, nil); status.Code(err) != tt.then {
				t.Errorf("afterwards: got %v, want %v", err, tt.then)
			}
		})
	}
}

// TestNewContext_Authority is what grpc-go's handlers find.
func TestNewContext_Authority(t *testing.T) {
	for authority, want := range map[string]string{"": "localhost", "example.org:443": "example.org:443"} {
		ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{Authority: authority})
		if md, _ := metadata.FromIncomingContext(ctx); !slices.Equal(md[":authority"], []string{want}) {
			t.Errorf("%q: got %q", authority, md[":authority"])
		}
		recorder.End()
	}
}

func rawOf(s string) *runtime.RawMessage { return &runtime.RawMessage{Data: []byte(s)} }

// TestRecorder_Stop lets a handler see that its server stops, and the RPC go on.
func TestRecorder_Stop(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
	defer recorder.End()
	select {
	case <-runtime.Stopping(ctx):
		t.Error("the server stops before Stop")
	default:
	}
	recorder.Stop()
	recorder.Stop()
	<-runtime.Stopping(ctx)
	if err := ctx.Err(); err != nil {
		t.Errorf("Stop has ended the RPC: %v", err)
	}
}

// TestRecorder_SharesNoMetadata appends to and changes what was handed out, from both sides.
func TestRecorder_SharesNoMetadata(t *testing.T) {
	invocation := append(make(runtime.Metadata, 0, 8), runtime.Pairs("k", "v")...)
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{InvocationMetadata: invocation})
	defer recorder.End()
	_ = append(runtime.InvocationMetadata(ctx), runtime.Pair{Key: "a", Value: "1"})
	if got := invocation[:2][1].Key; got != "" {
		t.Errorf("an append to the invocation metadata writes %q into the test's", got)
	}
	if err := runtime.SendInitialMetadata(ctx, runtime.Pairs("i", "1")); err != nil {
		t.Fatal(err)
	}
	first, _ := recorder.InitialMetadata()
	first[0].Value = "changed"
	if again, _ := recorder.InitialMetadata(); again.Get("i") != "1" {
		t.Errorf("the initial metadata was changed to %v", again)
	}
}
