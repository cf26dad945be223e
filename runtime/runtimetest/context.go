package runtimetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gogreeter/gogreeter/runtime"
	"github.com/gogreeter/gogreeter/runtime/internal/carrier"
	"github.com/gogreeter/gogreeter/runtime/internal/servicer"
)

// RPC describes an RPC of a test's own making. The zero value is one without metadata and deadline.
type RPC struct {
	// Method is the full path of the method, "/package.Service/Method".
	Method string

	// Authority is the host that the client asks for. grpc-go's handlers find it in the incoming metadata as ":authority".
	// Default "localhost".
	Authority string

	// InvocationMetadata is the client's metadata.
	InvocationMetadata runtime.Metadata

	// Peer is the client. Default: a client in memory, without TLS.
	Peer *peer.Peer

	// Timeout is the time that the client gives the RPC. Default: no deadline.
	Timeout time.Duration
}

const defaultAuthority = "localhost"

// incoming is the metadata as handlers written for grpc-go find it.
func (rpc *RPC) incoming() metadata.MD {
	md := rpc.InvocationMetadata.MD()
	md.Set(":authority", cmp.Or(rpc.Authority, defaultAuthority))
	return md
}

// NewContext returns a context to call a servicer's method with, which stands for an RPC. The recorder tells what the method
// does to its RPC. The functions of package runtime that take a context work with it as they do with a server's. So do those
// of grpc-go's packages metadata and peer. The recorder's End has to be called, or parent cancelled.
func NewContext(parent context.Context, rpc RPC) (context.Context, *Recorder) {
	if rpc.Peer == nil {
		rpc.Peer = &peer.Peer{Addr: Addr{}, LocalAddr: Addr{}}
	}
	ctx := peer.NewContext(metadata.NewIncomingContext(parent, rpc.incoming()), rpc.Peer)
	r := &Recorder{rpc: rpc, ended: make(chan struct{}), stopping: make(chan struct{})}
	if rpc.Timeout > 0 {
		ctx, r.cancel = context.WithTimeout(ctx, rpc.Timeout)
	} else {
		ctx, r.cancel = context.WithCancel(ctx)
	}
	r.ctx = ctx
	context.AfterFunc(ctx, r.callBack)
	return context.WithValue(ctx, servicer.Key{}, (*servicerContext)(r)), r
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
	waiting     runtime.Metadata // set by SetInitialMetadata; it has not been sent
	initial     runtime.Metadata
	initialSent bool // by SendInitialMetadata, or there was some that waited
	headersSent bool // by that, or by a response
	trailing    runtime.Metadata
	compression runtime.Compression
	plainNext   int
	callbacks   []func()
	isOver      bool
	ending      error // the status, once isOver; nil: OK
	cancelled   bool
}

// Format implements fmt.Formatter: it prints the method. Package fmt would read all fields, while the handler writes them.
func (r *Recorder) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "recorder of %q", r.rpc.Method) }

// End ends the RPC, as a client does that gives up. The context is done, the callbacks are called, and End returns when the
// last of them has returned. Further calls do nothing. It must not be called by a callback.
func (r *Recorder) End() {
	r.mu.Lock()
	r.waiting = nil // nobody is left to get it
	r.mu.Unlock()
	r.end(status.Error(codes.Canceled, "CANCELLED"))
}

// Return ends the RPC with what the method has returned, as a server does. It returns what the client gets: nil, or an error
// with the status. That is CANCELLED, for example, if the RPC was over already, and INTERNAL if the response is a nil
// pointer or cannot be encoded. For a method with a stream of responses, response is nil. Like End, it calls the callbacks.
func (r *Recorder) Return(response any, err error) error {
	if err != nil {
		err = carrier.Outcome(err).Err()
	} else if response != nil {
		err = encodable(response)
	}
	r.end(err)
	return r.status()
}

// encodable returns the status of an RPC with a response that cannot be encoded, or nil.
func encodable(response any) error {
	if v := reflect.ValueOf(response); v.Kind() == reflect.Pointer && v.IsNil() {
		return status.Error(codes.Internal, "Failed to serialize response!")
	}
	return carrier.Encodable(response)
}

// end ends the RPC with a status, unless it is over, and waits until the callbacks have been called.
func (r *Recorder) end(ending error) {
	r.finish(ending)
	<-r.ended
}

// finish ends the RPC with a status, unless it is over. Without a recorder, it does nothing.
func (r *Recorder) finish(ending error) {
	if r == nil {
		return
	}
	r.mu.Lock()
	if !r.overLocked() {
		r.isOver, r.ending = true, ending
		r.sendHeadersLocked()
	}
	r.mu.Unlock()
	r.cancel()
}

