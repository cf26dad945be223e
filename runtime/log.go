package runtime

import (
	"context"
	"log/slog"
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
