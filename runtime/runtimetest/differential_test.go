package runtimetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// The tests of this file have a handler make the same moves twice. One RPC is runtimetest's own; the other is a grpc-go
// client's, to a server. What each move returns, and what the client gets, has to be the same.

type text = wrapperspb.StringValue

var notUTF8 = &text{Value: "\xff"}

// handling is an RPC from its handler's side.
type handling struct {
	ctx   context.Context
	next  func() (*text, error) // nil: one request
	send  func(*text) error     // nil: one response
	all   func() runtime.Metadata
	trace []string // what the moves have returned
}

func (h *handling) note(move string, results ...any) {
	h.trace = append(h.trace, "  "+move+": "+fmt.Sprintln(results...))
}

// moves are what a handler can do before it returns, by a letter.
var moves = map[byte]struct {
	name string
	do   func(h *handling) (results []any)
}{
	'i': {"SendInitialMetadata", func(h *handling) []any {
		return []any{runtime.SendInitialMetadata(h.ctx, runtime.Pairs("i", "1", "i-bin", "\x00"))}
	}},
	'I': {"SendInitialMetadata that cannot be sent", func(h *handling) []any {
		return []any{runtime.SendInitialMetadata(h.ctx, runtime.Pairs("I", "1"))}
	}},
	'w': {"SetInitialMetadata", func(h *handling) []any {
		return []any{runtime.SetInitialMetadata(h.ctx, runtime.Pairs("w", fmt.Sprint(len(h.trace)), "w-bin", "\xff"))}
	}},
	'W': {"SetInitialMetadata that cannot be sent", func(h *handling) []any {
		return []any{runtime.SetInitialMetadata(h.ctx, runtime.Pairs("grpc-w", "1"))}
	}},
	't': {"SetTrailingMetadata", func(h *handling) []any {
		return []any{runtime.SetTrailingMetadata(h.ctx, runtime.Pairs("t", fmt.Sprint(len(h.trace))))}
	}},
	'T': {"SetTrailingMetadata that cannot be sent", func(h *handling) []any {
		return []any{runtime.SetTrailingMetadata(h.ctx, runtime.Pairs("grpc-status", "1"))}
	}},
	'r': {"TrailingMetadata", func(h *handling) []any { return []any{runtime.TrailingMetadata(h.ctx)} }},
	'g': {"SetCompression to gzip", func(h *handling) []any { return []any{runtime.SetCompression(h.ctx, runtime.Gzip)} }},
	'd': {"SetCompression to deflate", func(h *handling) []any { return []any{runtime.SetCompression(h.ctx, runtime.Deflate)} }},
	'z': {"SetCompression to none", func(h *handling) []any { return []any{runtime.SetCompression(h.ctx, runtime.NoCompression)} }},
	'Z': {"SetCompression to what there is not", func(h *handling) []any { return []any{runtime.SetCompression(h.ctx, "br")} }},
	'p': {"DisableNextMessageCompression", func(h *handling) []any { return []any{runtime.DisableNextMessageCompression(h.ctx)} }},
	'a': {"AddCallback", func(h *handling) []any { return []any{runtime.AddCallback(h.ctx, func() {})} }},
	'c': {"Cancel", func(h *handling) []any { return []any{runtime.Cancel(h.ctx)} }},
	'e': {"Err", func(h *handling) []any { return []any{h.ctx.Err()} }},
	'm': {"what is known", func(h *handling) []any {
		md, ok := metadata.FromIncomingContext(h.ctx)
		_, hasDeadline := h.ctx.Deadline()
		return []any{runtime.Method(h.ctx), runtime.InvocationMetadata(h.ctx).Values("k"), md["k"], md[":authority"], ok, hasDeadline}
	}},
	'f': {"Fields", func(h *handling) (of []any) {
		if h.all == nil {
			return nil
		}
		for _, key := range []string{":method", ":scheme", ":path", ":authority", "content-type", "te", "k", "k-bin"} {
			of = append(of, h.all().Values(key))
		}
		return of
	}},
	'n': {"Next", func(h *handling) []any {
		if h.next == nil {
			return nil
		}
		request, err := h.next()
		return []any{request.GetValue(), err}
	}},
	's': {"Send", func(h *handling) []any { return h.sends(wrapperspb.String(fmt.Sprint(len(h.trace)))) }},
	'l': {"Send a large one", func(h *handling) []any { return h.sends(wrapperspb.String(strings.Repeat("x", 5000))) }},
	'N': {"Send nil", func(h *handling) []any { return h.sends(nil) }},
	'U': {"Send what is not UTF-8", func(h *handling) []any { return h.sends(notUTF8) }},
}

