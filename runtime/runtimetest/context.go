package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
)

// RPC describes an RPC of a test's own making. The zero value is one without metadata and deadline.
type RPC struct {
	// Method is the full path of the method, "/package.Service/Method".
	Method string

	// InvocationMetadata is what the client is said to have sent.
	InvocationMetadata runtime.Metadata

	// Peer is who the client is said to be. Default: a client in memory, without TLS.
	Peer *peer.Peer

	// Timeout is the time that the client gives the RPC. Default: no deadline.
	Timeout time.Duration
}

// NewContext returns a context that stands for an RPC, to call a servicer's method with, and the recorder of what the
// method does to its RPC. The functions of package runtime that take a context work with it as they do with a server's,
// and so do those of grpc-go's packages metadata and peer. The recorder's End has to be called, or parent cancelled.
func NewContext(parent context.Context, rpc RPC) (context.Context, *Recorder) {
	if rpc.Peer == nil {
		rpc.Peer = &peer.Peer{Addr: Addr{}, LocalAddr: Addr{}}
	}
	ctx := peer.NewContext(metadata.NewIncomingContext(parent, rpc.InvocationMetadata.MD()), rpc.Peer)
	r := &Recorder{rpc: rpc, ended: make(chan struct{}), stopping: make(chan struct{})}
	if rpc.Timeout > 0 {
		ctx, r.cancel = context.WithTimeout(ctx, rpc.Timeout)
	} else {
		ctx, r.cancel = context.WithCancel(ctx)
	}
	r.ctx = ctx
	context.AfterFunc(ctx, r.callBack)
	return runtime.NewContext(ctx, (*servicerContext)(r)), r
}

// Recorder is the RPC that a context of [NewContext] stands for, from the test's side. Its methods may be called by any
// goroutine.
type Recorder struct {
	// Immutable after NewContext.
	rpc    RPC
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // closed when the callbacks have been called

	stopOnce sync.Once
	stopping chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	initial     runtime.Metadata
	initialSent bool
	trailing    runtime.Metadata
	compression runtime.Compression
	plainNext   int
	callbacks   []func()
	isOver      bool // callbacks are no longer taken
	cancelled   bool
}

// Format implements fmt.Formatter: it prints the method. Package fmt would read all fields, while the handler writes them.
func (r *Recorder) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "recorder of %q", r.rpc.Method) }

// End ends the RPC, as a server does after the handler has returned and as a client does that gives up: the context is
// done, the callbacks are called, and End returns when the last of them has returned. Further calls do nothing. It must
// not be called by a callback.
func (r *Recorder) End() {
	r.cancel()
	<-r.ended
}

// Stop has the handler see that its server begins to stop, by runtime.Stopping. The RPC goes on. Further calls do nothing.
func (r *Recorder) Stop() { r.stopOnce.Do(func() { close(r.stopping) }) }

// InitialMetadata returns what the handler has sent with SendInitialMetadata, and whether it has.
func (r *Recorder) InitialMetadata() (md runtime.Metadata, sent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.initial), r.initialSent
}

// TrailingMetadata returns what the handler has set last with SetTrailingMetadata.
func (r *Recorder) TrailingMetadata() runtime.Metadata {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(runtime.Metadata(nil), r.trailing...)
}

// Compression returns what the handler has set with SetCompression.
func (r *Recorder) Compression() runtime.Compression {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.compression
}

// UncompressedMessages returns how often the handler has called DisableNextMessageCompression.
func (r *Recorder) UncompressedMessages() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plainNext
}

// Cancelled reports whether the handler has called Cancel.
func (r *Recorder) Cancelled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cancelled
}

// callBack is called once, when the context is done.
func (r *Recorder) callBack() {
	defer close(r.ended)
	defer r.cancel() // which frees the timer
	r.mu.Lock()
	r.isOver = true
	callbacks := r.callbacks
	r.mu.Unlock()
	for _, f := range callbacks {
		f()
	}
}

// over returns the status of an RPC that is over, or nil.
func (r *Recorder) over() error {
	switch err := r.ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "Deadline Exceeded")
	}
	return status.Error(codes.Canceled, "CANCELLED")
}

// servicerContext is the Recorder as a runtime.ServicerContext.
type servicerContext Recorder

func (c *servicerContext) recorder() *Recorder { return (*Recorder)(c) }

func (c *servicerContext) Format(f fmt.State, verb rune) { c.recorder().Format(f, verb) }
func (c *servicerContext) Method() string                { return c.rpc.Method }
func (c *servicerContext) InvocationMetadata() runtime.Metadata {
	return slices.Clip(c.rpc.InvocationMetadata)
}
func (c *servicerContext) Peer() *peer.Peer                   { return c.rpc.Peer }
func (c *servicerContext) TrailingMetadata() runtime.Metadata { return c.recorder().TrailingMetadata() }
func (c *servicerContext) Stopping() <-chan struct{}          { return c.stopping }

func (c *servicerContext) SendInitialMetadata(md runtime.Metadata) error {
	if err := c.recorder().over(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.initialSent {
		//lint:ignore ST1005 these are grpc-python's words
		return errors.New("Initial metadata no longer allowed!")
	}
	c.initial, c.initialSent = append(runtime.Metadata(nil), md...), true
	return nil
}

func (c *servicerContext) SetTrailingMetadata(md runtime.Metadata) error {
	if err := c.recorder().over(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trailing = append(runtime.Metadata(nil), md...)
	return nil
}

func (c *servicerContext) SetCompression(compression runtime.Compression) error {
	if err := c.recorder().over(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.initialSent {
		return errors.New("gogreeter: the compression can no longer be set: initial metadata has been sent")
	}
	c.compression = compression
	return nil
}

func (c *servicerContext) DisableNextMessageCompression() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plainNext++
	return nil
}

func (c *servicerContext) AddCallback(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOver || c.ctx.Err() != nil {
		return false
	}
	c.callbacks = append(c.callbacks, f)
	return true
}

func (c *servicerContext) Cancel() error {
	c.mu.Lock()
	c.cancelled = true
	c.mu.Unlock()
	c.cancel()
	return nil
}
