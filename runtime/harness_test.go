package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime/internal/budget"
)

// raw is the message type of most tests.
type raw = RawMessage

func rawOf(s string) *raw { return &raw{Data: []byte(s)} }

// handlers are methods of the service t.S by their names.
type handlers = map[string]*MethodHandler

// testServer is a server on an in-memory listener, which runs until the test ends.
type testServer struct {
	*Server
	t        testing.TB
	listener *pipeListener
	log      *testLog
}

// observeAll has all test servers observed: GOGREETER_OBSERVE=1 go test -count=1 ./runtime.
var observeAll = os.Getenv("GOGREETER_OBSERVE") != ""

// newTestServer starts a server with a service "t.S".
func newTestServer(t testing.TB, options ServerOptions, methods handlers) *testServer {
	t.Helper()
	s := &testServer{t: t, listener: newPipeListener(), log: &testLog{}}
	options.Logger = newTestLogger(s.log)
	if observeAll {
		o := &recorder{}
		options.Observers = append(options.Observers, o)
		t.Cleanup(func() { o.check(t) })
	}
	s.Server = NewServer(options)
	if methods != nil {
		if err := s.AddService(Service{Name: "t.S", Methods: methods}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddListener(s.listener); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []*connection
	s.testHookConn = func(c *connection) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		<-s.Stop(0)
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			c.wantIdle(t)
		}
	})
	return s
}

// wantIdle waits until nothing is left of a connection that has ended: its last handlers may take a moment.
func (c *connection) wantIdle(t testing.TB) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		left := c.left()
		if slices.Equal(left, make([]int64, len(left))) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("of a connection are left %v: RPCs, requests, responses, metadata, queued, in each line, streams", left)
			return
		}
	}
}

func (c *connection) left() []int64 {
	a := c.account
	left := []int64{
		a.Count(budget.Handlers), a.Used(budget.Requests), a.Used(budget.Responses), c.heads.Load(), int64(c.queue.Waiting()),
	}
	for _, line := range []budget.Line{budget.ForWindow, budget.ForRequests, budget.ForResponses, budget.ForBeginning} {
		left = append(left, int64(a.Waiting(line)))
	}
	return append(left, int64(c.h2.OpenStreams()))
}

// newTestLogger returns a logger of everything there is to log.
func newTestLogger(log *testLog) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// dial connects a client.
func (s *testServer) dial() *testClient {
	s.t.Helper()
	return newTestClient(s.t, s.listener.dial())
}

// inBubble runs a test with time of its own. It fails if a goroutine is left at the end.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// runInBubble runs a subtest in a bubble.
func runInBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// pipeListener is a listener whose connections are in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// dial returns the client's end of a new connection. It is closed already if nobody listens.
func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
	case <-l.closed:
		server.Close()
	}
	return client
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Net: "pipe", Name: "pipe"} }

// testLog keeps what is logged.
type testLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines that contain a text.
func (l *testLog) lines(text string) (lines []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// cardinality is one of the four kinds of methods, whose handler is of one of the two kinds that there are for each.
type cardinality struct {
	name                                string
	requestStreaming, responseStreaming bool
	untyped                             bool // NewMethodHandler makes it
}

// cardinalities are those with one request before those with a stream.
var cardinalities = []cardinality{
	{name: "UnaryUnary"},
	{name: "UnaryStream", responseStreaming: true},
	{name: "UntypedUnaryUnary", untyped: true},
	{name: "UntypedUnaryStream", responseStreaming: true, untyped: true},
	{name: "StreamUnary", requestStreaming: true},
	{name: "StreamStream", requestStreaming: true, responseStreaming: true},
	{name: "UntypedStreamUnary", requestStreaming: true, untyped: true},
	{name: "UntypedStreamStream", requestStreaming: true, responseStreaming: true, untyped: true},
}

// cardinalityOf returns the cardinality of a method.
func cardinalityOf(requestStreaming, responseStreaming bool) (c Cardinality) {
	if requestStreaming {
		c |= CardinalityStreamUnary
	}
	if responseStreaming {
		c |= CardinalityUnaryStream
	}
	return c
}

// testCall is a call as a handler of any cardinality sees it, so that one behavior serves all four.
type testCall struct {
	ctx  context.Context
	next func() (*raw, error) // io.EOF after the only request, too
	send func(*raw) error     // the last one counts if there is only one response
}

// drain reads the requests to their end and returns them.
func (c *testCall) drain() (requests []string, err error) {
	for {
		request, err := c.next()
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil {
			return requests, err
		}
		requests = append(requests, string(request.Data))
	}
}

// handlerOf returns a method handler of a cardinality.
func handlerOf(c cardinality, behavior func(c *testCall) error) *MethodHandler {
	unary := func(ctx context.Context, next func() (*raw, error)) (response *raw, err error) {
		err = behavior(&testCall{ctx, next, func(r *raw) error {
			response = r
			return nil
		}})
		return response, err
	}
	once := func(request *raw) func() (*raw, error) {
		return func() (*raw, error) {
			if request == nil {
				return nil, io.EOF
			}
			r := request
			request = nil
			return r, nil
		}
	}
	if c.untyped {
		return untypedHandlerOf(c, behavior)
	}
	switch c.name {
	case "UnaryUnary":
		return UnaryUnary(func(ctx context.Context, request *raw) (*raw, error) { return unary(ctx, once(request)) })
	case "UnaryStream":
		return UnaryStream(func(ctx context.Context, request *raw, responses ResponseStream[raw]) error {
			return behavior(&testCall{ctx, once(request), responses.Send})
		})
	case "StreamUnary":
		return StreamUnary(func(ctx context.Context, requests RequestIterator[raw]) (*raw, error) {
			return unary(ctx, requests.Next)
		})
	}
	return StreamStream(func(ctx context.Context, requests RequestIterator[raw], responses ResponseStream[raw]) error {
		return behavior(&testCall{ctx, requests.Next, responses.Send})
	})
}

// untypedHandlerOf is handlerOf by NewMethodHandler. Of a method with one response, it sends the last one.
func untypedHandlerOf(c cardinality, behavior func(c *testCall) error) *MethodHandler {
	return NewMethodHandler(cardinalityOf(c.requestStreaming, c.responseStreaming), func(ctx context.Context, stream *ServerStream) error {
		next := func() (*raw, error) {
			request := new(raw)
			return request, stream.Receive(request)
		}
		if c.responseStreaming {
			return behavior(&testCall{ctx, next, func(r *raw) error { return stream.Send(r) }})
		}
		var response *raw
		err := behavior(&testCall{ctx, next, func(r *raw) error {
			response = r
			return nil
		}})
		if err == nil && response != nil {
			return stream.Send(response)
		}
		return err
	})
}

// countRequests is a handler that answers how many requests there are.
func countRequests(requests RequestIterator[raw]) (*raw, error) {
	n := 0
	for _, err := range requests.All() {
		if err != nil {
			return nil, err
		}
		n++
	}
	return rawOf(fmt.Sprint(n)), nil
}

// echo is a unary method that answers with what it is asked.
func echo() *MethodHandler {
	return UnaryUnary(func(_ context.Context, request *raw) (*raw, error) { return request, nil })
}

// blockUntilOver is a unary method that waits for the end of its RPC.
func blockUntilOver() *MethodHandler {
	return UnaryUnary(func(ctx context.Context, _ *raw) (*raw, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
}

// wantClosed fails unless a channel gets closed.
func wantClosed(t testing.TB, what string, closed <-chan struct{}) {
	t.Helper()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}
