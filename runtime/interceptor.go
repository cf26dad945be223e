package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Interceptor is called for every RPC, whatever its cardinality, around its handler: also for methods that do not
// exist and for requests that cannot be decoded. It calls next, or answers in the handler's place; what it returns is
// the status of the RPC, as if a handler had returned it. The context that it gives to next is the handler's.
//
// An interceptor runs on the goroutine of its own RPC, once the handler could run: for a method with one request, when
// the request has come.
type Interceptor func(ctx context.Context, call *Call, next Next) error

// Next is the rest of the chain: the interceptors after this one, and then the handler, whose response has been encoded
// when it returns. Its error is the status that the RPC is going to have: nil is OK.
//
// The handler is called once at most, since it consumes the requests. An interceptor that calls next again gets the
// status INTERNAL.
type Next func(ctx context.Context, call *Call) error

// Call is an RPC, as an interceptor sees it. It is used by one goroutine at a time, and not after the interceptor has
// returned: then Respond and Next fail.
type Call struct {
	rpc        *rpc
	path       string
	method     *method     // nil: not known
	entered    bool        // the handler has been called
	ended      atomic.Bool // the interceptors have returned: what is left of the call is nobody's
	onRequest  []func(ctx context.Context, request any) error
	onResponse []func(ctx context.Context, response any) error

	// Of a method with one response.
	response any
	encoded  []byte  // the response, encoded; nil: there is none
	worker   *worker // whose buffer encoded may be
}

// Format implements fmt.Formatter: it prints the path that the client sent. Package fmt would read all fields, while the
// handler's goroutine writes them.
func (c *Call) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "call of %q", c.rpc.def.path) }

// Method returns the full path of the method, "/package.Service/Method".
func (c *Call) Method() string { return c.path }

// SetMethod has the RPC handled by another method, one that AddService has added. It has to be called before next, and
// does nothing once a handler has been called.
func (c *Call) SetMethod(path string) {
	if c.entered || c.ended.Load() {
		return
	}
	c.path = path
	c.method = c.rpc.conn.server.table.Load().methods[path]
	if c.method != nil {
		c.rpc.offerRequest(c.method.requestStreaming)
	}
}

