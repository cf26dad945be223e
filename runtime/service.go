package runtime

import (
	"context"
	"fmt"
	"io"
	"iter"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gogreeter/gogreeter/runtime/internal/fields"
)

// Registrar is what a generated Add<Service>ToServer function adds its methods to; [Server] implements it.
type Registrar interface {
	// AddService adds the methods of a service to the dispatch dictionary.
	AddService(service Service) error
}

// Drainer is a [Registrar] that knows when its server begins to stop, as [Server] does. Services that report readiness need
// one.
type Drainer interface {
	Registrar

	// Draining returns a channel that is closed when the server begins to stop. From then on it is not ready.
	Draining() <-chan struct{}
}

// Service is a named set of method handlers, as a generated file describes it.
type Service struct {
	// Name is the full name of the service: the proto package, a dot, and the service's name.
	Name string

	// Methods holds the handler of each method by the method's own name. A nil handler counts as absent.
	Methods map[string]*MethodHandler

	// Descriptor is the service's descriptor, by which interceptors and reflection reach its options. It may be nil
	// for a service that is not described by a .proto file.
	Descriptor protoreflect.ServiceDescriptor
}

// HandlerCallDetails is what is known of an RPC before its handler is looked up.
type HandlerCallDetails struct {
	// Method is the full path of the method, byte for byte as the client sent it: "/package.Service/Method".
	Method string

	// InvocationMetadata is what the client sent with the call. It must not be modified.
	InvocationMetadata Metadata

	request *fields.Section
}

// Fields returns all fields of the request, as they came: those too that InvocationMetadata leaves out because they are the
// protocol's, and binary values as base64. The pseudo-header fields are first; ":authority" may be the value of the host
// field. The result is the caller's own. For a handler, [ServerStream.Fields] has the same.
func (d HandlerCallDetails) Fields() Metadata { return fieldsOf(d.request) }

// GenericHandler is asked for a method handler when the dispatch dictionary has none for the RPC's path. Service is
// called on the goroutine that reads the connection and must not block; a nil result means that this handler does
// not know the method.
type GenericHandler interface {
	Service(details HandlerCallDetails) *MethodHandler
}

// RequestIterator is how a handler pulls the requests of a client-streaming RPC. It is used by one goroutine at a
// time.
type RequestIterator[Req any] interface {
	// Next waits for the next request. It returns io.EOF after the last one, and an error that carries a status once
	// the RPC is over: cancelled, past its deadline, or broken off.
	Next() (*Req, error)

	// All iterates over the requests that are still to come. The sequence ends after the last request, or after it
	// has yielded the error that Next returned.
	All() iter.Seq2[*Req, error]
}

// ResponseStream is how a handler sends the responses of a server-streaming RPC. Send may be called by several
// goroutines; each message goes out whole.
type ResponseStream[Res any] interface {
	// Send sends one response. It waits while the client's flow-control window is used up, and returns an error that
	// carries a status once the RPC is over; no further response can be sent then. The message may be reused after
	// Send has returned.
	Send(response *Res) error
}

// UnaryUnary returns the handler of a method that takes one request and answers with one response.
func UnaryUnary[Req, Res any](behavior func(ctx context.Context, request *Req) (*Res, error)) *MethodHandler {
	h := newMethodHandler[Req, Res](CardinalityUnaryUnary, behavior == nil)
	h.newRequest = func() any { return new(Req) }
	h.behavior = func(ctx context.Context, _ exchange, request any) (any, error) {
		return orNothing(behavior(ctx, request.(*Req)))
	}
	return h
}

// UnaryStream returns the handler of a method that takes one request and answers with a stream of responses.
func UnaryStream[Req, Res any](behavior func(ctx context.Context, request *Req, responses ResponseStream[Res]) error) *MethodHandler {
	h := newMethodHandler[Req, Res](CardinalityUnaryStream, behavior == nil)
	h.newRequest = func() any { return new(Req) }
	h.behavior = func(ctx context.Context, e exchange, request any) (any, error) {
		return nil, behavior(ctx, request.(*Req), &responseStream[Res]{ctx, e, h.responses})
	}
	return h
}

// StreamUnary returns the handler of a method that takes a stream of requests and answers with one response.
func StreamUnary[Req, Res any](behavior func(ctx context.Context, requests RequestIterator[Req]) (*Res, error)) *MethodHandler {
	h := newMethodHandler[Req, Res](CardinalityStreamUnary, behavior == nil)
	h.behavior = func(ctx context.Context, e exchange, _ any) (any, error) {
		return orNothing(behavior(ctx, &requestIterator[Req]{ctx, e, h.requests}))
	}
	return h
}

// StreamStream returns the handler of a method that takes a stream of requests and answers with a stream of responses.
func StreamStream[Req, Res any](behavior func(ctx context.Context, requests RequestIterator[Req], responses ResponseStream[Res]) error) *MethodHandler {
	h := newMethodHandler[Req, Res](CardinalityStreamStream, behavior == nil)
	h.behavior = func(ctx context.Context, e exchange, _ any) (any, error) {
		return nil, behavior(ctx, &requestIterator[Req]{ctx, e, h.requests}, &responseStream[Res]{ctx, e, h.responses})
	}
	return h
}

// newMethodHandler returns a handler without behavior.
func newMethodHandler[Req, Res any](cardinality Cardinality, missing bool) *MethodHandler {
	h := &MethodHandler{cardinality: cardinality}
	if missing {
		h.err = errNoFunction
	}
	var err error
	if h.requests, err = codecOf[Req](); err != nil {
		h.err = err
	}
	if h.responses, err = codecOf[Res](); err != nil {
		h.err = err
	}
	return h
}

// orNothing makes a response that is a nil pointer one that is plainly nil.
func orNothing[Res any](response *Res, err error) (any, error) {
	if response == nil {
		return nil, err
	}
	return response, err
}

// requestIterator implements RequestIterator.
type requestIterator[Req any] struct {
	ctx      context.Context
	exchange exchange
	codec    *codec
}

// Format implements fmt.Formatter, as that of the rpc does.
func (it *requestIterator[Req]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "requests of %v", it.exchange)
}

func (it *requestIterator[Req]) Next() (*Req, error) {
	request := new(Req)
	if err := it.exchange.receive(it.ctx, it.codec, request); err != nil {
		return nil, err
	}
	return request, nil
}

func (it *requestIterator[Req]) All() iter.Seq2[*Req, error] {
	return func(yield func(*Req, error) bool) {
		for {
			request, err := it.Next()
			if err == io.EOF || !yield(request, err) || err != nil {
				return
			}
		}
	}
}

// responseStream implements ResponseStream.
type responseStream[Res any] struct {
	ctx      context.Context
	exchange exchange
	codec    *codec
}

// Format implements fmt.Formatter, as that of the rpc does.
func (s *responseStream[Res]) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "responses of %v", s.exchange)
}

func (s *responseStream[Res]) Send(response *Res) error {
	if response == nil {
		return s.exchange.send(s.ctx, s.codec, nil)
	}
	return s.exchange.send(s.ctx, s.codec, response)
}
