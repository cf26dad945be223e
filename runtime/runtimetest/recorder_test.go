package runtimetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestRecorder_TrailingMetadataIsNobodysElse changes what was given to the recorder, and what it has returned.
func TestRecorder_TrailingMetadataIsNobodysElse(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
	defer recorder.End()
	set := runtime.Pairs("k", "v")
	if err := runtime.SetTrailingMetadata(ctx, set); err != nil {
		t.Fatal(err)
	}
	set[0].Value = "changed by the handler"
	runtime.TrailingMetadata(ctx)[0].Value = "changed by the caller"
	recorder.TrailingMetadata()[0].Value = "changed by the test"
	if got := recorder.TrailingMetadata().Get("k"); got != "v" {
		t.Errorf("the trailing metadata was %s", got)
	}
}

// TestRecorder_EndWaitsForCallbacks has a callback that takes its time.
func TestRecorder_EndWaitsForCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, recorder := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
		returned := false
		runtime.AddCallback(ctx, func() {
			time.Sleep(time.Minute)
			returned = true
		})
		recorder.End()
		if !returned {
			t.Error("End has returned before the callback")
		}
	})
}

// TestRecorder_CancelEndsTheRPC has the handler call Cancel, and nobody End.
func TestRecorder_CancelEndsTheRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, _ := runtimetest.NewContext(t.Context(), runtimetest.RPC{})
		called := false
		runtime.AddCallback(ctx, func() { called = true })
		runtime.Cancel(ctx)
		synctest.Wait()
		if ctx.Err() != context.Canceled || !called {
			t.Errorf("after Cancel: %v, callback called %v", ctx.Err(), called)
		}
	})
}
