package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/excerpt"
	"github.com/gogreeter/gogreeter/runtime/internal/naming"
	"github.com/gogreeter/gogreeter/runtime/internal/work"
)

// ServerInterceptor is called for every RPC, whatever its cardinality, around its handler: also for methods that do not
// exist and for requests that cannot be decoded. It calls next, or answers in the handler's place; what it returns is
// the status of the RPC, as if a handler had returned it. The context that it gives to next is the handler's.
//
// An interceptor that returns nil although neither next nor [ServerCall.Respond] has answered ends the RPC with INTERNAL, and is
// reported to the log.
//
// An interceptor runs on the goroutine of its own RPC, as soon as the field block of the request has come. The request
// itself may come later, or never: next waits for it, if the method has one. Next waits for the handler's turn too, if
// ServerOptions.Workers or an executor bounds how many run. Neither keeps an interceptor waiting, so that a client that it refuses
// cannot tell by any answer, nor by when it comes, whether a method exists.
type ServerInterceptor func(ctx context.Context, call *ServerCall, next ServerNext) error

// ServerNext is the rest of the chain: the interceptors after this one, and then the handler, whose response has been encoded
// when it returns. Its error carries the status that the client gets unless an interceptor changes it: status.FromError
// tells its code and text, also if the handler's error has no status, and if the RPC has been ended meanwhile, by its
// deadline for example. The handler's error can be found in it by errors.Is and errors.As. Nil is OK.
//
// A handler that panics or calls runtime.Goexit does not return, and neither does next: only deferred functions run. The
// RPC then ends with UNKNOWN, unless an interceptor recovers and returns an error of its own.
//
// The handler is called once at most, since it consumes the requests. An interceptor that calls next again gets the
// status INTERNAL.
type ServerNext func(ctx context.Context, call *ServerCall) error

// intercepted is an RPC, as its ServerCall sees it.
type intercepted interface {
	// send sends a response of a stream.
	send(ctx context.Context, c *codec, response any) error

	// encode encodes the only response of a method, in the worker's buffer if it has the room. drop gives both back.
	encode(ctx context.Context, w *work.Worker, c *codec, response any, e *encoded) error
	drop(w *work.Worker, e *encoded)

	// logEncodeError logs why a response cannot be encoded, and returns the error that says so.
	logEncodeError(why any) error

	// lookUp returns the method that AddService has added under a path; nil: there is none.
	lookUp(path string) *method

	// setMethod has the RPC count for a method.
	setMethod(m *method)

	// offerRequest puts the request where the handler of a method is going to ask for it.
	offerRequest(streaming bool)

	// shortenDeadline makes the RPC end at a time, if it does not end earlier.
	shortenDeadline(deadline time.Time)

	// handle runs the handler of a method, once it has what it needs. ran says that it has returned.
	handle(ctx context.Context, m *method, path string) (response any, ran bool, err error)

	// endedWith reports whether the RPC has ended, and how interceptors see that which have had err from further in.
	endedWith(err error) (end error, ended bool)
}

// ServerCall is an RPC, as an interceptor sees it. It is used by one goroutine at a time, and not after the interceptor has
// returned: then Respond and next fail.
type ServerCall struct {
	rpc        intercepted
	sent       string // the path that the client sent
	path       string
	method     *method     // nil: not known
	missing    *refusal    // why
	entered    bool        // the handler has been called
	answered   bool        // it has returned, or Respond has sent something: a stream of responses may end
	ended      atomic.Bool // the interceptors have returned: the call must not be used any more
	onRequest  []func(ctx context.Context, request any) error
	onResponse []func(ctx context.Context, response any) error
	logger     *slog.Logger

	// Of a method with one response.
	response any
	encoded  encoded
	worker   *work.Worker // whose buffer encoded may be in
}

// Format implements fmt.Formatter: it prints the path that the client sent. Package fmt would read all fields, while the
// handler's goroutine writes them.
func (c *ServerCall) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "call of %q", c.sent) }

