package interceptor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/interceptor"
)

func TestLogging(t *testing.T) {
	tests := []struct {
		name    string
		behave  behavior
		method  string // default /t.S/A
		options interceptor.LoggingOptions
		want    []string
	}{
		{name: "OK", behave: echo, want: []string{`level=INFO msg=RPC method=/t.S/A code=OK duration=0s peer=memory`}},
		{
			name: "Slow",
			behave: func(_ context.Context, request string) (string, error) {
				time.Sleep(time.Second)
				return request, nil
			},
			want: []string{`level=INFO msg=RPC method=/t.S/A code=OK duration=1s peer=memory`},
		},
		{
			name:   "Status",
			behave: func(context.Context, string) (string, error) { return "", status.Error(codes.PermissionDenied, "no") },
			want:   []string{`level=WARN msg=RPC method=/t.S/A code=PERMISSION_DENIED duration=0s peer=memory error=no`},
		},
		{
			name: "Wrapped",
			behave: func(context.Context, string) (string, error) {
				return "", fmt.Errorf("why: %w", status.Error(codes.NotFound, "gone"))
			},
			want: []string{`level=INFO msg=RPC method=/t.S/A code=NOT_FOUND duration=0s peer=memory error="why: rpc error: code = NotFound desc = gone"`},
		},
		{
			name:   "PlainError",
			behave: func(context.Context, string) (string, error) { return "", errors.New("boom") },
			want:   []string{`level=ERROR msg=RPC method=/t.S/A code=UNKNOWN duration=0s peer=memory error=boom`},
		},
		{
			name:   "LongError",
			behave: func(context.Context, string) (string, error) { return "", errors.New(strings.Repeat("x", 5000)) },
			want: []string{`level=ERROR msg=RPC method=/t.S/A code=UNKNOWN duration=0s peer=memory error="` + strings.Repeat("x", 512) +
				`… (5000 octets)"`},
		},
		{
			name:   "LongMethod",
			method: "/t.S/" + strings.Repeat("x", 4995),
			want: []string{`level=ERROR msg=RPC method="/t.S/` + strings.Repeat("x", 507) + `… (5000 octets)" code=UNIMPLEMENTED ` +
				`duration=0s peer=memory error="Method not found!"`},
		},
		{
			name:   "ContextError",
			behave: func(context.Context, string) (string, error) { return "", context.DeadlineExceeded },
			want:   []string{`level=WARN msg=RPC method=/t.S/A code=DEADLINE_EXCEEDED duration=0s peer=memory error="context deadline exceeded"`},
		},
		{
			name:   "CodeThatIsNone",
			behave: func(context.Context, string) (string, error) { return "", status.Error(99, "what") },
			want:   []string{`level=ERROR msg=RPC method=/t.S/A code=UNKNOWN duration=0s peer=memory error=what`},
		},
		{
			name:   "OKInAnError",
			behave: func(context.Context, string) (string, error) { return "", okError{} },
			want:   []string{`level=ERROR msg=RPC method=/t.S/A code=UNKNOWN duration=0s peer=memory error="not OK at all"`},
		},
		{
			name: "UnknownMethod", method: "/t.S/Nope",
			want: []string{`level=ERROR msg=RPC method=/t.S/Nope code=UNIMPLEMENTED duration=0s peer=memory error="Method not found!"`},
		},
		{
			name:   "Panic",
			behave: func(context.Context, string) (string, error) { panic("boom") },
			want:   []string{`level=ERROR msg=RPC method=/t.S/A code=UNKNOWN duration=0s peer=memory error="the handler did not return"`},
		},
		{
			name: "LevelAndAttributes", behave: echo,
			options: interceptor.LoggingOptions{
				Level: func(codes.Code) slog.Level { return slog.LevelWarn },
				Attributes: func(ctx context.Context, _ *runtime.ServerCall) []slog.Attr {
					return []slog.Attr{slog.Any("tenants", runtime.InvocationMetadata(ctx).Values("tenant"))}
				},
			},
			want: []string{`level=WARN msg=RPC method=/t.S/A code=OK duration=0s peer=memory tenants=[acme]`},
		},
		{
			name: "LevelNotEnabled", behave: echo,
			options: interceptor.LoggingOptions{Level: func(codes.Code) slog.Level { return slog.LevelDebug }},
			want:    []string{""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logBuffer{}
				tt.options.Logger = log.logger()
				c := serve(t, tt.behave, interceptor.Logging(tt.options))
				if tt.method == "" {
					tt.method = "/t.S/A"
				}
				c.call(tt.method, "x", "tenant", "acme")
				synctest.Wait()
				if got := log.lines(); !slices.Equal(got, tt.want) {
					t.Errorf("logged\n%q, want\n%q", got, tt.want)
				}
			})
		})
	}
}

