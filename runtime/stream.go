package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/gogreeter/gogreeter/runtime/internal/locks"
)

// NewMethodHandler returns the handler of a method that learns the types of its messages only when it receives and sends
// them: one that forwards calls, or that stands on another framework's generated code. In all else it is as the handlers of
// its cardinality are that [UnaryUnary], [UnaryStream], [StreamUnary] and [StreamStream] make.
func NewMethodHandler(cardinality Cardinality, behavior func(ctx context.Context, stream *ServerStream) error) *MethodHandler {
	h := &MethodHandler{cardinality: cardinality, untyped: true, requests: anyCodec, responses: anyCodec}
	switch {
	case behavior == nil:
		h.err = errNoFunction
	case cardinality >= numCardinalities:
		h.err = fmt.Errorf("there is no %v", cardinality)
	}
	h.behavior = func(ctx context.Context, e exchange, _ any) (response any, err error) {
		s := &ServerStream{ctx: ctx, exchange: e, cardinality: cardinality}
		defer func() { response, err = s.leave(err) }() // also if the behavior panics
		return nil, behavior(ctx, s)
	}
	return h
}

var errNoFunction = errors.New("its function is nil")

// ServerStream is the requests and the responses of an RPC, for a handler that [NewMethodHandler] has made. Receive and Send
// take pointers to messages of any type that a typed handler may have: protobuf messages, and *[RawMessage].
//
// What fails for a typed handler before it is called, or when it has returned, fails here too: an RPC whose only request
// cannot be decoded, or that has no response or two where one belongs, ends with that error whatever its handler returns.
//
// Several goroutines may use a stream. It is of no use any more once the handler has returned.
type ServerStream struct {
	// Immutable.
	ctx         context.Context
	exchange    exchange
	cardinality Cardinality

	mu locks.Mutex[locks.Long]
	// Guarded by mu. All but failed are of methods with one request, or with one response.
	received bool  // the request has been taken
	response any   // nil: none yet
	failed   error // how the RPC ends; nil: as its handler says
	left     bool  // the handler has returned
}

// Format implements fmt.Formatter, as that of the rpc does.
func (s *ServerStream) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "stream of %v", s.exchange) }

// Fields returns all fields of the request; see [HandlerCallDetails.Fields].
func (s *ServerStream) Fields() Metadata { return s.exchange.fields() }

// Receive waits for the next request, and decodes it into message. It returns io.EOF after the last one, which is the first
// for a method with one request, and an error that carries a status if message cannot take the request, or once the RPC is
// over. A method with one request can do without it: what is not received is not decoded.
func (s *ServerStream) Receive(message any) error {
	if !s.cardinality.RequestStreaming() {
		return s.receiveOnly(message)
	}
	return s.exchange.receive(s.ctx, anyCodec, message)
}

// receiveOnly decodes the request of a method that has one.
func (s *ServerStream) receiveOnly(message any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.left:
		return outcomeEnded.Err()
	case s.failed == nil && s.received:
		return io.EOF
	case s.failed == nil:
		s.received = true
		s.failed = s.exchange.decodeRequest(s.ctx, anyCodec, message)
	}
	return s.failed
}

// Send sends a response. For a method with a stream of responses, it does what [ResponseStream] says. A method with one
// response calls it once: the message is encoded when the handler has returned, and must not change before. An error
// carries a status.
func (s *ServerStream) Send(message any) error {
	if isNil(message) {
		message = nil
	}
	if s.cardinality.ResponseStreaming() {
		if err := s.failure(); err != nil {
			return err
		}
		return s.exchange.send(s.ctx, anyCodec, message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.left:
		return outcomeEnded.Err()
	case s.failed != nil: // as it has
	case message == nil:
		s.failed = s.exchange.logEncodeError("Send was called with nil")
	case s.response != nil:
		s.failed = s.exchange.logEncodeError("Send was called twice by a method with one response")
	default:
		s.response = message
	}
	return s.failed
}

func (s *ServerStream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// leave is called when the handler has returned err. It returns what a typed handler would have.
func (s *ServerStream) leave(err error) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
	if s.failed != nil {
		return nil, s.failed
	}
	return s.response, err
}

// isNil reports whether a message is nil, or a nil pointer.
func isNil(message any) bool {
	v := reflect.ValueOf(message)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