// Method returns the full path of the method, "/package.Service/Method".
func (c *ServerCall) Method() string { return c.path }

// SetMethod selects another method to handle the RPC, one that AddService has added. Without such a method, the RPC is one
// for a method that is not known, and the error is what next returns for it. Once a handler has been called, SetMethod fails
// and changes nothing.
func (c *ServerCall) SetMethod(path string) error {
	if c.entered || c.ended.Load() {
		return outcome{Code: codes.Internal, Message: "an interceptor called SetMethod after next"}.Err()
	}
	c.path = path
	c.method, c.missing = c.rpc.lookUp(path), methodNotFound
	if c.method == nil {
		return c.missing.outcome.Err()
	}
	c.rpc.offerRequest(c.method.cardinality.RequestStreaming())
	return nil
}

// Handler returns the method's handler, or nil if there is none: the method is not known.
func (c *ServerCall) Handler() *MethodHandler {
	if c.method == nil {
		return nil
	}
	return c.method.MethodHandler
}

// Descriptor returns the descriptor of the method, which has its options, or nil if the method is not known or was not
// described.
func (c *ServerCall) Descriptor() protoreflect.MethodDescriptor {
	if c.method == nil {
		return nil
	}
	return c.method.descriptor
}

// ShortenDeadline makes the RPC end with DEADLINE_EXCEEDED at a time, whether the handler heeds its context or not. A
// deadline that is earlier already stays. The zero time is no deadline.
func (c *ServerCall) ShortenDeadline(deadline time.Time) {
	if !deadline.IsZero() {
		c.rpc.shortenDeadline(deadline)
	}
}

// OnRequest makes the server call f with each request, a pointer to the message, before the handler sees it. f may
// change the message; an error ends the RPC with its status. It has to be called before next.
func (c *ServerCall) OnRequest(f func(ctx context.Context, request any) error) {
	c.onRequest = append(c.onRequest, f)
}

// OnResponse makes the server call f with each response, a pointer to the message, before it is encoded. f may change
// the message; an error ends the RPC with its status. It has to be called before next.
func (c *ServerCall) OnResponse(f func(ctx context.Context, response any) error) {
	c.onResponse = append(c.onResponse, f)
}

// Response returns the response of a method with one, once next has returned; nil if there is none. It has been encoded:
// to change it, use OnResponse, or change it and call Respond with it.
func (c *ServerCall) Response() any { return c.response }

// Respond answers with a response in the handler's place, or, after next, instead of the handler's response. For a
// method with a stream of responses, it sends one of them. An error says why the response cannot be sent; returned, it
// is the status of the RPC.
func (c *ServerCall) Respond(ctx context.Context, response any) error {
	if c.ended.Load() {
		return errors.New("gogreeter: Respond: the interceptor has returned")
	}
	codec, err := codecFor(response)
	if err != nil {
		return fmt.Errorf("gogreeter: Respond: %w", err)
	}
	if isNil(response) {
		return c.rpc.logEncodeError("Respond was called with nil")
	}
	if c.method != nil && c.method.cardinality.ResponseStreaming() {
		err := c.rpc.send(ctx, codec, response)
		c.answered = c.answered || err == nil
		return err
	}
	return c.encode(ctx, codec, response)
}

// encode makes response the only response of the RPC.
func (c *ServerCall) encode(ctx context.Context, codec *codec, response any) (err error) {
	c.drop()
	if err = c.rpc.encode(ctx, c.worker, codec, response, &c.encoded); err == nil {
		c.response = response
	}
	return err
}

// drop takes the response back.
func (c *ServerCall) drop() {
	if c.encoded.data != nil || c.encoded.reserved > 0 { // the latter if the code of the message has ended the goroutine
		c.rpc.drop(c.worker, &c.encoded)
	}
	c.response = nil
}