// Stop has the handler see that its server begins to stop, by runtime.Stopping. The RPC goes on. Further calls do nothing.
func (r *Recorder) Stop() { r.stopOnce.Do(func() { close(r.stopping) }) }

// InitialMetadata returns what the client gets of initial metadata: what the handler has sent with SendInitialMetadata, and what
// it has set with SetInitialMetadata once that has been sent. It reports whether any has been sent.
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
	r.mu.Lock()
	r.overLocked()
	callbacks := r.callbacks
	r.mu.Unlock()
	for _, f := range callbacks {
		f()
	}
}

// overLocked reports whether the RPC is over. The context may have ended it: by its deadline, or because the test's is done.
func (r *Recorder) overLocked() bool {
	switch err := r.ctx.Err(); {
	case r.isOver:
	case errors.Is(err, context.DeadlineExceeded):
		r.isOver, r.ending = true, status.Error(codes.DeadlineExceeded, "Deadline Exceeded")
	case err != nil:
		r.isOver, r.ending = true, status.Error(codes.Canceled, "CANCELLED")
	}
	return r.isOver
}

// status returns how an RPC has ended that is over.
func (r *Recorder) status() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending
}

// overErrorLocked returns what an RPC that is over answers with, and nil for one that is not.
func (r *Recorder) overErrorLocked() error {
	switch {
	case !r.overLocked():
		return nil
	case r.ending == nil:
		return carrier.Ended
	}
	return r.ending
}

// overError returns why no request can be taken, or nil. Without a recorder, nothing is known to be over.
func (r *Recorder) overError() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.overErrorLocked()
}

// send notes that a response is sent, or returns why it cannot be.
func (r *Recorder) send() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.overErrorLocked()
	if err == nil {
		r.sendHeadersLocked()
	}
	return err
}

// sendHeadersLocked notes that the headers are sent, with the initial metadata that waits.
func (r *Recorder) sendHeadersLocked() {
	r.headersSent = true
	if len(r.waiting) > 0 {
		r.initial, r.initialSent, r.waiting = r.waiting, true, nil
	}
}

// servicerContext is the Recorder, as the functions of package runtime find it.
type servicerContext Recorder

var _ servicer.Context[runtime.Metadata, runtime.Compression] = (*servicerContext)(nil)

func (c *servicerContext) recorder() *Recorder { return (*Recorder)(c) }

func (c *servicerContext) Format(f fmt.State, verb rune) { c.recorder().Format(f, verb) }
func (c *servicerContext) Method() string                { return c.rpc.Method }
func (c *servicerContext) InvocationMetadata() runtime.Metadata {
	return slices.Clip(c.rpc.InvocationMetadata)
}
func (c *servicerContext) Peer() *peer.Peer                   { return c.rpc.Peer }
func (c *servicerContext) TrailingMetadata() runtime.Metadata { return c.recorder().TrailingMetadata() }
func (c *servicerContext) Stopping() <-chan struct{}          { return c.stopping }

func (c *servicerContext) SetInitialMetadata(md runtime.Metadata) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recorder().addInitialLocked(md)
}

func (c *servicerContext) SendInitialMetadata(md runtime.Metadata) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.recorder().addInitialLocked(md)
	if err == nil {
		c.recorder().sendHeadersLocked()
		c.initialSent = true
	}
	return err
}

// addInitialLocked adds to the initial metadata that waits.
func (r *Recorder) addInitialLocked(md runtime.Metadata) error {
	if err := r.overErrorLocked(); err != nil {
		return err
	}
	if r.headersSent {
		return runtime.ErrInitialMetadataSent
	}
	r.waiting = append(r.waiting, md...)
	return nil
}

func (c *servicerContext) SetTrailingMetadata(md runtime.Metadata) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.recorder().overErrorLocked(); err != nil {
		return err
	}
	c.trailing = append(runtime.Metadata(nil), md...)
	return nil
}

func (c *servicerContext) SetCompression(compression runtime.Compression) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.recorder().overErrorLocked(); err != nil {
		return err
	}
	if c.headersSent {
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
	if c.recorder().overLocked() {
		return false
	}
	c.callbacks = append(c.callbacks, f)
	return true
}

func (c *servicerContext) Cancel() error {
	c.mu.Lock()
	c.cancelled = true
	c.mu.Unlock()
	c.recorder().finish(status.Error(codes.Canceled, "CANCELLED"))
	return nil
}
