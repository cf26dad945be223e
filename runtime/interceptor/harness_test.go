package interceptor_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

type text = wrapperspb.StringValue

// behavior is what the methods of the tests' service do.
type behavior func(ctx context.Context, request string) (response string, err error)

func echo(_ context.Context, request string) (string, error) { return request, nil }

// client calls a server in memory.
type client struct {
	t    *testing.T
	conn *grpc.ClientConn
	log  *logBuffer // of the server
}

// serve starts a server with interceptors, until the test ends. Its service t.S has the methods A, B, and Stream, which
// answers each request; t.T has A.
func serve(t *testing.T, behave behavior, interceptors ...runtime.ServerInterceptor) *client {
	t.Helper()
	unary := runtime.UnaryUnary(func(ctx context.Context, request *text) (*text, error) {
		response, err := behave(ctx, request.GetValue())
		return wrapperspb.String(response), err
	})
	stream := runtime.StreamStream(func(ctx context.Context, requests runtime.RequestIterator[text], responses runtime.ResponseStream[text]) error {
		for request, err := range requests.All() {
			if err != nil {
				return err
			}
			response, err := behave(ctx, request.GetValue())
			if err != nil {
				return err
			}
			if err := responses.Send(wrapperspb.String(response)); err != nil {
				return err
			}
		}
		return nil
	})
	log := &logBuffer{}
	server, err := runtimetest.NewServer(runtime.ServerOptions{Interceptors: interceptors, Logger: log.logger()}, func(r runtime.Registrar) error {
		if err := r.AddService(runtime.Service{Name: "t.T", Methods: map[string]*runtime.MethodHandler{"A": unary}}); err != nil {
			return err
		}
		return r.AddService(runtime.Service{Name: "t.S", Methods: map[string]*runtime.MethodHandler{"A": unary, "B": unary, "Stream": stream}})
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithContextDialer(server.DialContext),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Close()
	})
	return &client{t, conn, log}
}

// call calls a unary method with metadata.
func (c *client) call(method, request string, keysAndValues ...string) (string, error) {
	ctx := metadata.AppendToOutgoingContext(c.t.Context(), keysAndValues...)
	response := new(text)
	err := c.conn.Invoke(ctx, method, wrapperspb.String(request), response)
	return response.GetValue(), err
}

// stream calls /t.S/Stream with requests, and returns the responses joined.
func (c *client) stream(requests ...string) (string, error) {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	st, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/t.S/Stream")
	if err != nil {
		return "", err
	}
	var responses []string
	for _, request := range requests {
		response := new(text)
		st.SendMsg(wrapperspb.String(request)) // RecvMsg tells what was wrong
		if err := st.RecvMsg(response); err != nil {
			return "", err
		}
		responses = append(responses, response.GetValue())
	}
	st.CloseSend()
	for {
		if err := st.RecvMsg(new(text)); err != nil {
			if err == io.EOF {
				err = nil
			}
			return strings.Join(responses, ","), err
		}
	}
}

// wantStatus fails unless err has a code and details.
func wantStatus(t *testing.T, err error, code codes.Code, details string) {
	t.Helper()
	if st := status.Convert(err); st.Code() != code || st.Message() != details {
		t.Errorf("got %v %q, want %v %q", st.Code(), st.Message(), code, details)
	}
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.buf.String(), "\n"), "\n")
}

// logger returns a logger without times.
func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