// okError is an error whose status claims that there is none.
type okError struct{}

func (okError) Error() string              { return "not OK at all" }
func (okError) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

// TestLogging_ReportsWhatTheClientReceived has an RPC end before its handler does.
func TestLogging_ReportsWhatTheClientReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		c := serve(t, func(ctx context.Context, request string) (string, error) {
			time.Sleep(time.Minute)
			return request, nil
		}, interceptor.Logging(interceptor.LoggingOptions{Logger: log.logger()}),
			interceptor.Deadline(interceptor.DeadlineOptions{Max: time.Second}))
		_, err := c.call("/t.S/A", "x")
		wantStatus(t, err, codes.DeadlineExceeded, "Deadline Exceeded")
		time.Sleep(time.Hour)
		want := []string{`level=WARN msg=RPC method=/t.S/A code=DEADLINE_EXCEEDED duration=1m0s peer=memory error="Deadline Exceeded"`}
		if got := log.lines(); !slices.Equal(got, want) {
			t.Errorf("logged\n%q, want\n%q", got, want)
		}
	})
}

// TestLogging_CutsWhatIsLong has a client choose a long path and a handler quote a long request.
func TestLogging_CutsWhatIsLong(t *testing.T) {
	log := &logBuffer{}
	logging := interceptor.Logging(interceptor.LoggingOptions{Logger: log.logger()})
	quote := func(_ context.Context, request string) (string, error) { return "", errors.New(request) }
	c := serve(t, quote, logging)
	c.call("/t.S/"+strings.Repeat("a", 10_000), "x")
	c.call("/t.S/A", strings.Repeat("a", 1<<20))
	c.call("/t.S/A", "a"+strings.Repeat("ä", 1<<20)) // cut between characters
	lines := log.lines()
	want := []string{
		"method=\"/t.S/" + strings.Repeat("a", 512-len("/t.S/")) + "… (10005 octets)\" ",
		"error=\"" + strings.Repeat("a", 512) + "… (",
		"error=\"a" + strings.Repeat("ä", 255) + "… (",
	}
	if len(lines) != len(want) {
		t.Fatalf("there are %d records", len(lines))
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) || len(line) > 1200 {
			t.Errorf("record %d has %d octets, and not %.40q…", i, len(line), want[i])
		}
	}
}

// TestLogging_OnePerRPC has a stream of many messages, and streams cut off.
func TestLogging_OnePerRPC(t *testing.T) {
	log := &logBuffer{}
	c := serve(t, echo, interceptor.Logging(interceptor.LoggingOptions{Logger: log.logger()}))
	got, err := c.stream("a", "b", "c")
	if got != "a,b,c" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if n := len(log.lines()); n != 1 {
		t.Errorf("there are %d records: %q", n, log.lines())
	}
}

func TestLevel_KnowsAllCodes(t *testing.T) {
	levels := map[slog.Level]int{}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		levels[interceptor.Level(code)]++
	}
	if levels[slog.LevelInfo] != 6 || levels[slog.LevelWarn] != 7 || levels[slog.LevelError] != 4 {
		t.Errorf("got %v", levels)
	}
	if interceptor.Level(99) != slog.LevelError {
		t.Error("a code that does not exist is not an error")
	}
}