// offerRequest puts the request, of an RPC that was begun as one with a single request, where the handler is going to ask
// for it: as the first of several, or as the only one. It is never in both places: who takes it may give its memory back.
func (r *rpc) offerRequest(streaming bool) {
	if r.requestStreaming {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch offered := r.noMore; {
	case streaming && !offered && !r.isOver:
		r.queue, r.noMore = []message{r.request}, true
		r.request = message{}
	case !streaming && offered && !r.isOver:
		r.request = r.queue[0]
		r.queue, r.noMore = nil, false
	}
}

// Known reports whether there is a handler for the method.
func (c *Call) Known() bool { return c.method != nil }

// Handler returns the method's handler, or nil if there is none.
func (c *Call) Handler() *MethodHandler {
	if c.method == nil {
		return nil
	}
	return c.method.MethodHandler
}

// Descriptor returns the descriptor of the method, which has its options, or nil if the method is not known or was not
// described.
func (c *Call) Descriptor() protoreflect.MethodDescriptor {
	if c.method == nil {
		return nil
	}
	return c.method.descriptor
}

// ShortenDeadline has the RPC end with DEADLINE_EXCEEDED at a time, whether the handler heeds its context or not. A
// deadline that is earlier already stays. The zero time is no deadline.
func (c *Call) ShortenDeadline(deadline time.Time) {
	if deadline.IsZero() {
		return
	}
	r := c.rpc
	r.mu.Lock()
	earlier := !r.isOver && (r.deadline.IsZero() || deadline.Before(r.deadline))
	if earlier {
		r.deadline = deadline
	}
	r.mu.Unlock()
	if earlier {
		r.conn.watchDeadline(deadline)
	}
}

// OnRequest has f called with each request, a pointer to the message, before the handler sees it. f may change the
// message; an error ends the RPC with its status. It has to be called before next.
func (c *Call) OnRequest(f func(ctx context.Context, request any) error) {
	c.onRequest = append(c.onRequest, f)
}

// OnResponse has f called with each response, a pointer to the message, before it is encoded. f may change the message;
// an error ends the RPC with its status. It has to be called before next.
func (c *Call) OnResponse(f func(ctx context.Context, response any) error) {
	c.onResponse = append(c.onResponse, f)
}

// Response returns the response of a method with one, once next has returned; nil if there is none. It has been encoded:
// to change it, use OnResponse, or change it and call Respond with it.
func (c *Call) Response() any { return c.response }

// Respond answers with a response in the handler's place, or, after next, instead of the handler's response. For a
// method with a stream of responses, it sends one of them. An error says why the response cannot be sent; returned, it
// is the status of the RPC.
func (c *Call) Respond(ctx context.Context, response any) error {
	if c.ended.Load() {
		return errors.New("gogreeter: Respond: the interceptor has returned")
	}
	codec, err := codecFor(response)
	if err != nil {
		return fmt.Errorf("gogreeter: Respond: %w", err)
	}
	if v := reflect.ValueOf(response); v.Kind() == reflect.Pointer && v.IsNil() {
		return c.rpc.unserializable("Respond was called with nil")
	}
	if c.method != nil && c.method.responseStreaming {
		return c.rpc.send(ctx, codec, response)
	}
	return c.encode(ctx, codec, response)
}

// encode makes response the only response of the RPC.
func (c *Call) encode(ctx context.Context, codec *codec, response any) (err error) {
	c.drop()
	if c.encoded, err = c.rpc.encode(ctx, c.worker, codec, response); err == nil {
		c.response = response
	}
	return err
}

// drop takes the response back.
func (c *Call) drop() {
	if c.encoded != nil {
		c.worker.putBuffer(c.encoded)
	}
	c.response, c.encoded = nil, nil
}

// chain composes interceptors, the first of which is outermost, around the handler. It is done once for a server.
func chain(interceptors []Interceptor) Next {
	if len(interceptors) == 0 {
		return nil
	}
	next := callHandler
	for i := len(interceptors) - 1; i >= 0; i-- {
		interceptor, inner := interceptors[i], next
		if interceptor == nil {
			panic(fmt.Sprintf("gogreeter: NewServer: Options.Interceptors[%d] is nil", i))
		}
		next = func(ctx context.Context, call *Call) error { return interceptor(ctx, call, inner) }
	}
	return next
}

// callHandler is the innermost part of a chain.
func callHandler(ctx context.Context, call *Call) error {
	if call.ended.Load() {
		return outcome{code: codes.Internal, details: "an interceptor called next after it had returned"}.err()
	}
	if call.method == nil {
		return methodNotFound.outcome.err()
	}
	if call.entered {
		return outcome{code: codes.Internal, details: "an interceptor called next twice: the requests have been consumed"}.err()
	}
	if call.rpc.inlined && call.method.responseStreaming {
		// It may have to wait for what only the reader can bring.
		return outcome{code: codes.Internal, details: "an RPC that runs inline cannot be handed to a method that streams"}.err()
	}
	call.entered = true
	response, err := call.method.behavior(ctx, call.rpc)
	if call.rpc.over() {
		return call.rpc.endError() // whatever the handler returned, it was too late
	}
	if err != nil || call.method.responseStreaming {
		return err
	}
	return call.encode(ctx, call.method.responses, response)
}

// intercepted runs the chain, and returns what answer does.
func (r *rpc) intercepted(w *worker, next Next) (response []byte, err error) {
	call := &Call{rpc: r, path: r.def.path, method: r.method, worker: w}
	r.call = call
	defer call.ended.Store(true) // from then on, worker and encoded are others'
	if err := next(r, call); err != nil {
		call.drop()
		return nil, err
	}
	r.mu.Lock()
	r.method = call.method
	r.mu.Unlock()
	switch {
	case call.encoded != nil:
	case r.method == nil:
		return nil, outcome{code: codes.Internal, details: "an interceptor answered a method that is not known with neither a response nor an error"}.err()
	case !r.method.responseStreaming:
		return nil, r.unserializable(noResponse)
	}
	return call.encoded, nil
}

// observe calls hooks with a message.
func observe(ctx context.Context, hooks []func(context.Context, any) error, message any) error {
	for _, hook := range hooks {
		if err := hook(ctx, message); err != nil {
			return err
		}
	}
	return nil
}

// onlyMessage takes the request of a method that has one from an RPC that was begun as a stream: its method was not
// known, or was another, before an interceptor set it.
func (r *rpc) onlyMessage() (message, error) {
	m, err := r.nextMessage()
	if err == nil {
		if _, end := r.nextMessage(); end == io.EOF {
			return m, nil
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = notOneRequest(r.call.path).err()
	}
	return message{}, err
}