func (h *handling) sends(response *text) []any {
	if h.send == nil {
		return nil
	}
	return []any{h.send(response)}
}

// returns are what a handler returns, by a letter. With an error, the response does not count.
var returns = map[byte]func(h *handling) (*text, error){
	'.': func(*handling) (*text, error) { return wrapperspb.String("done"), nil },
	'0': func(*handling) (*text, error) { return nil, nil },
	'u': func(*handling) (*text, error) { return notUTF8, nil },
	'x': func(*handling) (*text, error) { return nil, errors.New("plain \xff") },
	'y': func(*handling) (*text, error) {
		return wrapperspb.String("lost"), fmt.Errorf("around: %w", status.Error(codes.Aborted, "é %"))
	},
	'9': func(*handling) (*text, error) { return nil, status.Error(99, "no code") },
	'o': func(*handling) (*text, error) { return nil, errOK{} },
	'C': func(*handling) (*text, error) { return nil, fmt.Errorf("around: %w", context.Canceled) },
	'D': func(*handling) (*text, error) { return nil, context.DeadlineExceeded },
	'E': func(h *handling) (*text, error) { return nil, h.ctx.Err() },
	'R': func(*handling) (*text, error) {
		st, _ := status.New(codes.DataLoss, "rich").WithDetails(durationpb.New(1), wrapperspb.String("d"))
		return nil, st.Err()
	},
}

// errOK is an error whose status is no error's.
type errOK struct{}

func (errOK) Error() string              { return "fine, or is it?" }
func (errOK) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

// play makes the moves of a script, the last letter of which is what is returned.
func (h *handling) play(script string) (*text, error) {
	for _, letter := range []byte(script[:len(script)-1]) {
		move := moves[letter]
		h.note(move.name, move.do(h)...)
	}
	return returns[script[len(script)-1]](h)
}

// outcome is what a client gets, and what the handler has seen.
type outcome struct {
	trace             []string
	status            string
	initial, trailing map[string][]string // not metadata.MD, which does not print its values
	messages          []string
}

func (o outcome) String() string {
	return fmt.Sprintf("%s  status %s\n  initial %q\n  trailing %q\n  messages %.60q",
		strings.Join(o.trace, ""), o.status, o.initial, o.trailing, o.messages)
}

func (o *outcome) ended(err error) {
	st := status.Convert(err)
	o.status = fmt.Sprintf("%v %q, details", st.Code(), st.Message())
	for _, detail := range st.Details() {
		o.status += fmt.Sprintf(" %T %v", detail, detail)
	}
}

// cardinality is what a method takes and gives: u is one message, s a stream. A handler with x is made by NewMethodHandler.
type cardinality string

var cardinalities = []cardinality{"uu", "us", "su", "ss", "uux", "usx", "sux", "ssx"}

func (c cardinality) untyped() bool { return len(c) > 2 }