// Chain composes interceptors to one. The first is outermost. It panics if one of them is nil.
func Chain(interceptors ...ServerInterceptor) ServerInterceptor {
	if i := slices.IndexFunc(interceptors, func(i ServerInterceptor) bool { return i == nil }); i >= 0 {
		panic(fmt.Sprintf("gogreeter: Chain: interceptor %d is nil", i))
	}
	return chained(slices.Clone(interceptors)).intercept
}

// chained is what Chain composes.
type chained []ServerInterceptor

func init() { naming.Mark(chained(nil).intercept) }

func (c chained) intercept(ctx context.Context, call *ServerCall, next ServerNext) error {
	if question, ok := ctx.(*naming.Question); ok {
		ask(question, c)
		return nil
	}
	return around(c, next)(ctx, call)
}

// chain composes interceptors, the first of which is outermost, around the handler. It is done once for a server.
func chain(interceptors []ServerInterceptor) ServerNext {
	if i := slices.IndexFunc(interceptors, func(i ServerInterceptor) bool { return i == nil }); i >= 0 {
		panic(fmt.Sprintf("gogreeter: NewServer: ServerOptions.Interceptors[%d] is nil", i))
	}
	if len(interceptors) == 0 {
		return nil
	}
	return around(interceptors, callHandler)
}

// around returns next behind interceptors.
func around(interceptors []ServerInterceptor, next ServerNext) ServerNext {
	for i := len(interceptors) - 1; i >= 0; i-- {
		interceptor, inner := interceptors[i], next
		next = func(ctx context.Context, call *ServerCall) error { return call.judge(interceptor(ctx, call, inner)) }
	}
	return next
}

// judge translates an interceptor's error for the interceptors further out: the status that the client gets if they
// change nothing.
func (c *ServerCall) judge(err error) error {
	end, ended := c.rpc.endedWith(err)
	switch {
	case ended:
		return end // whatever was returned, it was too late
	case err != nil:
		return withStatus(err)
	case c.encoded.data != nil || c.answered && c.method != nil && c.method.cardinality.ResponseStreaming():
		return nil
	}
	c.logger.Error("An interceptor returned nil without an answer", "method", excerpt.Of(c.path), "called_next", c.entered)
	return unanswered.Err()
}

var unanswered = outcome{Code: codes.Internal, Message: "an interceptor returned neither a response nor an error"}

// callHandler is the innermost part of a chain.
func callHandler(ctx context.Context, call *ServerCall) error {
	if call.ended.Load() {
		return outcome{Code: codes.Internal, Message: "an interceptor called next after it had returned"}.Err()
	}
	if call.method == nil {
		return call.missing.outcome.Err()
	}
	if call.entered {
		return outcome{Code: codes.Internal, Message: "an interceptor called next twice: the requests have been consumed"}.Err()
	}
	call.entered = true
	call.rpc.setMethod(call.method) // however the handler ends, or the RPC meanwhile, it counts for this method
	response, ran, err := call.rpc.handle(ctx, call.method, call.path)
	call.answered = call.answered || ran
	end, ended := call.rpc.endedWith(err)
	if err == nil && !call.method.cardinality.ResponseStreaming() && !ended {
		err = call.encode(ctx, call.method.responses, response)
		end, ended = call.rpc.endedWith(err)
	}
	switch {
	case ended:
		return end
	case err != nil:
		return withStatus(err)
	}
	return nil
}

// run calls the interceptors, and returns the response of a method with one, encoded.
func (c *ServerCall) run(ctx context.Context, chain ServerNext) (response encoded, err error) {
	defer func() {
		if response.data == nil {
			c.drop() // after a panic too
		}
		c.ended.Store(true) // from then on, worker and encoded are others'
	}()
	if err := chain(ctx, c); err != nil {
		return encoded{}, err
	}
	c.rpc.setMethod(c.method)
	return c.encoded, nil
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

// ask asks those interceptors that answer.
func ask(question *naming.Question, interceptors []ServerInterceptor) {
	for _, interceptor := range interceptors {
		if naming.Answers(interceptor) {
			_ = interceptor(question, nil, nil) // the answer is in question
		}
	}
}
