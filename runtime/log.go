package runtime

import (
	"context"
	"log/slog"
)

// guardedLog is the user's slog.Handler with its panics kept to itself: what cannot be logged must not end the process, nor
// the RPC that it is about. A handler that ends its goroutine (runtime.Goexit, as t.FailNow does) ends that of whatever is
// logged, as other code of the application's does that runs there; what must happen in spite of that is deferred.
type guardedLog struct{ slog.Handler }

func (g guardedLog) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	safely(func() { enabled = g.Handler.Enabled(ctx, level) }, ignorePanic)
	return enabled
}

func (g guardedLog) Handle(ctx context.Context, record slog.Record) (err error) {
	safely(func() { err = g.Handler.Handle(ctx, record) }, ignorePanic)
	return err
}