// handler returns a handler without types. In place of the moves of an iterator and a stream, those of its stream are made,
// also where there is one message.
func (c cardinality) handler(played func(h *handling) (*text, error)) *runtime.MethodHandler {
	of := map[cardinality]runtime.Cardinality{
		"uux": runtime.CardinalityUnaryUnary, "usx": runtime.CardinalityUnaryStream,
		"sux": runtime.CardinalityStreamUnary, "ssx": runtime.CardinalityStreamStream,
	}[c]
	return runtime.NewMethodHandler(of, func(ctx context.Context, stream *runtime.ServerStream) error {
		h := &handling{ctx: ctx, all: stream.Fields, send: func(response *text) error { return stream.Send(response) }}
		h.next = func() (*text, error) {
			request := new(text)
			return request, stream.Receive(request)
		}
		response, err := played(h)
		if err == nil && response != nil && !of.ResponseStreaming() {
			return stream.Send(response)
		}
		return err
	})
}

func (c cardinality) path() string { return "/t.S/" + string(c) }

const requested = 2 // requests that a client with a stream sends

// direct plays a script without a server.
func (c cardinality) direct(t *testing.T, script string) (o outcome) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{
		Method: c.path(), InvocationMetadata: runtime.Pairs("k", "v", "k", "w", "k-bin", "\xff\x00"), Authority: "memory",
	})
	defer recorder.End()
	if c.untyped() {
		return c.handle(ctx, recorder, script)
	}
	h := &handling{ctx: ctx}
	responses := &runtimetest.Responses[text]{Recorder: recorder}
	if c[0] == 's' {
		requests := &runtimetest.Requests[text]{Recorder: recorder}
		for i := range requested {
			requests.Messages = append(requests.Messages, wrapperspb.String(fmt.Sprint("q", i)))
		}
		h.next = requests.Next
	}
	if c[1] == 's' {
		h.send = responses.Send
	}
	response, err := h.play(script)
	if c[1] == 's' {
		o.ended(recorder.Return(nil, err))
		for _, sent := range responses.Sent() {
			o.messages = append(o.messages, sent.GetValue())
		}
	} else {
		err = recorder.Return(response, err)
		o.ended(err)
		if err == nil {
			o.messages = []string{response.GetValue()}
		}
	}
	o.recorded(h, recorder)
	return o
}

// handle plays a script by Recorder.Handle.
func (c cardinality) handle(ctx context.Context, recorder *runtimetest.Recorder, script string) (o outcome) {
	h := &handling{}
	requests := []any{wrapperspb.String("q0")}
	for i := 1; i < requested && c[0] == 's'; i++ {
		requests = append(requests, wrapperspb.String(fmt.Sprint("q", i)))
	}
	responses, err := recorder.Handle(ctx, c.handler(func(playing *handling) (*text, error) {
		h = playing
		return h.play(script)
	}), requests...)
	o.ended(err)
	for _, response := range responses {
		o.messages = append(o.messages, response.(*text).GetValue())
	}
	o.recorded(h, recorder)
	return o
}

// recorded notes what the moves have returned, and the metadata.
func (o *outcome) recorded(h *handling, recorder *runtimetest.Recorder) {
	initial, _ := recorder.InitialMetadata()
	o.trace, o.initial, o.trailing = h.trace, initial.MD(), recorder.TrailingMetadata().MD()
}

// wire is a server whose methods make the moves that a client asks for, and that client.
type wire struct {
	conn   *grpc.ClientConn
	traces chan []string
}

