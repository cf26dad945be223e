package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// MethodHandler is one method, ready to be called: its cardinality, its codecs, and the behavior that the application
// gave it. It is immutable; make one with [UnaryUnary], [UnaryStream], [StreamUnary],
// [StreamStream] or [NewMethodHandler].
type MethodHandler struct {
	cardinality Cardinality
	requests    *codec
	responses   *codec
	untyped     bool     // NewMethodHandler has made it
	executor    Executor // nil: the server's choice
	maxRequest  int      // octets; 0: the server's choice

	// newRequest makes the message that the request is decoded into before behavior is called; nil: behavior asks for requests.
	newRequest func() any

	// behavior runs the application's function. A method with one response returns it; any other returns nil.
	behavior func(ctx context.Context, e exchange, request any) (response any, err error)

	// err is why the handler cannot be used; it comes to light when the handler is registered.
	err error
}

// check reports why a handler cannot be used. The constructors cannot return an error, since generated code calls them in the
// middle of a literal.
func (h *MethodHandler) check() error {
	if h.err == nil && h.behavior == nil {
		return errors.New("the handler was not made by UnaryUnary, UnaryStream, StreamUnary, StreamStream or NewMethodHandler")
	}
	return h.err
}

// exchange is an RPC as the behavior of a method sees it. The errors are what the handler is to return, or gets from its
// iterator or stream; they carry statuses.
type exchange interface {
	fmt.Stringer

	// fields returns all fields of the request.
	fields() Metadata

	// decodeRequest decodes the request of a method that has one.
	decodeRequest(ctx context.Context, c *codec, into any) error

	// receive waits for the next request of a stream, and decodes it. The error is io.EOF behind the last one. A request that it
	// cannot decode ends the RPC.
	receive(ctx context.Context, c *codec, into any) error

	// send sends a response of a stream; nil, which is a mistake of the handler's, ends the RPC.
	send(ctx context.Context, c *codec, response any) error

	// logEncodeError logs why a response cannot be sent, and returns the error that says so.
	logEncodeError(why any) error
}

// Cardinality returns how many messages the method takes and gives.
func (h *MethodHandler) Cardinality() Cardinality { return h.cardinality }

// WithExecutor returns a handler that is the same but runs on e: an executor made by [NewExecutor], [Inline] or
// [Unbounded]. ServerOptions.Methods has precedence over it.
func (h *MethodHandler) WithExecutor(e Executor) *MethodHandler {
	with := *h
	with.executor = e
	return &with
}

// WithMaxReceiveMessageBytes returns a handler that is the same but takes requests of at most n octets, before and after
// inflating, as far as ServerOptions.MaxReceiveMessageBytes permits as many. A larger one ends its RPC with RESOURCE_EXHAUSTED. A
// method that needs small requests only is cheap to protect by it: 4 KiB on the wire may inflate to 4 MiB. n is positive.
func (h *MethodHandler) WithMaxReceiveMessageBytes(n int) *MethodHandler {
	with := *h
	with.maxRequest = n
	return &with
}

// MethodOptions configures a method.
type MethodOptions struct {
	// Executor is where the method's handlers run. Default: what the handler itself asks for, or else ServerOptions.Workers.
	Executor Executor
}

// Executor says where the handlers of a method run: [Inline], [Unbounded], or what [NewExecutor] makes. On each server that uses
// it, one of the latter is a bound of its own.
type Executor interface{ executor() }

type (
	inlineExecutor    struct{}
	unboundedExecutor struct{}
	boundedExecutor   struct{ workers int }
)

func (inlineExecutor) executor()    {}
func (unboundedExecutor) executor() {}
func (*boundedExecutor) executor()  {}

// NewExecutor returns an executor that runs a number of handlers at a time; further RPCs wait in the order in which
// they came. AddService refuses methods with one whose number of workers is not positive. Make it once, not for each RPC: servers
// keep what they have seen.
func NewExecutor(workers int) Executor { return &boundedExecutor{workers} }

var (
	// Unbounded runs handlers at once, whatever ServerOptions.Workers says.
	Unbounded unboundedExecutor

	// Inline runs handlers on the goroutine that reads their connection, for methods that never block and take a few
	// microseconds: it saves handing the RPC over, and holds up the connection while the handler runs. A handler that
	// takes longer than 10 ms is reported to the log, its method no longer runs inline, and another goroutine goes on
	// reading the connection. Methods with a stream of requests or responses wait for the connection, and do not run
	// inline at all. On a server with interceptors no method does, since these may block: Inline is Unbounded there.
	Inline inlineExecutor
)

// method is a method handler in the dispatch dictionary.
type method struct {
	*MethodHandler
	path       string
	descriptor protoreflect.MethodDescriptor // nil if the service was added without
	bound      *work.Bound                   // nil: the server's choice
	unbounded  bool                          // not even ServerOptions.Workers bounds it
	inline     atomic.Bool
	counters   *counters
}
