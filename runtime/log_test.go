package runtime

import (
	"context"
	"log/slog"
	goruntime "runtime"
	"testing"

	"google.golang.org/grpc/codes"
)

// badLog is a slog.Handler with mistakes in it.
type badLog struct{ enabled, handle func() }

func (l badLog) Enabled(context.Context, slog.Level) bool {
	l.enabled()
	return true
}

func (l badLog) Handle(context.Context, slog.Record) error {
	l.handle()
	return nil
}

func (l badLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l badLog) WithGroup(string) slog.Handler      { return l }

// TestServer_LogFails logs a panic by a handler that panics as well: the RPC gets its answer, and the server lives.
func TestServer_LogFails(t *testing.T) {
	fine := func() {}
	for name, f := range map[string]func(){
		"Panic":    func() { panic("no log") },
		"PanicNil": func() { panic(nil) },
		"Goexit":   goruntime.Goexit,
	} {
		for where, l := range map[string]badLog{"Enabled": {f, fine}, "Handle": {fine, f}} {
			for _, executor := range []*Executor{Unbounded, Inline} {
				runInBubble(t, name+"In"+where, func(t *testing.T) {
					s := NewServer(Options{Logger: slog.New(l)})
					broken := UnaryUnary(func(context.Context, *raw) (*raw, error) { panic("boom") })
					check(t, s.AddService(Service{Name: "t.S", Methods: handlers{"M": broken.WithExecutor(executor), "Echo": echo()}}))
					pipe := newPipeListener()
					check(t, s.AddListener(pipe))
					check(t, s.Start())
					c := newTestClient(t, pipe.dial())
					c.call("/t.S/M", "").result().want(codes.Unknown, "Exception calling application: boom")
					c.call("/t.S/Echo", "x").result().want(codes.OK, "", "x")
					<-s.Stop(0)
				})
			}
		}
	}
}