func newWire(t testing.TB) *wire {
	w := &wire{traces: make(chan []string, 1)}
	played := func(h *handling) (*text, error) {
		script := runtime.InvocationMetadata(h.ctx).Get("script")
		defer func() { w.traces <- h.trace }()
		return h.play(script)
	}
	service := runtime.Service{Name: "t.S", Methods: map[string]*runtime.MethodHandler{
		"uu": runtime.UnaryUnary(func(ctx context.Context, _ *text) (*text, error) { return played(&handling{ctx: ctx}) }),
		"us": runtime.UnaryStream(func(ctx context.Context, _ *text, responses runtime.ResponseStream[text]) error {
			_, err := played(&handling{ctx: ctx, send: responses.Send})
			return err
		}),
		"su": runtime.StreamUnary(func(ctx context.Context, requests runtime.RequestIterator[text]) (*text, error) {
			return played(&handling{ctx: ctx, next: requests.Next})
		}),
		"ss": runtime.StreamStream(func(ctx context.Context, requests runtime.RequestIterator[text], responses runtime.ResponseStream[text]) error {
			_, err := played(&handling{ctx: ctx, next: requests.Next, send: responses.Send})
			return err
		}),
	}}
	for _, c := range cardinalities {
		if c.untyped() {
			service.Methods[string(c)] = c.handler(played)
		}
	}
	quiet := runtime.ServerOptions{Logger: slog.New(slog.DiscardHandler)}
	server, err := runtimetest.NewServer(quiet, func(r runtime.Registrar) error { return r.AddService(service) })
	if err != nil {
		t.Fatal(err)
	}
	w.conn, err = grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.conn.Close()
		server.Close()
	})
	return w
}

// play plays a script by an RPC.
func (w *wire) play(t *testing.T, c cardinality, script string) (o outcome) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "script", script, "k", "v", "k", "w", "k-bin", "\xff\x00"))
	defer cancel()
	stream, err := w.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: c[0] == 's', ServerStreams: true}, c.path())
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	if c[0] == 's' {
		n = requested
	}
	for i := range n {
		if stream.SendMsg(wrapperspb.String(fmt.Sprint("q", i))) != nil {
			break // RecvMsg tells why
		}
	}
	stream.CloseSend()
	for {
		message := new(text)
		if err = stream.RecvMsg(message); err != nil {
			break
		}
		o.messages = append(o.messages, message.GetValue())
	}
	if err == io.EOF {
		err = nil
	}
	o.ended(err)
	header, _ := stream.Header()
	o.initial, o.trailing = header, stream.Trailer()
	for _, key := range []string{"content-type", "grpc-encoding", "grpc-accept-encoding", "grpc-status-details-bin"} {
		delete(o.initial, key)
		delete(o.trailing, key)
	}
	o.trace = <-w.traces
	return o
}

// compare plays a script both ways.
func (w *wire) compare(t *testing.T, c cardinality, script string) {
	t.Helper()
	have, want := c.direct(t, script), w.play(t, c, script)
	if have.String() != want.String() {
		t.Errorf("%s %q:\nhere\n%v\non the wire\n%v", c, script, have, want)
	}
}

// TestDifferential has each move alone, after each other one, and as the last of all; and everything that can be returned.
func TestDifferential(t *testing.T) {
	w := newWire(t)
	letters := sortedLetters(moves)
	for _, c := range cardinalities {
		t.Run(string(c), func(t *testing.T) {
			for _, last := range sortedLetters(returns) {
				for _, before := range []string{"", "i", "w", "t", "s", "c", "N", "its", "ws", "wc", "wN"} {
					w.compare(t, c, before+string(last))
				}
			}
			for _, first := range letters {
				for _, second := range letters {
					w.compare(t, c, string([]byte{first, second, 'e', 'n', 's', '.'}))
				}
			}
		})
	}
}

func sortedLetters[V any](m map[byte]V) []byte {
	var letters []byte
	for letter := range m {
		letters = append(letters, letter)
	}
	slices.Sort(letters)
	return letters
}

// TestDifferential_AtRandom has long scripts, the same ones each time.
func TestDifferential_AtRandom(t *testing.T) {
	w := newWire(t)
	dice := rand.New(rand.NewPCG(1, 2))
	letters, lasts := sortedLetters(moves), sortedLetters(returns)
	for range 500 {
		script := make([]byte, 1+dice.IntN(12))
		for i := range script {
			script[i] = letters[dice.IntN(len(letters))]
		}
		script[len(script)-1] = lasts[dice.IntN(len(lasts))]
		w.compare(t, cardinalities[dice.IntN(len(cardinalities))], string(script))
	}
}
