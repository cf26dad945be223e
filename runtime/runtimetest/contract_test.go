package runtimetest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/runtimetest"
)

// TestContract_Print prints what a test is given from another goroutine, while the servicer's method writes it. It is for
// the race detector.
func TestContract_Print(t *testing.T) {
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{Method: "/t.S/M"})
	defer recorder.End()
	responses := &runtimetest.Responses[runtime.RawMessage]{}
	var printing sync.WaitGroup
	printing.Go(func() {
		for range 100 {
			for _, value := range []any{recorder, responses} {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
					_ = fmt.Sprintf(verb, value)
				}
			}
			_ = fmt.Sprintf("%v %+v %s", ctx, ctx, ctx)
		}
	})
	for i := range 100 {
		if err := runtime.SetTrailingMetadata(ctx, runtime.Pairs("n", fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
		runtime.AddCallback(ctx, func() {})
		if err := responses.Send(&runtime.RawMessage{}); err != nil {
			t.Error(err)
		}
	}
	printing.Wait()
}

// TestContract_Append appends to what is handed out, and changes it. The next call returns what was there.
func TestContract_Append(t *testing.T) {
	sent := append(make(runtime.Metadata, 0, 5), runtime.Pairs("k", "v")...)
	ctx, recorder := runtimetest.NewContext(context.Background(), runtimetest.RPC{InvocationMetadata: sent})
	defer recorder.End()
	if md := runtime.InvocationMetadata(ctx); cap(md) != len(md) {
		t.Errorf("the invocation metadata has room for %d", cap(md))
	}
	if err := runtime.SendInitialMetadata(ctx, sent); err != nil {
		t.Fatal(err)
	}
	md, _ := recorder.InitialMetadata()
	md[0].Value = "changed"
	if md, _ := recorder.InitialMetadata(); md.Get("k") != "v" {
		t.Errorf("the initial metadata has %q", md.Get("k"))
	}
}
