package runtime

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/gogreeter/gogreeter/runtime/internal/logtext"
)

// guardedLog is the user's slog.Handler with its panics kept to itself: what cannot be logged must not end the process,
// nor the RPC that it is about. A handler that ends its goroutine (runtime.Goexit, as t.FailNow does) ends one of its own.
type guardedLog struct{ slog.Handler }

func (g guardedLog) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	guard(func() { enabled = g.Handler.Enabled(ctx, level) })
	return enabled
}

func (g guardedLog) Handle(ctx context.Context, record slog.Record) (err error) {
	guard(func() { err = g.Handler.Handle(ctx, record) })
	return err
}

// guard calls f and returns, whatever f does.
func guard(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		f()
	}()
	<-done
}

// spawn runs f on a goroutine of its own. doing says for the log what it is.
func (s *Server) spawn(doing string, f func()) {
	go func() {
		defer s.contain(doing)
		f()
	}()
}

// contain is deferred by everything that runs on a goroutine or a timer of the server's: a panic there, of a user's code or
// by a mistake of ours, must not end the process.
func (s *Server) contain(doing string) {
	if reason := recover(); reason != nil {
		s.panicked(doing, reason)
	}
}

// panicked logs a panic. It is called while that unwinds the stack.
func (s *Server) panicked(doing string, reason any) {
	s.logger.Error("Exception in the server", "doing", doing, "panic", logtext.Cut(panicText(reason)),
		"stack", string(debug.Stack()))
}
