package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/gogreeter/gogreeter/runtime"
)

// watch is an observer that insists on one end for each beginning.
type watch struct {
	begun, ended, again, entered, left, refused atomic.Uint64
	opened, closed                              atomic.Uint64
}

// observed is what a watch has seen.
type observed struct {
	Begun, Ended  uint64 // RPCs
	Again         uint64 // ends of RPCs that had ended before
	Entered, Left uint64 // handlers
	Refused       uint64 // requests that did not become RPCs
	Opened        uint64 // connections, those included whose handshake fails
	Closed        uint64
}

func (w *watch) read() observed {
	return observed{
		w.begun.Load(), w.ended.Load(), w.again.Load(), w.entered.Load(), w.left.Load(), w.refused.Load(),
		w.opened.Load(), w.closed.Load(),
	}
}

// judge says what is wrong once no RPC is active. counted is how many requests Stats has.
func (o observed) judge(counted uint64) (wrong []string) {
	fmt.Printf("observed: %+v\n\n", o)
	if o.Ended != o.Begun || o.Again != 0 || o.Left != o.Entered {
		wrong = append(wrong, fmt.Sprintf("%d RPCs have begun and %d ended, %d of them again; %d handlers were entered and %d left",
			o.Begun, o.Ended, o.Again, o.Entered, o.Left))
	}
	if o.Begun+o.Refused != counted {
		wrong = append(wrong, fmt.Sprintf("%d RPCs and %d refusals were observed, and %d counted", o.Begun, o.Refused, counted))
	}
	if o.Closed > o.Opened {
		wrong = append(wrong, fmt.Sprintf("%d connections were opened, and %d closed", o.Opened, o.Closed))
	}
	return wrong
}

func (w *watch) ObserveConnection(runtime.ConnectionInfo) runtime.ConnectionObserver {
	w.opened.Add(1)
	return w
}

func (w *watch) ObserveConnectionEvent(event runtime.ConnectionEvent) {
	switch event.Kind {
	case runtime.ConnectionRefused:
		if event.Reason != runtime.RefusedStream { // package http2 has, and Stats does not know of it
			w.refused.Add(1)
		}
	case runtime.ConnectionClosed:
		w.closed.Add(1)
	}
}

func (w *watch) BeginRPC(ctx context.Context, _ *runtime.RPCInfo) (context.Context, runtime.RPCObserver) {
	w.begun.Add(1)
	return ctx, &watched{watch: w}
}

// watched is one RPC.
type watched struct {
	watch *watch
	ended atomic.Bool
}

func (r *watched) ObserveRPCEvent(event runtime.RPCEvent) {
	switch event.Kind {
	case runtime.RPCHandlerEntered:
		r.watch.entered.Add(1)
	case runtime.RPCHandlerLeft:
		r.watch.left.Add(1)
	case runtime.RPCEnded:
		r.watch.ended.Add(1)
		if r.ended.Swap(true) {
			r.watch.again.Add(1)
		}
	}
}
